package access

import (
	"fmt"

	"tenure/internal/secretfile"
)

// maxFile is the size of the largest tokens file, in bytes. It has room for 50,000 users.
const maxFile = 8 << 20

// Load reads a tokens file that only its owner can read. See [secretfile.Read] for what it refuses, and [Parse] for
// what the file contains. The error says what to do.
func Load(file string) (*Policy, error) {
	text, err := secretfile.Read(file, maxFile)
	if err != nil {
		return nil, fmt.Errorf("tokens file: %w", err)
	}

	return Parse(file, text)
}

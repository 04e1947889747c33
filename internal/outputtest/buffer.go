// Package outputtest collects in tests what programs and servers print.
package outputtest

import (
	"strings"
	"sync"
)

// A Buffer collects what is written to it. Its zero value is empty. Its methods are safe for concurrent use.
type Buffer struct {
	mu   sync.Mutex // guards text
	text strings.Builder
}

// Write implements io.Writer. It returns no error.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()

	return b.text.Write(p)
}

// String returns what was written so far.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()

	return b.text.String()
}

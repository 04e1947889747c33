package limit

import "fmt"

// Quote quotes a text in Go syntax. If the text is longer than Name, Quote returns its beginning and its length.
func Quote(text string) string {
	if len(text) <= Name {
		return fmt.Sprintf("%q", text)
	}
	const shown = 64

	return fmt.Sprintf("%q... (%d bytes)", text[:shown], len(text))
}

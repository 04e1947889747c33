// Package printable makes text that others have chosen, such as names and data, safe to show on a terminal.
package printable

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Text returns the text as one line that cannot move the cursor, change colours or reorder the text around it. It
// replaces each rune that is not printable, and each byte that is not UTF-8, by its escape sequence in Go, as in \x1b,
// \n or \u202e.
func Text(text string) string {
	if plain(text) {
		return text
	}
	var b strings.Builder
	for i, r := range text {
		_, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, text[i])
		case unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			quoted := fmt.Sprintf("%+q", r) // in single quotes
			b.WriteString(quoted[1 : len(quoted)-1])
		}
	}

	return b.String()
}

// plain reports whether the text can be shown as it is.
func plain(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) })
}

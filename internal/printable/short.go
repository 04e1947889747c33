package printable

import "unicode/utf8"

// shortBytes is the length of what Short returns, without the ellipsis.
const shortBytes = 200

// Short returns text that somebody else has chosen for a message or a log: at most its first 200 bytes, with an
// ellipsis if it is longer. It does not replace any characters: what prints or writes the text must quote it, or use
// [Text].
func Short(text string) string {
	if len(text) <= shortBytes {
		return text
	}

	return Clip(text, shortBytes) + "…"
}

// Clip returns at most the first n bytes, and no part of a character.
func Clip(text string, n int) string {
	if len(text) <= n {
		return text
	}
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}

	return text[:n]
}

package printable

import "unicode/utf8"

const (
	shortBytes   = 200  // the length of what Short returns, without the ellipsis
	messageBytes = 1024 // of what Message takes, and of the values in a log
)

// Short returns text that somebody else has chosen for a message or a log: at most its first 200 bytes, with an
// ellipsis if it is longer. It does not replace any characters: what prints or writes the text must quote it, or use
// [Text].
func Short(text string) string { return limit(text, shortBytes) }

// Message returns a message that may repeat what somebody else has chosen, as [Text] does: at most its first 1,024
// bytes, with an ellipsis if it is longer. All texts that a server sends to its clients pass through it.
func Message(text string) string { return Text(limit(text, messageBytes)) }

func limit(text string, n int) string {
	if len(text) <= n {
		return text
	}

	return Clip(text, n) + "…"
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

// Package shell writes command lines for messages that a user may copy into a POSIX shell.
package shell

import "strings"

// Quote returns word as one word of a shell's command line. A word of plain characters stays as it is.
func Quote(word string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' ||
			strings.ContainsRune("/._-+:@%=,", r)
	}
	if word != "" && strings.IndexFunc(word, func(r rune) bool { return !plain(r) }) < 0 {
		return word
	}

	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// Join returns a command line of the words, each quoted if it needs quotes.
func Join(words ...string) string {
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = Quote(word)
	}

	return strings.Join(quoted, " ")
}

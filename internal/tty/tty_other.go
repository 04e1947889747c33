//go:build !unix

package tty

import (
	"context"
	"os"

	"golang.org/x/term"
)

// Shield calls f. This system has no background.
func Shield(f func()) { f() }

// ReadSecret prints a prompt on standard error and returns the line that the user types on standard input, which the
// terminal does not show. It does not end when ctx does.
func ReadSecret(_ context.Context, prompt string) (string, error) {
	_, _ = os.Stderr.WriteString(prompt)
	line, err := term.ReadPassword(int(os.Stdin.Fd()))
	_, _ = os.Stderr.WriteString("\n")

	return string(line), err
}

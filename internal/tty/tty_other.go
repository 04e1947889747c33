//go:build !unix

package tty

// Shield calls f. This system has no background.
func Shield(f func()) { f() }

// Package disposition reports which signals this process was started with as ignored.
//
// The Go runtime replaces the dispositions of most signals before any Go code runs. With cgo, a constructor written in
// C records the dispositions before the runtime starts. Without cgo, only the dispositions that the runtime leaves
// alone are known, such as those of HUP, INT and TSTP. The other signals then count as not ignored.
package disposition

import (
	"slices"
	"syscall"
)

// last is the highest signal number. Signals 32 to 34 belong to the C library.
const last = 64

// Ignored returns the signals that were ignored when this process started, in ascending order.
func Ignored() []syscall.Signal {
	mask := recorded()
	var ignored []syscall.Signal
	for sig := syscall.Signal(1); sig <= last; sig++ {
		if mask&(1<<(sig-1)) != 0 {
			ignored = append(ignored, sig)
		}
	}

	return ignored
}

// IsIgnored reports whether the signal was ignored when this process started.
func IsIgnored(sig syscall.Signal) bool { return slices.Contains(Ignored(), sig) }

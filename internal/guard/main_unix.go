//go:build unix

package guard

import "tenure/internal/watchman"

// Selected reports whether this process was started to be a guard. Its main function must then call Main before it does
// anything else. It reaches its main function only if the guard needs that: see package watchman.
func Selected() bool { return watchman.Selected() }

// Main is the main function of a guard. It does not return.
func Main() int {
	watchman.Main(endSession)

	return 0
}

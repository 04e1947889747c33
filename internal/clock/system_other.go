//go:build !linux && !darwin && !dragonfly && !freebsd && !openbsd

package clock

// System returns the machine's lease clock, Go's monotonic clock. Whether it keeps running while the machine sleeps
// depends on the operating system.
func System() Clock { return Go() }

//go:build !linux

package clock

// System returns the machine's lease clock: Go's monotonic clock. Whether it runs on while the machine sleeps is the
// operating system's choice.
func System() Clock { return Go() }

//go:build !race || go1.27

package bubbletest

// oneProcessor does nothing: without the race detector, and from Go 1.27 on, bubbles may run on several processors.
func oneProcessor() (restore func()) { return func() {} }

//go:build unix

package watchman

// pollFd is a struct pollfd.
type pollFd struct {
	Fd      int32
	Events  int16
	Revents int16
}

// These constants are the same on all systems.
const (
	pollIn      = 0x1
	pollOut     = 0x4
	pollErr     = 0x8
	pollHup     = 0x10
	pollInvalid = 0x20
)

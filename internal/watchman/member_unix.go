//go:build unix

package watchman

import "syscall"

// TakeByte takes a byte from the pipe of a barrier.
func TakeByte(reader int) { _, _ = syscall.Read(reader, make([]byte, 1)) }

// A member is the part of a guard in a guard.Barrier, whose comment has the rules. The zero member belongs to none.
type member struct {
	joined         bool
	left           bool
	reader, writer int
}

// leave reports that no descendant of COMMAND is left, or that the holder does not need the guard any more.
func (m *member) leave() {
	if m.joined && !m.left {
		m.left = true
		TakeByte(m.reader)
		syscall.Close(m.writer)
	}
}

// events returns what poll has to wait for.
func (m *member) events() pollFd {
	if !m.left {
		return pollFd{Fd: -1}
	}

	return pollFd{Fd: int32(m.reader)} // poll always reports the end of the file
}

// passed reports whether no COMMAND of the session runs.
func (m *member) passed() bool {
	if !m.joined {
		return true
	}
	events := []pollFd{m.events()}
	_, _ = poll(events, 0)

	return m.left && events[0].Revents&(pollHup|pollErr|pollInvalid) != 0
}

// endsSession reports whether this guard is the one that ends the session (I2, I3).
func (m *member) endsSession() bool {
	if !m.joined {
		return true
	}
	if !m.passed() {
		return false
	}
	n, _ := syscall.Read(m.reader, make([]byte, 64<<10)) // all that a pipe can hold

	return n == 1
}

//go:build unix

package guard

import (
	"os"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"

	"tenure/internal/watchman"
)

// A Barrier connects the guards of one session. A guard may end the session on the server only when no COMMAND of the
// session runs any longer, and a guard knows that only of its own COMMAND.
//
// A Barrier is a pipe. It works without the holder, which may be killed or frozen:
//
// I1 Each guard has the write end open until no descendant of its COMMAND is left. So has each message that brings a
// COMMAND to a guard. COMMANDs do not. At the end of the file, no COMMAND of the session runs.
// I2 The pipe contains one byte, and one more for each guard that has the write end. A guard takes a byte before it
// closes the end. If more than one byte is left at the end of the file, a guard was killed, and nobody knows whether
// descendants of its COMMAND still run. The session then ends at its timeout.
// I3 Whoever reads the single byte that is left ends the session. The other guards find nothing.
//
// The holder keeps the write end closed if the system lets it open the end again, so that the barrier of a frozen
// holder reaches its end. It starts no COMMAND under a session that a guard may have ended, because guards do that
// only when the holder or the lease has ended.
type Barrier struct {
	key    string
	users  int // guarded by barriers.mu
	reader int
	writer int // -1: the holder opens it when it needs it
}

// barriers are the barriers of this process, by key.
var barriers = struct {
	mu    sync.Mutex
	byKey map[string]*Barrier
}{byKey: make(map[string]*Barrier)}

// JoinBarrier returns the barrier of the session with this key. The caller must call Leave when its guard has ended.
func JoinBarrier(key string) (*Barrier, error) {
	barriers.mu.Lock()
	defer barriers.mu.Unlock()
	b := barriers.byKey[key]
	if b == nil {
		var err error
		if b, err = newBarrier(key); err != nil {
			return nil, err
		}
		barriers.byKey[key] = b
	}
	b.users++

	return b, nil
}

func newBarrier(key string) (*Barrier, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	defer w.Close()
	b := &Barrier{key: key, writer: -1}
	if b.reader, err = duplicate(r); err != nil {
		return nil, err
	}
	if b.writer, err = duplicate(w); err != nil {
		unix.Close(b.reader)

		return nil, err
	}
	if _, err := unix.Write(b.writer, []byte{0}); err != nil { // I2
		b.close()

		return nil, err
	}
	if again, err := b.open(); err == nil {
		unix.Close(again)
		unix.Close(b.writer)
		b.writer = -1
	}

	return b, nil
}

// duplicate returns a descriptor of the file that does not block.
func duplicate(file *os.File) (fd int, err error) {
	fd, err = unix.FcntlInt(file.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err == nil {
		err = unix.SetNonblock(fd, true)
	}

	return fd, err
}

// open opens the write end of the pipe through its read end, where the system allows that.
func (b *Barrier) open() (fd int, err error) {
	return unix.Open("/proc/self/fd/"+strconv.Itoa(b.reader), unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
}

// enter adds a guard. It returns the descriptors for it. The caller must call sent when they are on their way.
func (b *Barrier) enter() (reader, writer int, sent func(), err error) {
	writer, sent = b.writer, func() {}
	if writer < 0 {
		if writer, err = b.open(); err != nil {
			return 0, 0, nil, err
		}
		sent = func() { unix.Close(writer) }
	}
	if _, err = unix.Write(writer, []byte{0}); err != nil {
		sent()

		return 0, 0, nil, err
	}

	return b.reader, writer, sent, nil
}

// Forgive takes the byte of a guard that was killed (I2). The caller has killed all descendants of its COMMAND.
func (b *Barrier) Forgive() {
	if b != nil {
		watchman.TakeByte(b.reader)
	}
}

// Leave undoes a JoinBarrier.
func (b *Barrier) Leave() {
	if b == nil {
		return
	}
	barriers.mu.Lock()
	defer barriers.mu.Unlock()
	if b.users--; b.users == 0 {
		delete(barriers.byKey, b.key)
		b.close()
	}
}

func (b *Barrier) close() {
	unix.Close(b.reader)
	if b.writer >= 0 {
		unix.Close(b.writer)
	}
}

package embedded

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
)

// address returns a name of the socket that the system takes: it has room for about a hundred bytes.
func (d *directory) address(name string) (string, error) {
	path := d.join(name)
	if len(path) <= maxSocketPath {
		return path, nil
	}
	if short := fmt.Sprintf("/proc/self/fd/%d", d.file.Fd()); sameFile(short, d.path) {
		return filepath.Join(short, name), nil
	}

	return "", fmt.Errorf("state directory %q: the path of a socket in it is longer than %d bytes: choose a directory "+
		"with a shorter path with --dir or TENURE_DIR", d.path, maxSocketPath)
}

func sameFile(a, b string) bool {
	at, errA := os.Stat(a)
	bt, errB := os.Stat(b)

	return errA == nil && errB == nil && os.SameFile(at, bt)
}

// socket is a listener that knows its file.
type socket struct {
	net.Listener

	path  string
	file  os.FileInfo
	close func() error // once: later another file may have the number of ours
}

// listen makes the socket, in the place of one that a host has left which was killed. For the host alone (E1).
func (d *directory) listen(name string) (*socket, error) {
	path := d.join(name)
	if at, err := os.Lstat(path); err == nil && at.Mode().Type() != fs.ModeSocket { // it is not for us to remove
		return nil, fmt.Errorf("state directory %q: %q is not a socket: move it away, or %s", d.path, path, another)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, dirError(d.path, err)
	}
	address, err := d.address(name)
	if err != nil {
		return nil, err
	}
	lis, err := net.ListenUnix("unix", &net.UnixAddr{Name: address, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("state directory %q: cannot create a socket in it: %w: choose a directory on a local disk "+
			"with --dir or TENURE_DIR", d.path, reason(err))
	}
	lis.SetUnlinkOnClose(false) // by name; see Close
	file, err := os.Lstat(path)
	if err != nil {
		lis.Close()

		return nil, dirError(d.path, err)
	}

	s := &socket{Listener: lis, path: path, file: file}
	s.close = sync.OnceValue(func() error {
		if s.inPlace() {
			_ = os.Remove(path) // what stays is removed by the next host
		}

		return lis.Close()
	})

	return s, nil
}

// inPlace says whether clients that look for the socket find it.
func (s *socket) inPlace() bool {
	at, err := os.Lstat(s.path)

	return err == nil && os.SameFile(at, s.file)
}

// Close removes the socket, but not that of another host, if somebody has replaced the directory. Twice is fine.
func (s *socket) Close() error { return s.close() }

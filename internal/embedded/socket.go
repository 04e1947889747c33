package embedded

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"

	"tenure/internal/groupdir"
	"tenure/internal/peercred"
	"tenure/internal/trust"
)

// address returns a path of the socket that is short enough for the system, which allows about a hundred bytes.
func (d *directory) address(name string) (string, error) {
	path := d.join(name)
	if len(path) <= maxSocketPath {
		return path, nil
	}
	if short := fmt.Sprintf("/proc/self/fd/%d", d.file.Fd()); sameFile(short, d.path) {
		return filepath.Join(short, name), nil
	}

	return "", fmt.Errorf("state directory %q: the path of a socket in it is longer than %d bytes: %s", d.path,
		maxSocketPath, d.choose("a directory with a shorter path"))
}

func sameFile(a, b string) bool {
	at, errA := os.Stat(a)
	bt, errB := os.Stat(b)

	return errA == nil && errB == nil && os.SameFile(at, bt)
}

// socket is a listener on a Unix socket. It can tell whether the socket is still at its path.
type socket struct {
	net.Listener

	dir   *directory
	path  string
	file  os.FileInfo
	close func() error // runs only once, since another socket may later have the same inode number
}

// listen creates the socket. It replaces a socket that a killed host has left behind. Only the host may call it (E1).
func (d *directory) listen(name string) (*socket, error) {
	path := d.join(name)
	if at, err := os.Lstat(path); err == nil && at.Mode().Type() != fs.ModeSocket { // never remove a user's file
		return nil, fmt.Errorf("state directory %q: %q is not a socket: move it away, or %s", d.path, path,
			d.choose("another"))
	}
	lis, err := d.bind(name)
	if err != nil {
		return nil, err
	}
	lis.SetUnlinkOnClose(false) // it would not check which file has the name; see Close
	file, err := os.Lstat(path)
	if err != nil {
		lis.Close()
		return nil, d.fault(err)
	}
	s := &socket{Listener: lis, dir: d, path: path, file: file}
	s.close = sync.OnceValue(func() error {
		if s.inPlace() {
			_ = os.Remove(path) // if this fails, the next host removes it
		}

		return lis.Close()
	})

	return s, nil
}

// boundName is the name of a socket in a shared directory until it has its final group and mode. It is not longer than
// the names of the sockets, because the length of a path is limited.
const boundName = "bound"

// bind creates a socket with the name. In a shared directory, the socket gets its name only when the members of the
// group can connect to it.
func (d *directory) bind(name string) (*net.UnixListener, error) {
	bound := name
	in, err := groupdir.Open(d.path)
	if err != nil {
		return nil, d.fault(err)
	}
	defer in.Close()
	if in.Shared() {
		bound = boundName
	}
	if err := in.Root().Remove(bound); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, d.fault(err)
	}
	address, err := d.address(bound)
	if err != nil {
		return nil, err
	}
	lis, err := net.ListenUnix("unix", &net.UnixAddr{Name: address, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("state directory %q: cannot create a socket in it: %w: %s", d.path, reason(err),
			d.advice(err, "a directory on a local disk"))
	}
	if in.Shared() {
		if err := cmp.Or(in.Grant(bound), in.Root().Rename(bound, name)); err != nil {
			return nil, errors.Join(d.fault(err), lis.Close())
		}
	}

	return lis, nil
}

// stranger reports whether the process at the other end of a connection belongs to a user who must not use the
// directory, and to which user. In a directory that the members of a group share, only the members can make or use a
// socket.
func (d *directory) stranger(conn net.Conn) (uid uint32, ok bool) {
	if d.shared {
		return 0, false
	}
	uid, err := peercred.UID(conn)
	if errors.Is(err, errors.ErrUnsupported) {
		return 0, false
	}

	return uid, err != nil || !trust.Us(int(uid))
}

func strangerError(uid uint32) error {
	return fmt.Errorf("the process that serves there belongs to user %d: end that process", uid)
}

// Accept closes the connections of strangers.
func (s *socket) Accept() (net.Conn, error) {
	for {
		conn, err := s.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if _, ok := s.dir.stranger(conn); !ok {
			return conn, nil
		}
		_ = conn.Close()
	}
}

// inPlace reports whether the socket is still at its path, where clients look for it.
func (s *socket) inPlace() bool {
	at, err := os.Lstat(s.path)

	return err == nil && os.SameFile(at, s.file)
}

// Close closes the listener and removes the socket. It does not remove the socket of another host, which may be at the
// same path if the directory was replaced. Calling Close again has no effect.
func (s *socket) Close() error { return s.close() }

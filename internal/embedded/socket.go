package embedded

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
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

	return "", fmt.Errorf("state directory %q: its name is too long for a socket, which may have %d bytes: "+
		"choose a shorter one with --dir or TENURE_DIR", d.path, maxSocketPath)
}

func sameFile(a, b string) bool {
	at, errA := os.Stat(a)
	bt, errB := os.Stat(b)

	return errA == nil && errB == nil && os.SameFile(at, bt)
}

// listen makes the socket in the place of one that a host has left which was killed. For the host alone (E1). Closing
// the listener removes the socket.
func (d *directory) listen(name string) (net.Listener, error) {
	if err := os.Remove(d.join(name)); err != nil && !os.IsNotExist(err) {
		return nil, dirError(d.path, err)
	}
	address, err := d.address(name)
	if err != nil {
		return nil, err
	}
	lis, err := net.Listen("unix", address)
	if err != nil {
		return nil, fmt.Errorf("state directory %q: no socket can be made in it: %w: choose one on a local disk with "+
			"--dir or TENURE_DIR", d.path, reason(err))
	}

	return lis, nil
}

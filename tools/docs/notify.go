package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
)

// A manager stands in for systemd. It receives what a service says with sd_notify.
type manager struct{ conn *net.UnixConn }

// newManager listens on a socket in dir. The caller must call close.
func newManager(dir string) (*manager, error) {
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})

	return &manager{conn}, err
}

// variable returns the variable that tells a service where the socket is.
func (m *manager) variable() string { return "NOTIFY_SOCKET=" + m.conn.LocalAddr().String() }

// ready waits until the service is ready and has said what it does.
func (m *manager) ready(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() { m.close() })()
	var said strings.Builder
	for text := make([]byte, 4096); ; {
		if strings.Contains(said.String(), "READY=1\n") && strings.Contains(said.String(), "STATUS=") {
			return nil
		}
		n, err := m.conn.Read(text)
		if err != nil {
			err = fmt.Errorf("sd_notify has said %q, and not READY=1 and STATUS=", said.String())

			return errors.Join(context.Cause(ctx), err)
		}
		said.Write(text[:n])
		said.WriteByte('\n')
	}
}

func (m *manager) close() { _ = m.conn.Close() }

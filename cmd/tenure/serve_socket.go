package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"tenure/internal/cli"
)

// socketFlags are the values of the flags about the addresses of a server, besides --listen.
type socketFlags struct{ socket, advertise string }

// addSocket adds the flags about the addresses of a server.
func addSocket(cmd *cobra.Command, f *serveFlags) {
	cli.AddFlags(cmd,
		cli.Flag{
			Name: "socket", Group: groupServing, Arg: "FILE", Example: "/run/tenure/socket", Value: &f.socket,
			Usage: "Unix socket to listen on as well, for the user and the group of the server",
		},
		cli.Flag{
			Name: "advertise", Group: groupServing, Arg: "URL", Example: "grpcs://locks.example:443", Value: &f.advertise,
			Usage: "address that clients use from then on, for a server behind a proxy (default: the one they came to)",
		},
	)
}

// socketMode lets the user and the group of the server connect.
const socketMode = 0o660

// checkSocket checks that a socket can be made at the path of --socket.
func (f *serveFlags) checkSocket(cmd *cobra.Command) error {
	if f.socket == "" || len(f.passed.socket) > 0 {
		return nil
	}
	setting := cli.Setting(cmd, "socket")
	info, err := os.Lstat(f.socket)
	switch dir := filepath.Dir(f.socket); {
	case errors.Is(err, fs.ErrNotExist):
		if at, err := os.Stat(dir); err != nil || !at.IsDir() {
			return fmt.Errorf("%s=%q: %s is not a directory: create it, or choose another path", setting, f.socket, dir)
		}
		if !usable(dir) {
			return fmt.Errorf("%s=%q: no permission to write in %s: choose another path", setting, f.socket, dir)
		}
	case err != nil:
		return fmt.Errorf("%s=%q: %w: choose another path", setting, f.socket, err)
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("%s=%q exists and is not a socket: move it away, or choose another path", setting, f.socket)
	}

	return nil
}

// listenSocket listens on a Unix socket. It replaces a socket on which nobody listens.
func listenSocket(setting, path string) (net.Listener, error) {
	if err := removeStale(setting, path); err != nil {
		return nil, err
	}
	lis, err := bind(path)
	if err != nil {
		if op, ok := errors.AsType[*net.OpError](err); ok {
			err = op.Err
		}

		return nil, fmt.Errorf("%s=%q: %w: choose another path", setting, path, err)
	}
	lis.SetUnlinkOnClose(false) // it would not check which file has the name
	file, err := os.Lstat(path)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s=%q: %w", setting, path, err), lis.Close())
	}

	return &socket{Listener: lis, path: path, file: file}, nil
}

// removeStale removes a socket that a dead server has left behind. It removes nothing else.
func removeStale(setting, path string) error {
	info, err := os.Lstat(path)
	if err != nil || info.Mode().Type() != fs.ModeSocket {
		return nil // bind says what is wrong, without removing anything
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookLimit)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", path)
	switch {
	case err == nil:
		_ = conn.Close()

		return fmt.Errorf("%s=%q is in use by another program: stop that program, or choose another path", setting, path)
	case !errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%s=%q: cannot find out whether the socket is in use (%w): choose another path", setting, path,
			errors.Unwrap(err))
	}
	if now, err := os.Lstat(path); err != nil || !os.SameFile(info, now) {
		return fmt.Errorf("%s=%q is in use by another program that just started: choose another path", setting, path)
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("%s=%q: cannot replace the socket of a server that has ended: %w", setting, path,
			errors.Unwrap(err))
	}

	return nil
}

// A socket is a listener that removes its file when it is closed.
type socket struct {
	net.Listener

	path string
	file os.FileInfo
}

// Close removes the socket, unless another server has replaced it.
func (s *socket) Close() error {
	if now, err := os.Lstat(s.path); err == nil && os.SameFile(now, s.file) {
		_ = os.Remove(s.path)
	}

	return s.Listener.Close()
}

func closeAll(listeners []net.Listener) error {
	var errs []error
	for _, lis := range listeners {
		errs = append(errs, lis.Close())
	}

	return errors.Join(errs...)
}

// listen opens the listeners of the server. That of --listen is the first.
func (p *plan) listen(cmd *cobra.Command, f *serveFlags) ([]net.Listener, error) {
	all := f.passed.listen
	if len(all) == 0 {
		lis, err := listen(cmd, "listen", f.listen)
		if err != nil {
			return nil, err
		}
		all = append(all, lis)
	}
	if len(f.passed.socket) > 0 {
		return append(all, f.passed.socket...), nil
	}
	if f.socket == "" {
		return all, nil
	}
	local, err := listenSocket(cli.Setting(cmd, "socket"), f.socket)
	if err != nil {
		return nil, errors.Join(err, closeAll(all))
	}
	p.log.InfoContext(cmd.Context(), "listening on a Unix socket", "path", f.socket)

	return append(all, local), nil
}

func listen(cmd *cobra.Command, flag, address string) (net.Listener, error) {
	lis, err := net.Listen("tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s is in use by another program: choose another address with --%s", address, flag)
	case err != nil:
		return nil, fmt.Errorf("listen on %q: %w: check %s", address, errors.Unwrap(err), cli.Setting(cmd, flag))
	}

	return lis, nil
}

//go:build !unix

package main

import "net"

func bind(path string) (*net.UnixListener, error) {
	return net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
}

func usable(string) bool { return true }

func creatable(string) bool { return true }

func hasTerminal() bool { return false }

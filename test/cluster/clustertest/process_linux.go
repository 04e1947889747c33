package clustertest

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// dieWithUs makes a process die when this one does.
func dieWithUs() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

// has reports whether the address is that of the process's end of a TCP connection over IPv4.
func (p *Process) has(addr net.Addr) bool {
	p.mu.Lock()
	pid := p.cmd.Process.Pid
	p.mu.Unlock()
	tcp, ok := addr.(*net.TCPAddr)
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil || !ok {
		return false
	}
	port := fmt.Sprintf(":%04X", tcp.Port)
	var sockets []string
	for line := range strings.Lines(string(table)) {
		const local, inode = 1, 9 // fields
		if f := strings.Fields(line); len(f) > inode && strings.HasSuffix(f[local], port) {
			sockets = append(sockets, "socket:["+f[inode]+"]")
		}
	}
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))

	return slices.ContainsFunc(files, func(file string) bool {
		to, err := os.Readlink(file)

		return err == nil && slices.Contains(sockets, to)
	})
}

package main

import (
	"context"
	"log/slog"
	"net"
	"os"
	"strconv"
	"time"
)

// lookLimit is the time limit for finding out whether the host's name leads to this server.
const lookLimit = time.Second

// reachable returns the host:port that clients use for a listener. Clients cannot use an address of all interfaces,
// such as [::]. It is replaced by the host's name, or by localhost if a connection to that name fails.
func reachable(ctx context.Context, listener net.Addr, log *slog.Logger) string {
	tcp, ok := listener.(*net.TCPAddr)
	if !ok || !tcp.IP.IsUnspecified() {
		return listener.String()
	}
	port := strconv.Itoa(tcp.Port)
	host, err := os.Hostname()
	if err == nil {
		address := net.JoinHostPort(host, port)
		if err = connect(ctx, address); err == nil {
			return address
		}
	}
	log.InfoContext(ctx, "the printed address is for this machine only: other machines need its name or address",
		"host", host, "cause", err)

	return net.JoinHostPort("localhost", port)
}

func connect(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}

	return conn.Close()
}

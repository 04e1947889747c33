package main

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestManager(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	systemd, err := newManager(dir)
	require.NoError(t, err)
	defer systemd.close()
	address := strings.TrimPrefix(systemd.variable(), "NOTIFY_SOCKET=")
	service, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: address, Net: "unixgram"})
	require.NoError(t, err)
	defer service.Close()
	for _, text := range []string{"STATUS=waiting", "READY=1\nSTATUS=working"} {
		_, err := service.Write([]byte(text))
		require.NoError(t, err)
	}
	require.NoError(t, systemd.ready(t.Context()))

	_, err = service.Write([]byte("STATUS=waiting"))
	require.NoError(t, err)
	over := errors.New("the time is over")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(over)
	require.ErrorIs(t, systemd.ready(ctx), over)
}

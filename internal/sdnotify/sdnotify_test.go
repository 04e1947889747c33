package sdnotify

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"tenure/internal/bubbletest"
	"tenure/internal/clock"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// What was sent before Close reaches the service manager, in order. Nothing is sent later.
func TestNotifier(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	require.NoError(t, err)
	defer socket.Close()
	require.NoError(t, socket.SetReadDeadline(time.Now().Add(time.Minute)))
	t.Setenv(Variable, path)

	n := Start()
	n.Send("READY=1")
	n.Send("STOPPING=1\nSTATUS=stopping")
	n.Close()
	n.Close()
	n.Send("STATUS=too late")
	text := make([]byte, 1000)
	for _, want := range []string{"READY=1", "STOPPING=1\nSTATUS=stopping"} {
		size, err := socket.Read(text)
		require.NoError(t, err)
		require.Equal(t, want, string(text[:size]))
	}
	require.NoError(t, socket.SetReadDeadline(time.Now()))
	_, err = socket.Read(text)
	require.Error(t, err)
}

func TestNotifier_Nil(t *testing.T) {
	t.Parallel()
	var n *Notifier
	n.Send("READY=1")
	n.Close()
}

// The service manager hears nothing while the check fails, so that it restarts the process.
func TestNotifier_WatchNeedsTheCheck(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		n := &Notifier{states: make(chan string, 16)} // nobody sends: the test looks at what would be sent
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		stuck := errors.New("node /local/a has made no progress")
		var failing atomic.Bool
		check := func() error {
			if failing.Load() {
				return stuck
			}

			return nil
		}
		reports := make(chan error, 2)
		go n.Watch(ctx, clock.Go(), 30*time.Second, check, func(err error) { reports <- err })
		sent := func(d time.Duration) int {
			time.Sleep(d)
			synctest.Wait()
			count := len(n.states)
			for range count {
				require.Equal(t, "WATCHDOG=1", <-n.states)
			}

			return count
		}
		require.Equal(t, 4, sent(30*time.Second))
		failing.Store(true)
		require.Equal(t, 0, sent(time.Minute))
		require.Equal(t, stuck, <-reports)
		failing.Store(false)
		require.Equal(t, 4, sent(30*time.Second))
		require.NoError(t, <-reports)
		cancel()
		require.Equal(t, 0, sent(time.Minute))
	})
}

package cli

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"tenure"
	"tenure/internal/bubbletest"
	"tenure/internal/clock"
)

// monitored runs f in virtual time with a monitor, whose lines printed returns and forgets.
func monitored(t *testing.T, f func(m *Monitor, printed func() []string)) {
	t.Helper()
	bubbletest.Test(t, func(*testing.T) {
		var mu sync.Mutex // guards lines
		var lines []string
		m := newMonitor(clock.Go(), func(line string) {
			mu.Lock()
			defer mu.Unlock()
			lines = append(lines, line)
		})
		f(m, func() []string {
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			got := lines
			lines = nil

			return got
		})
		m.Close()
	})
}

// A slow connection is reported once, after 3 s; one that is faster is not. An attempt that ends by then is not
// reported twice.
func TestMonitor_Connecting(t *testing.T) {
	t.Parallel()
	monitored(t, func(m *Monitor, printed func() []string) {
		m.Connecting("host:1", 10*time.Second)
		time.Sleep(3*time.Second - 1)
		require.Empty(t, printed())
		time.Sleep(time.Nanosecond)
		require.Equal(t, []string{"no answer from host:1 yet: giving up after 10s"}, printed())
		time.Sleep(time.Hour)
		require.Empty(t, printed())

		m.Connecting("host:1", 10*time.Second)
		time.Sleep(3*time.Second - 1)
		m.Close()
		time.Sleep(time.Hour)
		require.Empty(t, printed())

		m.Connecting("host:1", 3*time.Second)
		time.Sleep(time.Hour)
		require.Empty(t, printed())
	})
}

// A wait for a lease is reported once for each session, after a second.
func TestMonitor_Waiting(t *testing.T) {
	t.Parallel()
	monitored(t, func(m *Monitor, printed func() []string) {
		for range 2 {
			m.Opened("waiting")
			time.Sleep(time.Second - 1)
			require.Empty(t, printed())
			time.Sleep(time.Nanosecond)
			require.Equal(t, []string{"waiting"}, printed())
			time.Sleep(time.Hour)
			require.Empty(t, printed())
			m.Failed(nil)
		}
		for _, end := range []func(){m.Granted, func() { m.Failed(nil) }, m.Close} {
			m.Opened("waiting")
			time.Sleep(time.Second - 1)
			end()
			time.Sleep(time.Hour)
			require.Empty(t, printed())
		}
	})
}

// NoSession reports attempts that fail without a session, so Failed does not.
func TestMonitor_NoSession(t *testing.T) {
	t.Parallel()
	monitored(t, func(m *Monitor, printed func() []string) {
		refused := errors.New("connection refused")
		m.Failed(refused)
		require.Empty(t, printed())
		m.NoSession(3100*time.Millisecond, refused)
		require.Equal(t, []string{"no session for 3s, still trying: connection refused"}, printed())
	})
}

// What an open session runs into is reported once until it gets a lease, however often it is tried.
func TestMonitor_Refused(t *testing.T) {
	t.Parallel()
	monitored(t, func(m *Monitor, printed func() []string) {
		overloaded := errors.New("OVERLOADED")
		fail := func(why error) []string {
			m.Opened("waiting")
			m.Failed(why)

			return printed()
		}
		require.Equal(t, []string{"OVERLOADED: trying again"}, fail(overloaded))
		require.Empty(t, fail(overloaded))
		require.Empty(t, fail(nil))
		require.Empty(t, fail(fmt.Errorf("acquire: %w: %w", tenure.ErrSessionClosed, tenure.ErrDeadlinePassed)))
		require.Equal(t, []string{"other: trying again"}, fail(errors.New("other")))
		require.Equal(t, []string{"OVERLOADED: trying again"}, fail(overloaded))
		m.Opened("waiting")
		m.Granted()
		require.Equal(t, []string{"OVERLOADED: trying again"}, fail(overloaded))
	})
}

// The user does not hear twice of the same silent host: the embedded server's own line says the most.
func TestMonitor_Notice(t *testing.T) {
	t.Parallel()
	monitored(t, func(m *Monitor, printed func() []string) {
		silent := errors.New("no answer")
		m.Notice("waiting for process 42")
		require.Equal(t, []string{"waiting for process 42"}, printed())
		m.Failed(silent)
		m.NoSession(3*time.Second, silent)
		require.Empty(t, printed())

		m.Opened("waiting")
		m.Failed(nil)
		m.NoSession(3*time.Second, silent)
		require.Equal(t, []string{"no session for 3s, still trying: no answer"}, printed())
	})
}

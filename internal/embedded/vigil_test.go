//go:build unix

package embedded

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/bubbletest"
	"tenure/internal/clock"
)

// inVigil calls f with a vigil in virtual time, and then checks that the closed vigil gives no notice.
func inVigil(t *testing.T, f func(v *vigil, told *notices)) {
	t.Helper()
	dir := t.TempDir()
	bubbletest.Test(t, func(t *testing.T) {
		var told notices
		v := &vigil{clock: clock.Go(), dir: dir, notice: told.add}
		f(v, &told)
		v.close()
		time.Sleep(time.Hour)
		said := len(told.all())
		v.want()
		v.tell("", "too late")
		time.Sleep(time.Hour)
		require.Len(t, told.all(), said, "a notice after close")
	})
}

// After two seconds of silence there is one notice, and no further one until the host has answered.
func TestVigil_Silence(t *testing.T) {
	t.Parallel()
	inVigil(t, func(v *vigil, told *notices) {
		v.want()
		time.Sleep(patience - 1)
		v.want() // the time is counted from the first call
		require.Empty(t, told.all())
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		require.Equal(t, []string{v.silent()}, told.all())

		v.want()
		time.Sleep(time.Hour)
		require.Len(t, told.all(), 1)

		v.heard()
		v.want()
		time.Sleep(patience)
		synctest.Wait()
		require.Equal(t, []string{v.silent(), v.silent()}, told.all())
	})
}

// There is no notice if the host answers within two seconds.
func TestVigil_Heard(t *testing.T) {
	t.Parallel()
	inVigil(t, func(v *vigil, told *notices) {
		for range 10 {
			v.want()
			v.want()
			time.Sleep(patience - 1)
			v.heard()
			v.heard()
			time.Sleep(patience)
		}
		require.Empty(t, told.all())
	})
}

// After close there is no notice for callers that were waiting.
func TestVigil_ClosedWhileWaiting(t *testing.T) {
	t.Parallel()
	inVigil(t, func(v *vigil, told *notices) {
		v.want()
		time.Sleep(patience - 1)
		v.close()
		time.Sleep(time.Hour)
		require.Empty(t, told.all())
	})
}

// A notice is not repeated until the host has answered. After a notice of a fault, there is also none of the silence.
func TestVigil_Fault(t *testing.T) {
	t.Parallel()
	inVigil(t, func(v *vigil, told *notices) {
		full := func(name string) error { return &fs.PathError{Op: "write", Path: name, Err: syscall.ENOSPC} }
		v.want()
		for _, err := range []error{full("a"), full("b"), errClosed, full("a"), errClosed} {
			v.fault(err)
		}
		time.Sleep(time.Hour)
		v.heard()
		v.fault(full("c"))
		require.Equal(t, []string{full("a").Error(), errClosed.Error(), full("c").Error()}, told.all())
	})
}

// Calls of notice do not overlap.
func TestVigil_OneAtATime(t *testing.T) {
	t.Parallel()
	var now, told int
	v := &vigil{clock: clock.Go(), notice: func(string) {
		now++ // not atomic, so that the race detector finds overlapping calls too
		told++
		runtime.Gosched()
		if now--; now > 0 {
			t.Error("two calls of notice overlap")
		}
	}}
	inParallel(make([]int, 8), func(teller, _ int) {
		for i := range 200 {
			v.tell(fmt.Sprint(teller, i), "")
		}
	})
	v.close()
	require.Equal(t, 8*200, told)
}

// When close has returned, no notice is in progress and none follows.
func TestVigil_NoneAfterClose(t *testing.T) {
	t.Parallel()
	for range 100 {
		var over atomic.Bool
		telling, goOn := make(chan struct{}, 3), make(chan struct{})
		v := &vigil{clock: clock.Go(), notice: func(string) {
			telling <- struct{}{}
			<-goOn
			if over.Load() {
				t.Error("a notice is in progress after close")
			}
		}}
		var tellers sync.WaitGroup
		for i := range 3 {
			tellers.Go(func() { v.tell(fmt.Sprint(i), "") })
		}
		<-telling
		go close(goOn)
		v.close()
		over.Store(true)
		tellers.Wait()
	}
}

// The notice names the process that does not answer, and says what the user can do on its host.
func TestVigil_Silent(t *testing.T) {
	t.Parallel()
	here, err := os.Hostname()
	require.NoError(t, err)
	for name, c := range map[string]struct {
		owner  string // host name in the OWNER file; "" if there is no such file
		pid    int
		socket bool
		want   string
	}{
		"unknown process, no socket": {
			"", 0, false, "waiting for an unknown process, which has the store in DIR open and does not answer: find the " +
				"process that has locked LOCK and end it, so that another one can take over",
		},
		"unknown process with a socket": {
			"", 0, true, "waiting for an unknown process, which has the store in DIR open and does not answer: find the " +
				"process that has locked LOCK and end it, so that another one can take over",
		},
		"on this host": {
			here, 7, true, "waiting for process 7 on HERE (lock nightly, since SINCE), which hosts the server in DIR and " +
				"does not answer: resume the process if it is stopped (kill -CONT 7), or end it (kill -9 7) so that another " +
				"one can take over",
		},
		"on this host, without a process id": {
			here, -1, true, "waiting for an unknown process (lock nightly, since SINCE), which hosts the server in DIR and " +
				"does not answer: on its host, resume the process if it is stopped, or end it so that another one can take over",
		},
		"in a container": {
			"box", 7, true, "waiting for process 7 on box (lock nightly, since SINCE), which hosts the server in DIR and " +
				"does not answer: on its host, resume the process if it is stopped, or end it so that another one can take over",
		},
		"not an embedded server": {
			here, 7, false, "waiting for process 7 on HERE (lock nightly, since SINCE), which has the store in DIR open but " +
				"does not serve it there: if it is \"tenure serve\", connect to its address with --ydb or TENURE_DSN; " +
				"otherwise end it",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			since := time.Now().Add(-time.Hour)
			if c.owner != "" {
				owner := filepath.Join(dir, "OWNER")
				text := fmt.Appendf(nil, `{"pid": %d, "host": %q, "command": "lock nightly"}`, c.pid, c.owner)
				require.NoError(t, os.WriteFile(owner, text, 0o600))
				require.NoError(t, os.Chtimes(owner, since, since))
			}
			if c.socket {
				require.NoError(t, os.WriteFile(filepath.Join(dir, socketName), nil, 0o600))
			}
			names := strings.NewReplacer("DIR", fmt.Sprintf("%q", dir), "LOCK", fmt.Sprintf("%q", filepath.Join(dir, lockName)),
				"HERE", here, "SINCE", since.Format(time.RFC3339))
			require.Equal(t, names.Replace(c.want), (&vigil{dir: dir, setting: "--ydb or TENURE_DSN"}).silent())
		})
	}
}

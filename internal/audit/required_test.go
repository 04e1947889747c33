package audit_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/audit"
	"tenure/internal/bubbletest"
	"tenure/internal/clock"
)

var errFull = errors.New("no space left on device")

// disk is a file that takes so many bytes, and the beginning of what does not fit.
type disk struct {
	mu   sync.Mutex // guards the rest
	room int
	text bytes.Buffer
}

func (d *disk) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.text.Len() > 0 && !bytes.HasSuffix(d.text.Bytes(), []byte("\n")) { // as a file of the log does
		d.text.WriteByte('\n')
	}
	n := min(d.room, len(p))
	d.room -= n
	d.text.Write(p[:n])
	if n < len(p) {
		return n, errFull
	}

	return n, nil
}

func (d *disk) makeRoom(bytes int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.room = bytes
}

func (d *disk) lines() []string {
	d.mu.Lock()
	defer d.mu.Unlock()

	return strings.Split(strings.TrimSuffix(d.text.String(), "\n"), "\n")
}

// required opens a required log in a bubble. The buffer gets what it logs.
func required(t *testing.T, w io.Writer) (*audit.Log, *bytes.Buffer) {
	t.Helper()
	var logged bytes.Buffer
	l, err := audit.Open(audit.Config{
		Writer: w, Required: true, Clock: clock.Go(), Logger: slog.New(slog.NewTextHandler(&logged, nil)),
	})
	require.NoError(t, err)

	return l, &logged
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// While the disk is full, events wait, and nothing is lost or written twice. The reason is logged once.
func TestLog_Required(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		d := &disk{room: 1 << 20}
		l, logged := required(t, d)
		l.Write(audit.Event{Kind: audit.Start})
		synctest.Wait()
		require.Nil(t, l.Written(), "nothing is missing")
		require.NoError(t, l.Failing())

		size := len(d.lines()[0])
		d.makeRoom(size + 20) // a line and a part of the next one
		for range 3 {
			l.Write(audit.Event{Kind: audit.Start})
		}
		written := l.Written()
		require.Equal(t, written, l.Written())
		l.Write(audit.Event{Kind: audit.Start, User: "last"})
		later := l.Written()
		time.Sleep(10*time.Second + time.Millisecond)
		require.False(t, closed(written))
		require.EqualError(t, l.Failing(),
			"the audit log cannot be written, and answers wait for it: no space left on device")
		require.Len(t, d.lines(), 3, "two lines and the torn one")

		d.makeRoom(2*size + 3)
		<-written
		require.False(t, closed(later))
		require.Error(t, l.Failing())
		d.makeRoom(1 << 20)
		<-later
		require.NoError(t, l.Failing())
		require.NoError(t, l.Close())
		require.Zero(t, l.Dropped())
		whole := 0
		for _, line := range d.lines() {
			if strings.HasSuffix(line, "}") {
				whole++
			}
		}
		require.Equal(t, 5, whole, d.lines())
		require.Equal(t, 1, strings.Count(logged.String(), "audit log: cannot write, so answers wait"), logged)
		require.Equal(t, 1, strings.Count(logged.String(), "audit log: can write again"), logged)
		require.NotContains(t, logged.String(), "missing")
	})
}

// Close gives the lines that wait a last chance. Then it drops them, says so, and lets everybody continue.
func TestLog_RequiredCloses(t *testing.T) {
	t.Parallel()
	for _, room := range []int{0, 1 << 20} {
		bubbletest.Test(t, func(t *testing.T) {
			d := &disk{}
			l, logged := required(t, d)
			for range 1000 { // more than one batch
				l.Write(audit.Event{Kind: audit.Grant, Who: strings.Repeat("x", 120)})
			}
			written := l.Written()
			synctest.Wait()
			d.makeRoom(room)
			began := time.Now()
			require.NoError(t, l.Close())
			require.Zero(t, time.Since(began))
			require.True(t, closed(written))
			require.Nil(t, l.Written())
			if room == 0 {
				require.EqualValues(t, 1000, l.Dropped())
				require.Contains(t, logged.String(), `dropped=1000 error="no space left on device"`)
			} else {
				require.Zero(t, l.Dropped())
				require.Len(t, d.lines(), 1000)
			}
		})
	}
}

// A write that does not end is reported, and Close does not wait for it.
func TestLog_Stuck(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		w := &blocked{entered: make(chan struct{}), open: make(chan struct{})}
		l, logged := required(t, w)
		l.Write(audit.Event{Kind: audit.Start})
		<-w.entered
		l.Write(audit.Event{Kind: audit.Start})
		time.Sleep(5 * time.Second)
		require.NoError(t, l.Failing())
		time.Sleep(time.Millisecond)
		require.EqualError(t, l.Failing(), "the audit log has not taken a line for 5 s: check its disk")
		written := l.Written()
		began := time.Now()
		require.EqualError(t, l.Close(), "a write to the audit log does not end")
		require.Equal(t, 500*time.Millisecond, time.Since(began))
		require.True(t, closed(written))
		require.Contains(t, logged.String(), "dropped=2")
		close(w.open)
		synctest.Wait()
		require.NoError(t, l.Close())
	})
}

// A required log drops no event but refusals, which anybody can cause, and it says when it is full.
func TestLog_RequiredIsFull(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		d := &disk{}
		l, _ := required(t, d)
		l.Write(audit.Event{Kind: audit.Start})
		synctest.Wait()
		for i := range 8192 {
			require.False(t, l.Full())
			l.Write(audit.Event{Kind: audit.Denied, Reason: fmt.Sprint(i)})
		}
		require.True(t, l.Full())
		l.Write(audit.Event{Kind: audit.Denied})
		l.Write(audit.Event{Kind: audit.Login, Reason: "password"})
		require.EqualValues(t, 2, l.Dropped())
		l.Write(audit.Event{Kind: audit.Login})
		l.Write(audit.Event{Kind: audit.Grant})
		require.EqualValues(t, 2, l.Dropped())
		d.makeRoom(1 << 30)
		<-l.Written()
		require.False(t, l.Full())
		require.NoError(t, l.Close())
		require.Len(t, d.lines(), 1+8192+2)
	})
}

// Nobody waits for a log that is not required.
func TestLog_NotRequired(t *testing.T) {
	t.Parallel()
	l, err := audit.Open(audit.Config{Writer: &disk{}})
	require.NoError(t, err)
	l.Write(audit.Event{Kind: audit.Start})
	require.Nil(t, l.Written())
	require.NoError(t, l.Failing())
	require.NoError(t, l.Close())
	require.EqualValues(t, 1, l.Dropped())
	require.NoError(t, l.Failing())

	l = nil
	require.Nil(t, l.Written())
	require.NoError(t, l.Failing())
	require.False(t, l.Full())
}

// A single event that is not in the file has to be waited for.
func TestLog_RequiredWaitsForOneEvent(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		d := &disk{}
		l, _ := required(t, d)
		l.Write(audit.Event{Kind: audit.Start})
		written := l.Written()
		require.NotNil(t, written)
		d.makeRoom(1 << 20)
		<-written
		require.Len(t, d.lines(), 1)
		require.NoError(t, l.Close())
	})
}

// A log that is not required drops what it cannot write, and does not let later events wait for it.
func TestLog_NotRequiredDoesNotRetry(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		d := &disk{}
		l, err := audit.Open(audit.Config{Writer: d, Clock: clock.Go()})
		require.NoError(t, err)
		l.Write(audit.Event{Kind: audit.Start})
		synctest.Wait()
		require.EqualValues(t, 1, l.Dropped())
		d.makeRoom(1 << 20)
		l.Write(audit.Event{Kind: audit.Grant})
		synctest.Wait()
		require.Len(t, d.lines(), 1)
		require.NoError(t, l.Close())
	})
}

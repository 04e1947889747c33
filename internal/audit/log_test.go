package audit_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"tenure/internal/audit"
	"tenure/internal/bubbletest"
	"tenure/internal/clock"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The JSON of each kind of event is stable.
func TestEvent_JSON(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 1, 2, 0, 0, 123_456_789, time.FixedZone("", 3600))
	all := audit.Event{
		Time: at, Node: "/local/x", Semaphore: "deploy", Token: 812, Session: 7, User: "build", Peer: "10.0.0.7",
		Who: "ann@ci, pid 7", Count: 1, Waited: 1500 * time.Microsecond, Held: 48211 * time.Millisecond, Reason: "expired",
	}
	const common = `"node":"/local/x",`
	const rest = `"token":812,"session":7,"user":"build","peer":"10.0.0.7","who":"ann@ci, pid 7","count":1`
	for kind, want := range map[audit.Kind]string{
		audit.Grant:      common + `"sem":"deploy",` + rest + `,"waited_ms":1`,
		audit.End:        common + `"sem":"deploy",` + rest + `,"held_ms":48211`,
		audit.GiveUp:     common + `"sem":"deploy",` + rest + `,"waited_ms":1`,
		audit.Wait:       common + `"sem":"deploy",` + rest,
		audit.Deleted:    common + `"sem":"deploy",` + rest,
		audit.Denied:     common + rest,
		audit.Login:      common + rest,
		audit.NodeCreate: common + rest,
		audit.NodeDrop:   common + rest,
		audit.Start:      common + rest,
	} {
		e := all
		e.Kind = kind
		b, err := json.Marshal(e)
		require.NoError(t, err)
		require.Equal(t, `{"t":"2026-03-01T01:00:00.123Z","ev":"`+string(kind)+`",`+want+`,"reason":"expired"}`, string(b))
		var back audit.Event
		require.NoError(t, json.Unmarshal(b, &back))
		require.Equal(t, kind, back.Kind)
		require.True(t, back.Time.Equal(at.Truncate(time.Millisecond)))
	}
	b, err := json.Marshal(audit.Event{Kind: audit.Grant})
	require.NoError(t, err)
	require.JSONEq(t, `{"t":"0001-01-01T00:00:00Z","ev":"grant","sem":"","waited_ms":0}`, string(b))
}

func TestWho(t *testing.T) {
	t.Parallel()
	require.Equal(t, "ann", audit.Who([]byte("ann")))
	require.Equal(t, strings.Repeat("x", 119), audit.Who([]byte(strings.Repeat("x", 119)+"é")), "half a character")
	require.Equal(t, strings.Repeat("x", 118)+"é", audit.Who([]byte(strings.Repeat("x", 118)+"éy")))
	require.Equal(t, "a\uFFFD", audit.Who([]byte("a\xff\xfe")))
	require.LessOrEqual(t, len(audit.Who(bytes.Repeat([]byte{0xff}, 200))), 120)
}

func TestLog_Nil(t *testing.T) {
	t.Parallel()
	var l *audit.Log
	require.False(t, l.Wants("x"))
	l.Write(audit.Event{})
	require.Zero(t, l.Dropped())
	require.NoError(t, l.Reopen())
	require.NoError(t, l.Close())
}

// An event that contains more than names and paths is cut, and remains one line.
func TestLog_Long(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	l, err := audit.Open(audit.Config{Writer: &out})
	require.NoError(t, err)
	long := strings.Repeat("\n\x1b[2J", 1<<18)
	l.Write(audit.Event{
		Kind: audit.Deleted, Node: long, Semaphore: long, User: long, Peer: long, Who: long, Reason: long,
	})
	require.NoError(t, l.Close())
	require.Less(t, out.Len(), 1<<18)
	require.Equal(t, 1, strings.Count(out.String(), "\n"))
}

func TestLog_Only(t *testing.T) {
	t.Parallel()
	_, err := audit.Open(audit.Config{Writer: io.Discard, Only: "[a"})
	require.ErrorContains(t, err, `the pattern "[a" is not valid`)
	l, err := audit.Open(audit.Config{Writer: io.Discard, Only: "prod-*"})
	require.NoError(t, err)
	defer l.Close()
	require.True(t, l.Wants("prod-1"))
	require.False(t, l.Wants("test-1"))
}

// blocked is a writer that blocks until it is opened.
type blocked struct {
	entered, open chan struct{}
	once          sync.Once
	text          bytes.Buffer
}

func (b *blocked) Write(p []byte) (int, error) {
	b.once.Do(func() { close(b.entered) })
	<-b.open

	return b.text.Write(p)
}

// Write returns although the writer is stuck. What does not fit in the queue is counted, and logged once.
func TestLog_NeverWaits(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		w := &blocked{entered: make(chan struct{}), open: make(chan struct{})}
		var logged bytes.Buffer
		l, err := audit.Open(audit.Config{
			Writer: w, Clock: clock.Go(), Logger: slog.New(slog.NewTextHandler(&logged, nil)),
		})
		require.NoError(t, err)
		l.Write(audit.Event{Kind: audit.Start})
		<-w.entered
		const written = 20_000
		for range written {
			l.Write(audit.Event{Kind: audit.Grant})
		}
		dropped := l.Dropped()
		require.EqualValues(t, written-8192, dropped)
		close(w.open)
		require.NoError(t, l.Close())
		require.NoError(t, l.Close())
		require.Equal(t, 1+written-int(dropped), strings.Count(w.text.String(), "\n"))
		require.Equal(t, 1, strings.Count(logged.String(), "events are missing"), logged.String())
		require.Contains(t, logged.String(), "dropped=11808")
		l.Write(audit.Event{})
		require.Equal(t, dropped+1, l.Dropped(), "the log is closed")
	})
}

// lines returns the semaphores of the events in a file.
func lines(t *testing.T, path string) (names []string) {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		var e audit.Event
		if json.Unmarshal([]byte(line), &e) == nil {
			names = append(names, e.Semaphore)
		}
	}

	return names
}

// write writes one event and waits until it is in the file.
func write(t *testing.T, l *audit.Log, w *os.File, name string) {
	t.Helper()
	l.Write(audit.Event{Kind: audit.Wait, Semaphore: name})
	require.Eventually(t, func() bool {
		for i := range 2 {
			text, err := os.ReadFile(audit.Rotated(w.Name(), i))
			if err == nil && strings.Contains(string(text), `"`+name+`"`) {
				return true
			}
		}

		return false
	}, time.Minute, time.Millisecond)
}

// Ten files are kept. Each is below the limit.
func TestLog_Rotates(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit.log")
	l, err := audit.Open(audit.Config{Path: path, MaxSize: 130})
	require.NoError(t, err)
	w, err := os.Open(path)
	require.NoError(t, err)
	defer w.Close()
	for i := range 24 { // two lines fit in a file
		write(t, l, w, fmt.Sprint("s", i))
	}
	require.NoError(t, l.Close())
	for i := range 10 {
		require.Equal(t, []string{fmt.Sprint("s", 22-2*i), fmt.Sprint("s", 23-2*i)}, lines(t, audit.Rotated(path, i)))
		info, err := os.Stat(audit.Rotated(path, i))
		require.NoError(t, err)
		require.LessOrEqual(t, info.Size(), int64(130))
	}
	require.NoFileExists(t, audit.Rotated(path, 10))
}

// A second server continues the file, on a new line if the first one was interrupted. Reopen follows a rename.
func TestLog_Reopens(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit.log")
	require.NoError(t, os.WriteFile(path, []byte(`{"t":"2026-03-01T02:00`), 0o600))
	l, err := audit.Open(audit.Config{Path: path})
	require.NoError(t, err)
	w, err := os.Open(path)
	require.NoError(t, err)
	defer w.Close()
	write(t, l, w, "first")
	require.NoError(t, os.Rename(path, path+".1"))
	write(t, l, w, "second")
	require.NoError(t, l.Reopen())
	write(t, l, w, "third")
	require.NoError(t, l.Close())
	require.Equal(t, []string{"first", "second"}, lines(t, path+".1"))
	require.Equal(t, []string{"third"}, lines(t, path))
	require.Zero(t, l.Dropped())

	_, err = audit.Open(audit.Config{Path: filepath.Dir(path)})
	require.Error(t, err)
}

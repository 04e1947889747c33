package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/audit"
	"tenure/internal/bubbletest"
	"tenure/internal/clock"
)

// A caller who is refused again and again gets one line a minute in the log and in the audit log, with the number of
// times. Metrics count each time.
func TestDenials(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		var log, lines bytes.Buffer
		var counted labelled
		trail, err := audit.Open(audit.Config{Writer: &lines, Clock: clock.Go()})
		require.NoError(t, err)
		d := newDenials(&counted, trail, slog.New(slog.NewTextHandler(&log, nil)), clock.Go())
		for range 5 {
			d.lacks("ann", "10.0.0.7", "/local/a", "ydb.granular.update_row")
		}
		d.lacks("ann", "10.0.0.7", "/local/b", "ydb.granular.update_row")
		time.Sleep(reportInterval)
		d.lacks("ann", "10.0.0.7", "/local/a", "ydb.granular.update_row")
		require.NoError(t, trail.Close())

		got := events(t, lines.String())
		require.Equal(t, []string{
			"denied /local/a ann 10.0.0.7 needs ydb.granular.update_row 0",
			"denied /local/b ann 10.0.0.7 needs ydb.granular.update_row 0",
			"denied /local/a ann 10.0.0.7 needs ydb.granular.update_row 5",
		}, got)
		require.Equal(t, 3, strings.Count(log.String(), "\n"))
		require.Contains(t, log.String(), `msg="request refused: the caller lacks a right" user=ann node=/local/a `+
			`right=ydb.granular.update_row address=10.0.0.7 refused=5`)
		require.Equal(t, map[string]uint64{"rights": 7}, counted.all())
	})
}

// However many callers are refused, the number of lines is bounded, and so is the memory.
func TestDenials_Many(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		var lines bytes.Buffer
		var counted labelled
		trail, err := audit.Open(audit.Config{Writer: &lines, Clock: clock.Go()})
		require.NoError(t, err)
		d := newDenials(&counted, trail, slog.New(slog.DiscardHandler), clock.Go())
		refuse := func(from, to int) {
			for i := from; i < to; i++ {
				d.add(audit.Event{Kind: audit.Denied, Peer: fmt.Sprint(i), Reason: "unknown_token"}, "unknown_token")
			}
		}
		refuse(0, 3*maxKinds)
		time.Sleep(reportInterval)
		refuse(0, 1) // the others are forgotten when room is needed
		refuse(3*maxKinds, 4*maxKinds)
		require.LessOrEqual(t, len(d.repeats.kinds), maxKinds+1)
		require.NoError(t, trail.Close())
		require.Len(t, events(t, lines.String()), (maxKinds+1)+1+maxKinds)
	})
}

func events(t *testing.T, lines string) (all []string) {
	t.Helper()
	for line := range strings.Lines(lines) {
		var e audit.Event
		require.NoError(t, json.Unmarshal([]byte(line), &e))
		all = append(all, fmt.Sprint(e.Kind, " ", e.Node, " ", e.User, " ", e.Peer, " ", e.Reason, " ", e.Times))
	}

	return all
}

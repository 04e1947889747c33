package workerscmd

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/workers"
)

// sample is a pool with a task in each state.
func sample() *table {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	alice, bob := "alice@ci-3, pid 42 (./index)", "bob@b, pid 7 (./index)"

	return newTable(&workers.Status{
		Tasks: []workers.TaskStatus{
			{Name: "job-0", Weight: 1, State: workers.Free},
			{
				Name: "job-1", Weight: 3, State: workers.Running, Worker: "indexer-1", Session: 5, Token: 42,
				Since: ago(3*time.Hour + 2*time.Minute), Heard: ago(2 * time.Second),
			},
			{Name: "job-10", Weight: 1, State: workers.Success, Worker: "indexer-1", Token: 3, Failed: ago(time.Hour)},
			{
				Name: "job-2", Weight: 1, State: workers.Waiting, Worker: "b-7-0a", Session: 8, Token: 17, Failures: 2,
				Reason: "exit code 1", Failed: ago(4 * time.Second),
			},
			{Name: "job-3", Weight: 1, State: workers.Outside, Session: 9, Token: 40, Data: []byte("carol@c, pid 1 (lock)")},
			{Name: "job-4", Weight: 1, State: workers.Outside, Session: 10, Token: 41},
			{
				Name: "job-5", Weight: 1, State: workers.Failure, Worker: "indexer-1", Token: 9, Failures: 4,
				Reason: "exit code 7", Failed: ago(time.Minute),
			},
		},
		Unassigned: []string{"job-0"},
		Members: []workers.Member{
			{Name: "b-7-0a", Who: bob, Session: 8, Capacity: 1, Running: 1, Greedy: true, Leaving: true, Differs: true},
			{
				Name: "indexer-1", Named: true, Who: alice, Session: 5, Capacity: 4, Running: 1,
				Labels: map[string]string{"zone": "a"},
			},
		},
	}, "/local/tenure", now, 5)
}

func TestTable_Golden(t *testing.T) {
	t.Parallel()
	table := sample()
	object, err := json.MarshalIndent(table, "", "  ")
	require.NoError(t, err)
	for file, got := range map[string]string{"table.txt": table.text(), "table.json": string(object) + "\n"} {
		path := filepath.Join("testdata", file)
		if os.Getenv("REWRITE") != "" {
			require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
		}
		want, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, string(want), got)
	}
}

func TestTable_Empty(t *testing.T) {
	t.Parallel()
	require.Equal(t, "no task\n\nno worker\n", new(table).text())
}

func TestUnassignedLine(t *testing.T) {
	t.Parallel()
	require.Equal(t, "2 of 10 unassigned: job-3, job-7", unassignedLine([]string{"job-3", "job-7"}, 10))
	names := make([]string, 100)
	for i := range names {
		names[i] = fmt.Sprint("job-", i)
	}
	require.Equal(t, "6 of 200 unassigned: job-0, job-1, job-2, job-3, job-4, job-5", unassignedLine(names[:6], 200))
	require.Equal(t, "100 of 200 unassigned: job-0, job-1, job-2, job-3, job-4, ... and 95 more",
		unassignedLine(names, 200))
}

func TestNatural(t *testing.T) {
	t.Parallel()
	sorted := strings.Fields("a a1 a01 a2 a2b a10 a10b2 a10b10 b 99999999999999999999 ä")
	slices.SortFunc(sorted, natural)
	require.Equal(t, strings.Fields("99999999999999999999 a a01 a1 a2 a2b a10 a10b2 a10b10 b ä"), sorted)
}

// A terminal shows as much as it has room for, and the rest of the previous text disappears.
func TestDrawing(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	d := &drawing{out: &out, size: func() (width, height int, err error) { return 4, 4, nil }}
	require.NoError(t, d.draw("1\n2\n3\n"))
	require.NoError(t, d.draw("12345\n2\n3\n4\n"))
	require.Equal(t, "\x1b[2J\x1b[H1\x1b[K\n2\x1b[K\n3\x1b[K\n\x1b[J"+
		"\x1b[H1234\x1b[K\n2\x1b[K\n... \x1b[K\n\x1b[J", out.String())

	out.Reset()
	d = &drawing{out: &out}
	require.NoError(t, d.draw("1\n"))
	require.NoError(t, d.draw("2\n"))
	require.Equal(t, "1\n\n2\n", out.String())
}

package look

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/printable"
	"tenure/internal/roster"
	"tenure/server"
)

// What lock and workers write for themselves is shown to people as what it means. Other data is shown as it is, if it
// is not long.
func TestSemaphore_DataText(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 1, 2, 0, 0, 0, time.UTC)
	long := strings.Repeat("x", 5000)
	failed := roster.Record{Failures: 3, At: at, Reason: "exit code 1", Worker: "a"}
	for name, test := range map[string]struct{ semaphore, data, want string }{
		"runs": {
			"mig#once", `[{"key":"k1","token":3,"by":"a","at":"2026-03-01T02:00:00Z"},{"key":"k\u001b2"}]`,
			`record of lock --once: 2 runs, the newest for "k\x1b2"`,
		},
		"another program's runs": {"mig#once", `[{"key":`, `data "[{\"key\":"`},
		"failed": {
			"a#record", string(failed.Encode()),
			`record of workers: the task "a" has failed 3 times in a row: "exit code 1"`,
		},
		"done": {
			"a#record", string(roster.Record{At: at, Done: true}.Encode()),
			`record of workers: the task "a" is done since ` + at.Local().Format(time.DateTime),
		},
		"another program's record": {"a#record", `five`, `data "five"`},
		"of users":                 {"slots", `[{"key":"k1"}]`, `data "[{\"key\":\"k1\"}]"`},
		"long": {
			"slots", long, `data of 5000 bytes, which -o json shows: "` + long[:200] + `" and so on`,
		},
		"none": {"slots", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := Semaphore{Name: test.semaphore, Data: test.data}
			require.Equal(t, test.want, s.dataText())
			require.Contains(t, s.Text(at, printable.Style{}), test.want)
			require.Contains(t, Change{Semaphore: s}.Line(printable.Style{}), test.want)
		})
	}
}

// People see who a worker is, and programs see all of its announcement.
func TestHolder_Name(t *testing.T) {
	t.Parallel()
	worker := roster.Announcement{Worker: "w1", Who: "ann@ci, pid 7 (workers)", Digest: "97cb7cdaac39a43f"}
	of := func(name, data string) Holder {
		s := OfStatus(server.SemaphoreStatus{Name: name, Owners: []server.HolderStatus{{Session: 1, Token: 2, Data: data}}})
		require.Equal(t, s.Holders[0].Who, NewHolder(1, 2, []byte(data)).Who, "in -o json")

		return s.Holders[0]
	}
	require.Equal(t, "worker w1: ann@ci, pid 7 (workers)", of("job#members", string(worker.Encode())).Name())
	require.Equal(t, "another", of("job#members", "another").Name())
	require.Equal(t, string(worker.Encode()), of("job", string(worker.Encode())).Name())
}

// The data of --data hides the process. People see it nevertheless, if the server tells the description of the session.
func TestSemaphore_Process(t *testing.T) {
	t.Parallel()
	text := func(data, description string) string {
		return OfStatus(server.SemaphoreStatus{Name: "deploy", Owners: []server.HolderStatus{
			{Session: 1, Token: 2, Data: data, Description: description},
		}}).Text(time.Time{}, printable.Style{})
	}
	const process = "ann@ci, pid 7 (sh)"
	require.Contains(t, text("release 42", process), "holder  release 42  ann@ci, pid 7 (sh)")
	for _, plain := range []string{text(process, process), text("", process), text("release 42", "lock")} {
		require.NotContains(t, plain, "PROCESS")
	}
}

package audit_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/audit"
)

// readHistory reads a log that consists of an older file and the current one.
func readHistory(t *testing.T, old, current string) *audit.History {
	t.Helper()
	path := filepath.Join(t.TempDir(), "audit.log")
	require.NoError(t, os.WriteFile(path+".1", []byte(old), 0o600))
	require.NoError(t, os.WriteFile(path, []byte(current), 0o600))
	h, err := audit.ReadHistory(path, "/local/x", "deploy")
	require.NoError(t, err)

	return h
}

// line returns a line of a log. The rest is without braces.
func line(second, kind, rest string) string {
	return `{"t":"2026-03-01T02:00:` + second + `Z","ev":"` + kind + `","node":"/local/x","sem":"deploy",` + rest + "}\n"
}

const whole = `"count":18446744073709551615,"session":7`

func TestReadHistory(t *testing.T) {
	t.Parallel()
	h := readHistory(t,
		line("00", "end", `"token":1,"reason":"expired",`+whole)+line("01", "grant", `"token":2,`+whole)+"{torn\n",
		line("02", "wait", `"token":3,`+whole)+line("03", "end", `"token":2,"reason":"released",`+whole)+
			line("03", "grant", `"token":3,"who":"ann",`+whole)+
			strings.ReplaceAll(line("04", "grant", `"token":4,`+whole), "/local/x", "/local/y")+
			`{"t":"2026-03-01T02:00:05Z","ev":"start"}`+"\n")
	require.Equal(t, 1, h.Skipped)
	require.Len(t, h.Intervals, 3)
	first, second, third := h.Intervals[0], h.Intervals[1], h.Intervals[2]
	require.True(t, first.Time.IsZero(), "the grant is older than the log")
	require.Equal(t, "expired", first.Cause)
	require.EqualValues(t, 2, second.Token)
	require.Equal(t, "released", second.Cause)
	require.Equal(t, 3, second.Until.Second())
	require.Equal(t, "ann", third.Who)
	require.True(t, third.Unfinished)
	require.True(t, third.Until.IsZero())
	require.Empty(t, h.TwoHolders())
}

// Two grants of all tokens at the same time are found. Two that share the limit are not two holders.
func TestReadHistory_TwoHolders(t *testing.T) {
	t.Parallel()
	h := readHistory(t, "", line("01", "grant", `"token":2,`+whole)+line("02", "grant", `"token":3,`+whole))
	require.Len(t, h.TwoHolders(), 1)
	require.EqualValues(t, 3, h.TwoHolders()[0].Token)
	require.Equal(t, []uint64{2}, h.TwoHolders()[0].Overlaps)

	shared := line("01", "grant", `"token":2,"count":2,"limit":3`) + line("02", "shrink", `"token":2,"count":1`) +
		line("03", "grant", `"token":3,"count":2,"limit":3`)
	h = readHistory(t, "", shared)
	require.Empty(t, h.TwoHolders())
	require.Equal(t, []uint64{2}, h.Intervals[1].Overlaps)
	h = readHistory(t, "", shared+line("04", "grant", `"token":4,"count":1,"limit":3`))
	require.Len(t, h.TwoHolders(), 1)

	h = readHistory(t, "", line("01", "grant", `"token":2,`+whole)+
		`{"t":"2026-03-01T02:00:02Z","ev":"node_drop","node":"/local/x"}`+"\n"+line("03", "grant", `"token":1,`+whole))
	require.Empty(t, h.TwoHolders())
	require.Equal(t, "dropped", h.Intervals[0].Cause)
}

// A log of several nodes may have the same tokens and names in each of them. An end after a restart is one.
func TestReadHistory_Nodes(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit.log")
	elsewhere := func(line string) string { return strings.ReplaceAll(line, "/local/x", "/local/y") }
	require.NoError(t, os.WriteFile(audit.Rotated(path, 9), []byte(line("01", "grant", `"token":1,`+whole)), 0o600))
	require.NoError(t, os.WriteFile(path, []byte(
		elsewhere(line("02", "grant", `"token":1,`+whole)+line("03", "end", `"token":1,"reason":"released",`+whole))+
			elsewhere(line("04", "grant", `"token":2,"count":2,"limit":3`)+line("05", "shrink", `"token":2,"count":1`))+
			`{"t":"2026-03-01T02:00:06Z","ev":"start"}`+"\n"+
			elsewhere(line("07", "end", `"token":2,"reason":"expired"`))+
			strings.ReplaceAll(line("08", "grant", `"token":3`), "deploy", strings.Repeat("x", 6000))), 0o600))
	h, err := audit.ReadHistory(path, "", "deploy")
	require.NoError(t, err)
	require.Equal(t, 8, h.To.Second(), "of the last event, about whatever")
	require.Zero(t, h.Skipped)
	require.Len(t, h.Intervals, 3)
	require.Empty(t, h.TwoHolders())
	first, second, third := h.Intervals[0], h.Intervals[1], h.Intervals[2]
	require.Equal(t, "/local/x", first.Node)
	require.True(t, first.Until.IsZero())
	require.True(t, first.Unfinished)
	require.Equal(t, 3, second.Until.Second())
	require.Empty(t, second.Overlaps)
	require.EqualValues(t, 1, third.Count)
	require.Equal(t, "expired", third.Cause)
	require.False(t, third.Unfinished)
}

// Each grant that leaves no room is found, with all that were in force, also if those were too many already.
func TestReadHistory_ThreeHolders(t *testing.T) {
	t.Parallel()
	h := readHistory(t, "", line("01", "grant", `"token":2,"count":2,"limit":3`)+
		line("02", "grant", `"token":3,"count":2,"limit":3`)+line("03", "grant", `"token":4,"count":1,"limit":3`))
	require.Len(t, h.TwoHolders(), 2)
	require.Equal(t, []uint64{2, 3}, h.TwoHolders()[1].Overlaps)
}

// A file that cannot be read is not taken for one that is missing: it may hide a holder.
func TestReadHistory_Unreadable(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit.log")
	_, err := audit.ReadHistory(path, "", "deploy")
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	h, err := audit.ReadHistory(path, "", "deploy")
	require.NoError(t, err)
	require.Zero(t, h.From)
	require.NoError(t, os.Mkdir(audit.Rotated(path, 3), 0o700))
	_, err = audit.ReadHistory(path, "", "deploy")
	require.Error(t, err)
}

// A line that is too long is damaged. What follows it counts.
func TestReadHistory_LongLine(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 3<<20)
	h := readHistory(t, long+"\n"+line("01", "grant", `"token":2,`+whole), long)
	require.Equal(t, 2, h.Skipped)
	require.Len(t, h.Intervals, 1)
}

// A file that was copied, and not renamed, has the same lines as another one. They count once, also if the copy ends
// while the semaphore is held.
func TestReadHistory_Copies(t *testing.T) {
	t.Parallel()
	all := line("01", "grant", `"token":1,`+whole) + line("02", "end", `"token":1,"reason":"released",`+whole) +
		`{"t":"2026-03-01T02:00:03Z","ev":"start"}` + "\n" + line("04", "grant", `"token":2,`+whole)
	h := readHistory(t, all, all+line("05", "end", `"token":2,"reason":"released",`+whole))
	require.Equal(t, 4, h.Repeated)
	require.Len(t, h.Intervals, 2)
	require.Empty(t, h.TwoHolders())
	require.Empty(t, h.Intervals[1].Overlaps)
	require.Equal(t, 5, h.Intervals[1].Until.Second())
}

// The log has each token of a node once before it has a higher one, unless lines are missing. The tokens of other nodes
// and of one that was created anew do not count.
func TestReadHistory_MissingTokens(t *testing.T) {
	t.Parallel()
	other := func(line string) string { return strings.ReplaceAll(line, "deploy", "build") }
	elsewhere := func(line string) string { return strings.ReplaceAll(line, "/local/x", "/local/y") }
	complete := line("01", "grant", `"token":5`) + other(line("02", "wait", `"token":6`)) +
		line("03", "wait", `"token":7`) +
		other(line("04", "grant", `"token":6`)) + elsewhere(line("05", "grant", `"token":70`)) +
		line("06", "end", `"token":5,"reason":"released"`) + line("06", "grant", `"token":7`)
	require.Zero(t, readHistory(t, complete, "").Missing)
	again := `{"t":"2026-03-01T02:00:07Z","ev":"node_drop","node":"/local/x"}` + "\n" + line("08", "grant", `"token":1`)
	require.Zero(t, readHistory(t, complete, again).Missing)
	require.EqualValues(t, 2, readHistory(t, complete, line("08", "grant", `"token":10`)).Missing)
	require.EqualValues(t, 3, readHistory(t, complete, again+line("09", "grant", `"token":5`)).Missing)
}

package printable_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/printable"
)

func TestText(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                         "",
		"jörg@ci-3, pid 42 (日本語)":  "jörg@ci-3, pid 42 (日本語)",
		"a\x1b[2Jb":                `a\x1b[2Jb`,
		"two\nlines\r\t":           `two\nlines\r\t`,
		"right\u202eto left\u200b": `right\u202eto left\u200b`,
		"\u009b31m\x7f":            `\u009b31m\x7f`,
		"bad \xff\xfe UTF-8":       `bad \xff\xfe UTF-8`,
		"a real \ufffd":            "a real \ufffd",
		"tag \U000e0041":           `tag \U000e0041`,
	} {
		require.Equal(t, want, printable.Text(text))
	}
}

func TestColumns(t *testing.T) {
	t.Parallel()
	titles := []string{"NAME", "EMPTY", "STATE", "REMARKS"}
	lines := [][]string{{"a\x1bb", "", "", "gone"}, {"jörg", "", "free", ""}}
	require.Empty(t, printable.Columns(titles, nil))
	require.Equal(t, "NAME    EMPTY  STATE  REMARKS\n"+
		`a\x1bb  -      -      gone`+"\n"+
		"jörg    -      free\n", printable.Columns(titles, lines))
	require.Equal(t, "NAME    STATE  REMARKS\n"+
		`a\x1bb  -      gone`+"\n"+
		"jörg    free\n", printable.Columns(printable.Used(titles, lines)))
}

// Colours are only for a terminal that has them, and for users who do not refuse them.
func TestStyle(t *testing.T) {
	t.Parallel()
	type vars = map[string]string
	for _, test := range []struct {
		terminal bool
		vars     vars
		want     string
	}{
		{true, vars{"TERM": "xterm"}, "\x1b[32mfree\x1b[0m"},
		{true, vars{"TERM": "xterm", "NO_COLOR": ""}, "\x1b[32mfree\x1b[0m"},
		{true, vars{"TERM": "xterm", "NO_COLOR": "1"}, "free"},
		{true, vars{"TERM": "dumb"}, "free"},
		{true, vars{}, "free"},
		{false, vars{"TERM": "xterm"}, "free"},
	} {
		lookup := func(name string) (string, bool) { v, ok := test.vars[name]; return v, ok }
		require.Equal(t, test.want, printable.NewStyle(test.terminal, lookup).Good("free"), "%+v", test)
	}
}

func TestShort(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 199)
	for text, want := range map[string]string{
		"": "", "a\x1b": "a\x1b", long + "y": long + "y", long + "yz": long + "y…", long + "日本": long + "…",
		strings.Repeat("\x80", 300): "…",
	} {
		require.Equal(t, want, printable.Short(text))
	}
}

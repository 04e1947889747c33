package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/cli"
)

// An auditLine is a line of a log at a second. The rest is without braces.
func auditLine(second, kind, rest string) string {
	return `{"t":"2026-03-01T02:00:` + second + `Z","ev":"` + kind + `","node":"/local/x","sem":"deploy",` + rest + "}\n"
}

// who --history shows each grant, also those in older files, and says whether there were two holders.
func TestWho_History(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "audit.log")
	old := auditLine("01", "grant", `"token":1,"session":7,"who":"ann@ci, pid 7 (x)","user":"build"`) +
		auditLine("05", "end", `"token":1,"session":7,"reason":"released"`)
	orderly := auditLine("06", "grant", `"token":2,"session":8,"who":"bob"`) +
		`{"t":"2026-03-01T02:00:07Z","ev":"start"}` + "\n"
	write := func(path, text string) { require.NoError(t, os.WriteFile(path, []byte(text), 0o600)) }
	write(file+".1", old)
	write(file, orderly)
	who := func(args ...string) (code int, output string) {
		code, stdout, stderr := tenureRun(t, map[string]string{"HOME": "/home/me", "TENURE_AUDIT": file},
			append([]string{"who", "--history", "deploy"}, args...)...)

		return code, stdout + stderr
	}
	code, output := who()
	require.Equal(t, cli.ExitOK, code)
	require.Regexp(t, `^BEGIN +END +FOR +TOKEN  WHO +USER +CAUSE
2026\S+ \S+:01  2026\S+ \S+:05  4s +1 +ann@ci, pid 7 \(x\)  build  released
2026\S+ \S+:06  unknown .* 2 +bob .*
"deploy" never had more holders at the same time than its limit allows, from .*
not in the log: .*
grants that were in force when the server started again, and whose end is missing: 1
$`, output)

	write(file, orderly+"torn\n"+
		auditLine("08", "grant", `"token":3,"session":9,"count":18446744073709551615,"who":"eve"`))
	write(file+".1", old+auditLine("05", "grant", `"token":2,"session":8,"count":18446744073709551615,"who":"bob"`))
	code, output = who()
	require.Equal(t, 1, code)
	require.Contains(t, output, "TWO HOLDERS: with token 2")
	require.Contains(t, output, `"deploy" had more holders at the same time than its limit allows, from `)
	require.Contains(t, output, "lines that are damaged and may hide grants: 1\n")
	code, output = who("-o", "json")
	require.Equal(t, exitTwoHolders, code)
	lines := strings.Split(strings.TrimSpace(output), "\n")
	require.JSONEq(t, `{"node": "/local/x", "name": "deploy", "token": 1, "session": 7, "who": "ann@ci, pid 7 (x)",
		"user": "build", "begin": "2026-03-01T02:00:01Z", "end": "2026-03-01T02:00:05Z", "cause": "released"}`, lines[0])
	require.JSONEq(t, `{"node": "/local/x", "name": "deploy", "token": 3, "session": 9, "who": "eve",
		"begin": "2026-03-01T02:00:08Z", "overlaps": [2, 2], "two_holders": true}`, lines[len(lines)-2])
	require.JSONEq(t, `{"two_holders": true, "grants": 4, "from": "2026-03-01T02:00:01Z", "to": "2026-03-01T02:00:08Z",
		"damaged": 1}`, lines[len(lines)-1])

	write(file+".1", old+auditLine("05", "grant", `"token":4,"session":8,"who":"bob"`)+
		auditLine("05", "end", `"token":4,"session":8,"reason":"released"`))
	write(file, old)
	code, output = who()
	require.Equal(t, cli.ExitOK, code, "the same lines twice are not two holders")
	require.Contains(t, output, "lines that are in the log twice, as if a file was copied, and count once: 2\n")
	require.Contains(t, output, "tokens that the log skips, and that may be of grants of \"deploy\": 2; a file may be "+
		"missing, or see above\n")
	_, output = who("-o", "json")
	require.Contains(t, output, `"repeated":2,"missing_tokens":2`)

	_, output = who("--path", "/local/y")
	require.Contains(t, output, `the log has no grant of "deploy", from `)
	for flags, want := range map[string]string{
		"--audit -":     "--audit is missing: pass the file that \"tenure serve --audit\" writes, or a copy of it",
		"--audit /none": "--audit=\"/none\": no such file or directory",
		"--path x":      "--path=\"x\" is not absolute: write e.g. /local/x",
	} {
		code, output = who(strings.Fields(flags)...)
		require.Equal(t, "tenure: "+want+"\n", output)
		require.Equal(t, cli.ExitFailure, code)
	}
	_, _, stderr := tenureRun(t, nil, "who", "--audit", file, "deploy")
	require.Equal(t, "tenure: --audit is for the history: pass --history, or leave --audit out\n", stderr)
}

// The table says what the log does not know, and has the columns that are needed.
func TestWho_HistoryTable(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "audit.log")
	who := func(text string, args ...string) string {
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		code, stdout, stderr := tenureRun(t, map[string]string{"HOME": "/home/me"},
			append([]string{"who", "--history", "--audit", file, "deploy"}, args...)...)
		require.Zero(t, code)
		require.Empty(t, stderr)

		return stdout
	}
	require.Equal(t, "the log is empty\n", who(""))
	text := auditLine("01", "end", `"token":1,"session":5,"reason":"expired"`) +
		auditLine("02", "grant", `"token":2,"session":6,"who":"bob","peer":"10.0.0.7","count":2,"limit":3`) +
		strings.ReplaceAll(auditLine("03", "grant", `"token":2,"session":7,"who":"eve"`), "/local/x", "/local/y")
	require.Regexp(t, `^NODE +BEGIN +END +TOKEN +WHO +COUNT +CAUSE
/local/x +before the log +2026\S+ \S+:01 +1 +session 5 +- +expired
/local/x +2026\S+ \S+:02 +not yet +2 +bob +2
/local/y +2026\S+ \S+:03 +not yet +2 +eve +-
"deploy" never had `, who(text))
	require.NotContains(t, who(text), "whose end is missing", "they have not ended")
	lines := strings.Split(who(text, "-o", "json"), "\n")
	require.JSONEq(t, `{"node": "/local/x", "name": "deploy", "token": 1, "session": 5, "who": "session 5",
		"end": "2026-03-01T02:00:01Z", "cause": "expired"}`, lines[0])
	require.JSONEq(t, `{"node": "/local/x", "name": "deploy", "token": 2, "session": 6, "who": "bob", "peer": "10.0.0.7",
		"count": 2, "begin": "2026-03-01T02:00:02Z"}`, lines[1])
}

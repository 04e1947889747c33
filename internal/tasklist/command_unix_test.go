//go:build unix

package tasklist

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestCommand_Load(t *testing.T) {
	t.Parallel()
	specs, err := Command("command", `echo a 2; echo warning >&2; printf b`, time.Minute).Load(t.Context())
	require.NoError(t, err)
	require.Equal(t, []Spec{{Name: "a", Weight: 2}, {Name: "b", Weight: 1}}, specs)
	for line, want := range map[string]string{
		"echo a; echo one >&2; echo two >&2; exit 3": "command: exit code 3 (two)",
		"kill -9 $$":             "command: exit code 137",
		"true":                   "command: it lists no task",
		"echo a; echo a":         `command:2: "a" is listed twice, first in line 1`,
		"/nowhere":               "command: exit code 127 (",
		"yes | head -c 17000000": "command: it prints more than 16 MiB",
	} {
		_, err := Command("command", line, time.Minute).Load(t.Context())
		require.ErrorContains(t, err, want)
	}
}

// A program that does not end is killed, with what it has started.
func TestCommand_Limit(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "pid")
	p := &program{title: "command", line: "sleep 1000 & echo $! >" + file + "; wait", limit: 300 * time.Millisecond}
	_, err := p.read(t.Context())
	require.EqualError(t, err, "command: no end after 300ms")
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	pid := strings.TrimSpace(string(text))
	require.Eventually(t, func() bool { return !running(pid) }, time.Minute, time.Millisecond)
}

// running reports whether a process runs. A process that has ended and that nobody collects does not.
func running(pid string) bool {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")

	return err == nil && !strings.Contains(string(stat), ") Z ")
}

package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"

	"tenure/internal/programs/programstest"
	"tenure/internal/relaytest"
)

// With --audit-required, a server whose audit log is on a full disk does not answer, and says why. It continues when
// there is room. A signal ends it in both states.
func TestServe_AuditRequired(t *testing.T) {
	t.Parallel()
	const full = "/dev/full" // every write to it fails
	if _, err := os.Stat(full); err != nil {
		t.Skip("the system has no file that is always full")
	}
	address, log := relaytest.FreeAddress(t), filepath.Join(t.TempDir(), "audit.log")
	require.NoError(t, os.Symlink(full, log))
	cmd, addr, stderr := process(t, "serve", "--listen", "127.0.0.1:0", "--memory", "--http", address,
		"--audit", log, "--audit-required")
	awaitReady := func(status int) (text string) {
		require.Eventually(t, func() bool {
			var got int
			got, text = get("http://" + address + "/readyz")

			return got == status
		}, soon, time.Millisecond)

		return text
	}
	c := client(t, addr)
	create := func(path string) <-chan Ydb.StatusIds_StatusCode {
		answer := make(chan Ydb.StatusIds_StatusCode, 1)
		go func() {
			a, _ := c.CreateNode(t.Context(), &Ydb_Coordination.CreateNodeRequest{Path: path})
			answer <- a.GetOperation().GetStatus()
		}()
		require.Eventually(t, func() bool { return describeNode(t, c, path) == Ydb.StatusIds_SUCCESS }, soon,
			time.Millisecond)

		return answer
	}

	require.Contains(t, awaitReady(503), "the audit log cannot be written, and answers wait for it: write "+log+
		": no space left on device")
	answer := create("/local/a") // it exists now
	require.Empty(t, answer)
	require.NoError(t, os.Remove(log))
	require.NoError(t, cmd.Process.Signal(syscall.SIGHUP))
	require.Equal(t, Ydb.StatusIds_SUCCESS, <-answer)
	awaitReady(200)
	text, err := os.ReadFile(log)
	require.NoError(t, err)
	require.Regexp(t, `^\{.*"ev":"start"\}\n\{.*"ev":"node_create","node":"/local/a".*\}\n$`, string(text))

	require.NoError(t, os.Remove(log))
	require.NoError(t, os.Symlink(full, log))
	require.NoError(t, cmd.Process.Signal(syscall.SIGHUP))
	require.Eventually(t, func() bool { // until the signal has arrived
		create(filepath.Join("/local", time.Now().Format("b-150405.000000000")))
		status, _ := get("http://" + address + "/readyz")

		return status == 503
	}, soon, time.Millisecond)
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(t, programstest.Wait(t, cmd))
	for message, times := range map[string]int{
		`"audit log: cannot write, so answers wait"`: 2, `"audit log: can write again"`: 1,
		`"audit log: events are missing"`: 1,
	} {
		require.Equal(t, times, strings.Count(stderr.String(), message), "%s in %s", message, stderr)
	}
}

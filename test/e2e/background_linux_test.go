package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// script starts a shell with a script. The word LOCK in it takes the lock with --pid.
func (srv *server) script(name, script string, flags ...string) *process {
	srv.stage.t.Helper()
	require.NoError(srv.stage.t, os.Symlink("/bin/sh", filepath.Join(srv.stage.dir, "sh")))
	sh, err := filepath.Rel(scratch, filepath.Join(srv.stage.dir, "sh"))
	require.NoError(srv.stage.t, err)
	take := fmt.Sprintf("%s/lock --ydb %s --path %s %s --pid $$ lock || exit", scratch, srv.dsn(), node,
		strings.Join(flags, " "))

	return srv.stage.start(name, sh, "-c", strings.ReplaceAll(script, "LOCK", take))
}

var holderPID = regexp.MustCompile(`pid (\d+) `)

// If the process that holds a lock in the background is killed, the process that the lock is for is killed too, and
// only then does the next holder start.
func TestBackground_HolderIsKilled(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	srv := newServer(s)
	script := srv.script("script", "LOCK; echo holds; while :; do sleep 0.05; done", "--timeout", "1m")
	script.await(0, soon, "holds") // the server knows the owner earlier than lock does
	match := holderPID.FindSubmatch(srv.describe("lock").GetOwners()[0].GetData())
	require.NotNil(t, match)
	holder, err := strconv.Atoi(string(match[1]))
	require.NoError(t, err)
	next := srv.under("next", begin+finish)
	srv.awaitQueue("lock", 1, 1)

	require.NoError(t, syscall.Kill(holder, syscall.SIGKILL))
	next.ends()
	_ = script.finish()
	require.Equal(t, "signal: killed", script.cmd.ProcessState.String())
}

// If the process ends while a lock is waiting for it in the background, that lock leaves the queue.
func TestBackground_EndsWhileWaiting(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	srv := newServer(s)
	holder := srv.under("holder", "sleep 1000")
	srv.awaitQueue("lock", 1, 0)
	script := srv.script("script", "LOCK", "--timeout", "1m")
	srv.awaitQueue("lock", 1, 1)
	script.kill()
	srv.awaitQueue("lock", 1, 0)
	holder.kill()
}

// If the lock is about to be lost, the process gets SIGTERM, and KILL if it does not end.
func TestBackground_LockIsLost(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ trap, timeout, grace, end string }{
		"obedient": {`trap "exit 3" TERM; `, "9s", "3s", "exit status 3"}, // enough on a busy machine
		"stubborn": {`trap "" TERM; `, "5s", "500ms", "signal: killed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			srv := newServer(s)
			script := srv.script("script", c.trap+"LOCK; echo holds; while :; do sleep 0.05; done",
				"--timeout", c.timeout, "--grace", c.grace)
			script.await(0, soon, "holds")
			srv.kill()
			_ = script.finish()
			require.Equal(t, c.end, script.cmd.ProcessState.String())
		})
	}
}

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
)

// The command lines of the original applications, unchanged.
const (
	seedLock    = "lock -ydb grpc://localhost:2136/local --path /local/test --semaphore lock"
	seedWorkers = "workers -ydb grpc://localhost:2136/local -path /local/test --semaphore-prefix job- --tasks 10 " +
		"--capacity 4"
)

func TestCommandLinesOfTheOriginalApplications(t *testing.T) {
	s := newStage(t)
	srv := s.start("server", "tenure", "serve", "--data", filepath.Join(s.dir, "data"))
	var first string
	s.until("the server is ready or reports an error", soon, func(lines []line) bool {
		if len(lines) > 0 {
			first = lines[0].text
		}

		return first != ""
	})
	if strings.Contains(first, "is in use") {
		t.Skipf("the port in the command lines is in use: %s", first)
	}

	begin := func(name, words string) *process {
		argv := strings.Fields(words)

		return s.start(name, argv[0], argv[1:]...)
	}
	lock1, lock2 := begin("lock-1", seedLock), begin("lock-2", seedLock)
	on, place := s.await(0, soon, working)
	next := map[string]*process{"lock-1": lock2, "lock-2": lock1}[on.who]
	map[string]*process{"lock-1": lock1, "lock-2": lock2}[on.who].stop()
	next.await(place, soon, working)
	next.stop()

	pool := []*process{begin("workers-1", seedWorkers), begin("workers-2", seedWorkers), begin("workers-3", seedWorkers)}
	s.share(tasks)
	for _, p := range pool {
		p.stop()
	}
	srv.stop()
}

// waits matches the line that tells of a server that has not answered within three seconds.
var waits = regexp.MustCompile(`(?m)^\w+: no answer from \S+ yet: giving up after \w+\n`)

// A command that cannot run prints one line on standard error immediately, and exits with 125. If the machine is busy,
// a line about the wait for the server may come before it.
func TestErrorsAreOneLine(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	srv := newServer(s)
	away := freeAddress(t)
	srv.createSemaphore("job-0")

	const persistent = "the semaphore is persistent and has limit 1"
	at, elsewhere := " -ydb "+srv.dsn(), " -ydb grpc://"+srv.listen+"/other"
	for name, test := range map[string]struct{ line, want string }{
		"lock, no server":           {"lock -ydb grpc://" + away + "/local nightly", "no server at " + away},
		"workers, no server":        {"workers -ydb grpc://" + away + "/local", "no server at " + away},
		"lock, other database":      {"lock nightly" + elsewhere, `"/other" is not served here: use "/local"`},
		"workers, other database":   {"workers" + elsewhere, `"/other" is not served here: use "/local"`},
		"lock, no node":             {"lock --no-create nightly -path /local/none" + at, `"/local/none" does not exist`},
		"workers, no node":          {"workers --no-create -path /local/none" + at, `"/local/none" does not exist`},
		"lock, not ephemeral":       {"lock job-0 -path " + node + at, persistent},
		"workers, not ephemeral":    {"workers -tasks 1 -path " + node + at, persistent},
		"lock, path elsewhere":      {"lock nightly -path /other/test" + at, `outside the database "/local"`},
		"lock, path is a directory": {"lock nightly -path /local" + at, `"/local" exists and is a directory`},
		"workers, path in a node":   {"workers -path /local/test/sub" + at, `below the coordination node "/local/test"`},
		"lock, no name":             {"lock" + at, "NAME is missing: name the lock"},
		"workers, bad capacity":     {"workers -capacity -1" + at, "--capacity=-1 is out of range"},
		"server, address in use":    {"tenure serve --memory --listen " + srv.listen, srv.listen + " is in use"},
		"server, data in use": {
			"tenure serve --listen 127.0.0.1:0 --data " + srv.data,
			fmt.Sprintf("%q: store is in use by process %d ", srv.data, srv.cmd.Process.Pid),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, out, errs := runToEnd(t, test.line)
			require.Equal(t, 125, code, "%s%s", out, errs)
			if !strings.Contains(name, "ephemeral") { // those fail only when they acquire the semaphore
				require.Empty(t, out)
			}
			require.Contains(t, errs, test.want)
			command, _, _ := strings.Cut(test.line, " ")
			require.Regexp(t, "^"+command+`: [^\n]+\n$`, waits.ReplaceAllString(errs, ""))
		})
	}
}

// runToEnd runs a command line and waits until it exits.
func runToEnd(t *testing.T, words string) (code int, out, errs string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	argv := strings.Fields(words)
	cmd := exec.CommandContext(ctx, filepath.Join(scratch, argv[0]), argv[1:]...)
	cmd.Env, cmd.SysProcAttr = environment(t.TempDir()), dieWithUs()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		_, ok := errors.AsType[*exec.ExitError](err)
		require.True(t, ok, err)
	}

	return cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()
}

// createSemaphore creates a persistent semaphore. lock and workers need ephemeral ones.
func (srv *server) createSemaphore(name string) {
	srv.stage.t.Helper()
	s := srv.session()
	defer s.close()
	s.send(&Ydb_Coordination.SessionRequest{Request: &Ydb_Coordination.SessionRequest_CreateSemaphore_{
		CreateSemaphore: &Ydb_Coordination.SessionRequest_CreateSemaphore{Name: name, Limit: 1},
	}})
	result := receive(s, (*Ydb_Coordination.SessionResponse).GetCreateSemaphoreResult)
	require.Equal(s.t, Ydb.StatusIds_SUCCESS, result.GetStatus())
}

package logstore

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"tenure/internal/node"
	"tenure/internal/store"
	"tenure/internal/store/storetest"
)

const childDir = "TENURE_TEST_CHILD_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		fmt.Println(child(dir))
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

// child opens the store, prints how long that took, and then commits until its standard input ends. After each commit
// it prints the number of acknowledged commits. Finally it closes the store and prints how long that took.
func child(dir string) error {
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(ended)
	}()
	start := time.Now()
	s, err := Open(dir, Options{})
	fmt.Println("opened", time.Since(start).Nanoseconds())
	for i := 0; err == nil; {
		select {
		case <-ended:
			start := time.Now()
			err = s.Close()
			fmt.Println("closed", time.Since(start).Nanoseconds())

			return err
		default:
		}
		err = s.Commit(context.Background(), store.Batch{
			Space: 1, Changes: []node.Record{storetest.Put(fmt.Sprintf("%06d", i), "v")},
		})
		if err == nil {
			i++
			fmt.Println("acked", i)
		}
	}

	return err
}

// process is a child process that has opened the store.
type process struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	lines  *bufio.Scanner
	opened time.Duration // how long Open took
	acked  int           // number of acknowledged commits
}

func start(tb testing.TB, dir string, args ...string) *process {
	tb.Helper()
	cmd := exec.CommandContext(tb.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	in, err := cmd.StdinPipe()
	require.NoError(tb, err)
	out, err := cmd.StdoutPipe()
	require.NoError(tb, err)
	require.NoError(tb, cmd.Start())
	p := &process{cmd: cmd, stdin: in, lines: bufio.NewScanner(out)}
	p.opened = time.Duration(p.await(tb, "opened"))

	return p
}

// await waits for the next line that begins with the word and returns the number in it.
func (p *process) await(tb testing.TB, word string) (n int) {
	tb.Helper()
	for p.lines.Scan() {
		var got string
		_, err := fmt.Sscan(p.lines.Text(), &got, &n)
		require.NoError(tb, err, p.lines.Text())
		if got == word {
			return n
		}
	}
	tb.Fatalf("the process ended without printing %q", word)

	return 0
}

// commits waits until at least count commits are acknowledged.
func (p *process) commits(tb testing.TB, count int) {
	tb.Helper()
	for p.acked < count {
		p.acked = p.await(tb, "acked")
	}
}

// kill kills the process and returns the number of acknowledged commits.
func (p *process) kill(tb testing.TB) int {
	tb.Helper()
	require.NoError(tb, p.cmd.Process.Kill())
	for p.lines.Scan() {
		_, err := fmt.Sscanf(p.lines.Text(), "acked %d", &p.acked)
		require.NoError(tb, err, p.lines.Text())
	}
	require.Error(tb, p.cmd.Wait())

	return p.acked
}

// close shuts the process down cleanly and returns how long Close of the store took.
func (p *process) close(tb testing.TB) time.Duration {
	tb.Helper()
	require.NoError(tb, p.stdin.Close())
	took := time.Duration(p.await(tb, "closed"))
	require.Error(tb, p.cmd.Wait())

	return took
}

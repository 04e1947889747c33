package cluster_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/clock"
	"tenure/internal/witnesstest"
	"tenure/test/cluster/clustertest"
)

const (
	recordVariable = "CLUSTER_RECORD" // the record to which this process writes; empty: it runs the tests
	commandRole    = "command"        // the role of all COMMANDs
)

// again is the pause after a lock that has failed, because it starts while its server is down.
const again = 100 * time.Millisecond

// locks are processes of the command lock, which run COMMANDs one after the other.
type locks struct {
	stage  *stage
	record witnesstest.Record
	home   string
	turns  atomic.Int64 // COMMANDs that have ended by themselves
	gate   sync.RWMutex // held while a lock runs; who locks it stops them

	mu    sync.Mutex     // guards notes
	notes map[string]int // what failing locks have said, and how often
}

// startLocks starts a lock at each front. It starts again when its COMMAND has ended.
func startLocks(s *stage) *locks {
	s.Helper()
	dir := s.TempDir()
	record, err := witnesstest.Open(filepath.Join(dir, "record"))
	require.NoError(s, err)
	s.Cleanup(func() { record.Close() })
	l := &locks{stage: s, record: record, home: dir, notes: make(map[string]int)}
	s.Cleanup(l.tell)
	commands, err := clustertest.Commands("")
	require.NoError(s, err)
	self, err := os.Executable()
	require.NoError(s, err)
	for _, front := range s.Servers[:2] {
		s.running.Go(func() {
			for !s.ending() {
				l.gate.RLock()
				l.once(filepath.Join(commands, "lock"), self, front)
				l.gate.RUnlock()
			}
		})
	}

	return l
}

func (l *locks) once(program, self string, front *clustertest.Server) {
	cmd := exec.CommandContext(l.stage.ctx, program, "--ydb", front.DSN(), "--path", nodePath, "--timeout",
		usual.String(), "deploy", "--", self)
	cmd.Env = []string{
		"HOME=" + l.home, "PATH=" + os.Getenv("PATH"), "YDB_ANONYMOUS_CREDENTIALS=1",
		"TENURE_CONFIG=/dev/null", recordVariable + "=" + l.record.Name(),
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var printed bytes.Buffer
	cmd.Stdout, cmd.Stderr = &printed, &printed
	if err := cmd.Run(); err == nil {
		l.turns.Add(1)
	} else if l.stage.ctx.Err() == nil {
		l.note(fmt.Sprintf("lock at %s: %v: %s", front.Name, err, printed.Bytes()))
		clock.Pause(l.stage.ctx, l.stage.clock, again)
	}
}

// note keeps a text for the case that the test fails.
func (l *locks) note(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.notes[text]++
}

func (l *locks) tell() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stage.Failed() {
		for text, n := range l.notes {
			l.stage.Logf("%d times: %s", n, text)
		}
	}
}

func (l *locks) check() error {
	lines, err := l.record.Lines()
	if err != nil {
		return err
	}

	return witnesstest.Rules{IsCommand: func(role string) bool { return role == commandRole }}.Check(lines)
}

// perform is the main function of a COMMAND.
func perform(name string) error {
	const lines, pace = 10, 10 * time.Millisecond
	record, err := witnesstest.Open(name)
	if err != nil {
		return err
	}
	defer record.Close()
	token, err := strconv.ParseUint(os.Getenv("TENURE_TOKEN"), 10, 64)
	if err != nil {
		return fmt.Errorf("TENURE_TOKEN: %w", err)
	}
	say := func(verb string) error {
		return record.Append(witnesstest.Line{
			Token: token, PID: os.Getpid(), Parent: os.Getppid(), Role: commandRole, Verb: verb,
		})
	}
	if err := say(witnesstest.Begin); err != nil {
		return err
	}
	for range lines {
		<-time.After(pace)
		if err := say(witnesstest.Works); err != nil {
			return err
		}
	}

	return say(witnesstest.End)
}

//go:build unix

package embedded

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"tenure"
)

// Node is the coordination node of all contenders.
const Node = tenure.EmbeddedDatabase + "/contenders"

// Role selects how a contender acquires its tasks.
type Role string

// Roles of contenders.
const (
	Locker Role = "locker" // with package lock, in a new session each time
	Holder Role = "holder" // with package tenure, in one session
	Worker Role = "worker" // with package workers
)

// Contender configures a process that works on its tasks whenever it holds them, and then acquires them again.
type Contender struct {
	Who      int    // the number of the process
	Dir      string // the state directory
	Record   string // the file of the record
	Role     Role
	Timeout  time.Duration // the session timeout
	Tasks    []string      // names of tasks; a Locker and a Holder use only the first
	Capacity int           // the capacity of a Worker

	Hold    time.Duration // works a random time up to Hold on a task; 0: until SIGUSR1
	Seed    uint64        // the seed of that random time
	Pace    time.Duration // the time between two Work events; 0: no Work events
	Confirm bool          // before each Work event, asks the server for the token
	Child   bool          // starts a child process that works for it; no Work events
	Verbose bool          // logs to standard error
}

// contenderEnv is the environment variable that holds the Contender as JSON.
const contenderEnv = "TENURE_TEST_CONTENDER"

// Command returns a command that runs the contender. The command is the running program, which must call [Main] first.
// On Linux, the contender dies with this process.
func (c Contender) Command() (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), contenderEnv+"="+string(text), "GORACE=halt_on_error=1 atexit_sleep_ms=0")
	cmd.SysProcAttr = dieWithUs()

	return cmd, nil
}

// Main runs the contender, or the contender's child, for which this process was started. It returns false immediately
// if this process was started for something else. A contender shuts down cleanly on SIGTERM.
func Main() (code int, is bool) {
	if os.Getenv(childEnv) != "" {
		childMain()

		return 0, true
	}
	text := os.Getenv(contenderEnv)
	if text == "" {
		return 0, false
	}
	var c Contender
	err := json.Unmarshal([]byte(text), &c)
	if err == nil {
		signal.Notify(make(chan os.Signal, 1), syscall.SIGUSR1) // so that a late SIGUSR1 does not end the process
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		defer stop()
		err = c.contend(ctx)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "contender %d: %v\n", c.Who, err)

		return 1, true
	}

	return 0, true
}

// contend runs until ctx ends.
func (c *Contender) contend(ctx context.Context) (err error) {
	record, err := OpenRecord(c.Record)
	if err != nil {
		return err
	}
	defer record.Close()
	opts := []tenure.Option{
		tenure.WithDir(c.Dir), tenure.WithNotice(c.notice),
		tenure.WithConnectTimeout(-1), // a test stops the host for as long as it likes
	}
	if c.Verbose {
		h := slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})
		opts = append(opts, tenure.WithLogger(slog.New(h).With("who", c.Who)))
	}
	client, err := tenure.Open(ctx, tenure.Embedded, opts...)
	switch {
	case ctx.Err() != nil && err != nil:
		return nil
	case err != nil:
		return err
	}
	defer func() {
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.Timeout)
		defer cancel()
		err = errors.Join(err, client.Close(limited))
	}()

	w := &worker{c, record, client}
	ask := map[Role]func(context.Context) error{Locker: w.lock, Holder: w.hold, Worker: w.share}[c.Role]
	if err := ask(ctx); ctx.Err() == nil {
		return err
	}

	return nil
}

func (c *Contender) notice(line string) { fmt.Fprintf(os.Stderr, "contender %d: %s\n", c.Who, line) }

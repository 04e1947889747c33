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

// Role is by which means a contender gets what it works on.
type Role string

// By package lock, in a new session each time; in a session that goes on; and by package workers.
const (
	Locker Role = "locker"
	Holder Role = "holder"
	Worker Role = "worker"
)

// Contender says what a process is to do: work on its tasks whenever it has them, and ask for them again.
type Contender struct {
	Who      int    // its number
	Dir      string // the state directory
	Record   string // file
	Role     Role
	Timeout  time.Duration // of its sessions
	Tasks    []string      // their names; the first one counts, unless it is a Worker
	Capacity int           // of a Worker

	Hold    time.Duration // it works up to so long on a task, by chance; 0: until it gets SIGUSR1
	Seed    uint64        // of that chance
	Pace    time.Duration // between two Work events; 0: there are none
	Confirm bool          // the token of Work is what the server has just said it is
	Child   bool          // a process that it has started works for it; there are no Work events
	Verbose bool          // logs go to standard error
}

// contenderEnv has a Contender in JSON.
const contenderEnv = "TENURE_TEST_CONTENDER"

// Command returns a command that starts the contender: the program that runs here, which must begin with [Main]. The
// contender ends when this process does.
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

// Main is the process of a contender, or of a contender's child; false says that this one is neither. SIGTERM ends a
// contender in order.
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
		signal.Notify(make(chan os.Signal, 1), syscall.SIGUSR1) // else one that comes too late would end the process
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

// contend returns when ctx has ended.
func (c *Contender) contend(ctx context.Context) (err error) {
	record, err := OpenRecord(c.Record)
	if err != nil {
		return err
	}
	defer record.Close()
	opts := []tenure.Option{tenure.WithDir(c.Dir), tenure.WithNotice(c.notice)}
	if c.Verbose {
		h := slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})
		opts = append(opts, tenure.WithLogger(slog.New(h).With("who", c.Who)))
	}
	client, err := tenure.Open(ctx, "", opts...)
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

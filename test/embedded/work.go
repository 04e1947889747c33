//go:build unix

package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"

	"tenure"
	"tenure/internal/clock"
	"tenure/lock"
	"tenure/workers"
)

// worker runs a contender in its process.
type worker struct {
	*Contender

	record *Record
	client *tenure.Client
}

func (w *worker) append(verb Verb, task string, token uint64) error {
	return w.record.Append(verb, w.Who, task, token)
}

func (w *worker) lock(ctx context.Context) error {
	task := w.Tasks[0]
	for {
		if err := w.append(Ask, task, 0); err != nil {
			return err
		}
		err := lock.Do(ctx, w.client, Node, task, func(ctx context.Context, held *lock.Held) error {
			return w.work(ctx, held.Lease(), task)
		}, lock.WithTimeout(w.Timeout))
		if err != nil && !errors.Is(err, lock.ErrLost) {
			return err
		}
	}
}

func (w *worker) share(ctx context.Context) error {
	return workers.Run(ctx, w.client, Node, workers.Names(w.Tasks...), func(ctx context.Context, t *workers.Task) error {
		return w.work(ctx, t.Lease(), t.Name())
	}, workers.WithCapacity(w.Capacity), workers.WithTimeout(w.Timeout))
}

// hold opens a new session when the previous one is lost.
func (w *worker) hold(ctx context.Context) error {
	if err := w.client.CreateNode(ctx, Node, coordination.NodeConfig{}); err != nil {
		return err
	}
	for {
		session, err := w.client.Session(ctx, Node, options.WithSessionTimeout(w.Timeout))
		if err != nil {
			return err
		}
		if err := w.holdIn(ctx, session); session.Context().Err() == nil { // otherwise it was closed or lost
			return errors.Join(err, session.Close(context.WithoutCancel(ctx)))
		}
	}
}

func (w *worker) holdIn(ctx context.Context, session coordination.Session) error {
	task := w.Tasks[0]
	for {
		if err := w.append(Ask, task, 0); err != nil {
			return err
		}
		lease, err := session.AcquireSemaphore(ctx, task, coordination.Exclusive, options.WithEphemeral(true))
		if err != nil {
			return err
		}
		working, cancel := context.WithCancel(ctx)
		context.AfterFunc(lease.Context(), cancel)
		err = w.work(working, lease, task)
		cancel()
		if err := errors.Join(err, lease.Release()); err != nil {
			return err
		}
	}
}

// work works under a lease until ctx ends or the contender's turn is over. It returns only errors of the test itself.
func (w *worker) work(ctx context.Context, held coordination.Lease, task string) error {
	lease, ok := held.(*tenure.Lease)
	if !ok {
		return fmt.Errorf("the lease is a %T", held)
	}
	token, err := lease.Token(ctx)
	if err != nil {
		return nil // the lease ended before the work began
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGUSR1)
	defer stop()
	if w.Hold > 0 {
		var cancel context.CancelFunc
		rng := rand.New(rand.NewPCG(w.Seed, token))
		ctx, cancel = context.WithTimeout(ctx, time.Duration(1+rng.Int64N(int64(w.Hold))))
		defer cancel()
	}

	say := func(verb Verb) bool {
		if !lease.Valid() {
			err = w.append(Lost, task, token)

			return false
		}
		err = w.append(verb, task, token)

		return err == nil
	}
	if !say(Begin) {
		return err
	}
	if w.Child {
		end, err := w.startChild(lease, task)
		if err != nil {
			return err
		}
		defer say(End) // runs after the child has ended
		defer end()
		<-ctx.Done()

		return nil
	}
	for w.pause(ctx) {
		if w.Confirm && !confirm(ctx, lease, task, &token) {
			break
		}
		if !say(Work) {
			return err
		}
	}
	say(End)

	return err
}

// pause waits for the next Work event. It returns false if the work is over.
func (w *worker) pause(ctx context.Context) bool {
	if w.Pace == 0 {
		<-ctx.Done()

		return false
	}

	return clock.Pause(ctx, clock.Go(), w.Pace)
}

// confirm asks the server for the token of the task's owner and stores it, or 0 if the task has no owner. It returns
// false if the server does not answer.
func confirm(ctx context.Context, lease coordination.Lease, task string, token *uint64) bool {
	found, err := lease.Session().DescribeSemaphore(ctx, task, options.WithDescribeOwners(true))
	if err != nil {
		return false
	}
	*token = 0
	for _, o := range found.Owners {
		*token = o.OrderID
	}

	return true
}

// childEnv is set in the environment of a contender's child.
const childEnv = "TENURE_TEST_CHILD"

// startChild starts a process that works under the lease until end is called or the test is over.
func (w *worker) startChild(lease coordination.Lease, task string) (end func(), err error) {
	session, ok := lease.Session().(*tenure.Session)
	if !ok {
		return nil, fmt.Errorf("the session is a %T", lease.Session())
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), childEnv+"=1")
	cmd.Stdin = os.Stdin
	session.Inherit(cmd)
	if err := cmd.Start(); err != nil {
		return nil, err
	}

	return func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}, w.append(Child, task, uint64(cmd.Process.Pid))
}

func childMain() { _, _ = io.Copy(io.Discard, os.Stdin) }

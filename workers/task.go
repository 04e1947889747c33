package workers

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"

	"tenure/internal/limit"
	"tenure/internal/nocontext"
	"tenure/internal/ydberr"
)

// A Task is a task that runs in this worker, from the call of the function that [Run] was given until the function
// returns. Its methods are safe for concurrent use.
type Task struct {
	name     string
	worker   string
	weight   int
	failures int
	token    uint64
	lease    coordination.Lease
	state    []byte
	keeps    bool // whether Save works
	heard    func()
	files    *nameFiles

	saving sync.Mutex // held during a save
	ended  bool       // guarded by saving: the function has returned
	saved  bool       // guarded by saving: a save has begun
}

// Name returns the name of the task.
func (t *Task) Name() string { return t.name }

// Weight returns the weight of the task in the list of tasks.
func (t *Task) Weight() int { return t.weight }

// Token returns the fencing token of this run. Each grant of the task has a greater token than all earlier ones. A run
// that follows another one in the same worker, which has kept the task, has the same token. Send it with each write,
// and have the storage reject older tokens.
func (t *Task) Token() uint64 { return t.token }

// Failures returns how often in a row the task has failed before this run, in the whole pool.
func (t *Task) Failures() int { return t.failures }

// Lease returns the lease of the task. Run releases it: the caller must not.
func (t *Task) Lease() coordination.Lease { return t.lease }

// Deadline returns the time until which the task is certain to be owned, as far as it is known now. It moves when the
// server answers. It is the zero time if the client does not know it, as the client of ydb-go-sdk does not.
func (t *Task) Deadline() time.Time {
	if l, ok := t.lease.(interface{ Deadline() time.Time }); ok {
		return l.Deadline()
	}

	return time.Time{}
}

// Worker returns the name of the worker in its pool: that of [WithName], or otherwise one that no other worker has.
func (t *Task) Worker() string { return t.worker }

// State returns what an earlier run has saved, or nil. The caller must not change it. It is always nil without
// [WithPersistent].
func (t *Task) State() []byte { return t.state }

// Save replaces the state that the next run of the task gets, and returns when it is durable. The state can have up to
// 1 MiB. Save needs [WithPersistent].
//
// The server accepts a save only in the session that owns the task. A run that has lost its task cannot overwrite the
// state of its successor: Save then returns an error, and the state may or may not have been replaced before the loss.
// Save also returns an error after the function has returned.
func (t *Task) Save(ctx context.Context, state []byte) error {
	t.saving.Lock()
	defer t.saving.Unlock()
	switch {
	case ctx == nil:
		return fmt.Errorf("save the state of task %q: %w", t.name, nocontext.Err)
	case !t.keeps:
		return fmt.Errorf("save the state of task %q: it needs WithPersistent", t.name)
	case len(state) > limit.Data:
		return fmt.Errorf("save the state of task %q: it has %d bytes, and the limit is %d", t.name, len(state), limit.Data)
	case t.ended:
		return fmt.Errorf("save the state of task %q: the task has ended", t.name)
	case t.lease.Context().Err() != nil:
		return fmt.Errorf("save the state of task %q: %w", t.name, context.Cause(t.lease.Context()))
	}
	t.saved = true
	held, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(t.lease.Context(), cancel)()
	err := t.lease.Session().UpdateSemaphore(held, t.name, options.WithUpdateData(state))
	switch {
	case err == nil:
		t.heard()

		return nil
	case t.lease.Context().Err() != nil:
		err = context.Cause(t.lease.Context())
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	default:
		return ydberr.Wrap(fmt.Sprintf("save the state of task %q", t.name), err)
	}

	return fmt.Errorf("save the state of task %q: %w", t.name, err)
}

// Heard tells the pool that the task makes progress, so that [Look] can show when it was heard from last. Calls are
// cheap: the server hears of a few per minute at most.
func (t *Task) Heard() { t.heard() }

// end makes later calls of Save fail, and waits for one that runs. It reports whether the state may have been replaced.
func (t *Task) end() (saved bool) {
	t.saving.Lock()
	defer t.saving.Unlock()
	t.ended = true

	return t.saved
}

// A PanicError is the failure of a task whose function has panicked.
type PanicError struct {
	Value any    // what the function passed to panic
	Stack []byte // of the goroutine, as debug.Stack returns it
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// Unwrap returns the value of the panic if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)

	return err
}

// ErrGoexit is the failure of a task whose function has called [runtime.Goexit].
var ErrGoexit = errors.New("the function has called runtime.Goexit")

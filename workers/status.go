package workers

import (
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"golang.org/x/sync/errgroup"

	"tenure/internal/nocontext"
	"tenure/internal/pool"
	"tenure/internal/roster"
	"tenure/internal/term"
	"tenure/internal/ydberr"
)

// A Status describes a pool at a moment.
type Status struct {
	Members    []Member     // by name
	Tasks      []TaskStatus // of the caller's list, by name
	Unassigned []string     // the tasks that nobody owns and that are neither done nor failed for good, by name
}

// A Member is a worker of a pool, as it has announced itself.
type Member struct {
	Name     string // stable (WithName) or unique
	Named    bool   // whether the name is stable
	Who      string // describes the process
	Labels   map[string]string
	Session  uint64
	Greedy   bool
	Capacity int // without what functions take that run although their tasks are lost
	Running  int // how many tasks it owns
	Leaving  bool
	Differs  bool // its list of tasks is not the caller's
}

// A TaskState says what happens to a task.
type TaskState string

// States of a task.
const (
	Free    TaskState = "free"    // nobody owns it
	Running TaskState = "running" // a worker runs it
	Waiting TaskState = "waiting" // a worker owns it, and will run it after the pause that follows a failure
	Outside TaskState = "outside" // its semaphore belongs to a session that is not a worker of the pool
	Success TaskState = "done"    // it is done, and not run again (WithOnce)
	Failure TaskState = "failed"  // it has failed for good, and is not run again (WithOnce)
)

// A TaskStatus describes a task.
type TaskStatus struct {
	Name    string
	Weight  int
	State   TaskState
	Worker  string    // the name of the owner, or of the worker that has finished the task
	Session uint64    // of the owner; 0: none
	Token   uint64    // of the present run, or of the run that finished the task; 0: none
	Data    []byte    // that the owner attaches (WithData)
	Since   time.Time // the start of the present run, by the worker's clock; zero: it does not run
	Heard   time.Time // when the worker heard from the present run last (Task.Heard); zero: never

	Failures int       // in a row, in the whole pool
	Reason   string    // of the newest failure; empty: there was none, or the function has returned nil
	Failed   time.Time // when that was, or when the task was done, by the clock of that worker; zero: never
}

// lookAtOnce is how many requests of Look are on the way at the same time.
const lookAtOnce = 64

// Look returns the status of a pool. It uses the options [WithPool], [WithTimeout] and [WithDescription], and asks for
// two semaphores per task. It does not create the node: if there is none, the pool is empty. An error names the pool,
// unless it is the cause of the end of ctx.
//
// The parts of the status are read one after the other, while the pool may change.
func Look(
	ctx context.Context, client coordination.Client, path string, tasks Source, opts ...Option,
) (*Status, error) {
	c := defaults()
	for _, opt := range opts {
		if opt != nil {
			opt(&c)
		}
	}
	c.term.Client, c.term.Path, c.term.NoCreate = client, path, true
	status, err := c.look(ctx, tasks)

	return status, c.named(ctx, err)
}

func (c *config) look(ctx context.Context, tasks Source) (*Status, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	list, err := firstList(ctx, tasks)
	if err != nil {
		return nil, err
	}
	t, err := term.NewOpener(c.term, func(time.Duration, error) {}).Open(ctx)
	switch {
	case ydberr.NoNode(err):
		return (&look{list: list, status: make([]TaskStatus, len(list))}).result(nil), nil
	case err != nil:
		if permanent, ok := errors.AsType[*backoff.PermanentError](err); ok {
			err = permanent.Unwrap()
		}

		return nil, err
	}
	l := &look{term: t, list: list, status: make([]TaskStatus, len(list))}
	defer func() {
		farewell, cancel := term.Farewell(ctx)
		defer cancel()
		_ = t.Close(farewell, roster.MembersOf(c.poolName))
	}()
	members, err := l.members(ctx, roster.MembersOf(c.poolName))
	if err != nil {
		return nil, err
	}
	if err := l.tasks(ctx); err != nil {
		return nil, err
	}

	return l.result(members), nil
}

// firstList returns the first list of a source.
func firstList(ctx context.Context, tasks Source) (list []pool.Spec, err error) {
	switch {
	case ctx == nil:
		return nil, nocontext.Err
	case noSource(tasks):
		return nil, errNoSource
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	got := false
	err = tasks.Watch(ctx, func(specs []Spec) error {
		if got {
			return nil
		}
		first, err := check(specs)
		if err == nil {
			list, got = first, true
			cancel()
		}

		return err
	})
	switch {
	case got:
		return list, nil
	case err == nil:
		err = errors.New("the source has provided no list of tasks")
	}

	return nil, err
}

// A look is one call of Look.
type look struct {
	term   *term.Term
	list   []pool.Spec
	status []TaskStatus
}

func (l *look) members(ctx context.Context, name string) ([]roster.Member, error) {
	found, err := l.term.Look(ctx, name)
	switch {
	case term.Missing(err), err == nil && found.Missing():
		return nil, nil
	case err != nil:
		return nil, ydberr.Wrap("read the members of the pool", err)
	}

	return roster.Sort(decode(found)), nil
}

// tasks reads the semaphores of the tasks and their records.
func (l *look) tasks(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(lookAtOnce)
	for i := range l.list {
		group.Go(func() error { return l.task(ctx, i) })
	}

	return group.Wait()
}

func (l *look) task(ctx context.Context, i int) error {
	s, name := &l.status[i], l.list[i].Name
	found, err := l.term.Look(ctx, name)
	switch {
	case term.Missing(err), err == nil && found.Missing():
	case err != nil:
		return ydberr.Wrap("read task "+name, err)
	case len(found.Owners) > 0:
		owner := found.Owners[0]
		s.Session, s.Token, s.Data = owner.SessionID, owner.OrderID, owner.Data
	}
	record, err := readRecord(ctx, l.term, name)
	if err != nil {
		return err
	}
	s.Failures, s.Reason, s.Failed = record.Failures, record.Reason, record.At
	switch {
	case s.Session != 0:
	case record.Final():
		s.State = Success
		if record.Failed {
			s.State = Failure
		}
		s.Worker, s.Token = record.Worker, record.Token
	default:
		s.State = Free
	}

	return nil
}

// result puts together what was read.
func (l *look) result(members []roster.Member) *Status {
	status := &Status{Tasks: l.status}
	digest := pool.Digest(l.list)
	bySession := map[uint64]roster.Member{}
	for _, m := range members {
		bySession[m.Session] = m
		status.Members = append(status.Members, Member{
			Name: m.Worker, Named: m.Named, Who: m.Who, Labels: m.Labels, Session: m.Session,
			Greedy: m.Mode == roster.Greedy, Capacity: m.Capacity, Running: len(m.Held), Leaving: m.Leaving,
			Differs: m.Digest != digest,
		})
	}
	for i := range l.status {
		s := &l.status[i]
		s.Name, s.Weight = l.list[i].Name, l.list[i].Weight
		switch m, ok := bySession[s.Session]; {
		case s.Session != 0 && !ok:
			s.State = Outside
		case s.Session != 0:
			s.run(m)
		case s.State == "":
			s.State = Free
		}
		if s.State == Free {
			status.Unassigned = append(status.Unassigned, s.Name)
		}
	}

	return status
}

// run notes what the owner has announced of the task.
func (s *TaskStatus) run(m roster.Member) {
	s.State, s.Worker = Running, m.Worker
	at, ok := m.TimeOf(roster.HashOf(s.Name))
	if !ok {
		return // the owner has not announced it yet
	}
	if at.Since == 0 {
		s.State = Waiting

		return
	}
	s.Since = time.Unix(int64(at.Since), 0)
	if at.Heard != 0 {
		s.Heard = time.Unix(int64(at.Heard), 0)
	}
}

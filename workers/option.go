package workers

import (
	"fmt"
	"path"
	"strings"
	"time"

	"tenure/internal/limit"
	"tenure/internal/pool"
	"tenure/internal/term"
)

// An Option changes how [Run] works. Run skips nil options.
type Option func(*config)

type config struct {
	term       term.Config
	pool       pool.Config
	poolName   string
	settle     *time.Duration // nil: the timeout
	persistent bool
	drain      time.Duration
	files      nameFiles
	observe    func(Event)
}

// defaults returns the settings before options are applied.
func defaults() config {
	return config{
		poolName: "workers",
		pool: pool.Config{
			Capacity: 4, Moves: 1, Backoff: time.Second, MaxBackoff: time.Minute, GiveUp: 3, Retries: 2,
		},
		observe: func(Event) {},
	}
}

// maxMoves keeps a typing error from being taken for a number of tasks.
const maxMoves = 1_000_000

// check returns an error if a value is invalid.
func (c *config) check() error {
	p := &c.pool
	settle := time.Duration(0)
	if c.settle != nil {
		settle = *c.settle
	}
	switch {
	case p.Capacity < 0:
		return fmt.Errorf("the capacity is %d: it must be at least 0", p.Capacity)
	case settle < 0:
		return fmt.Errorf("the settling time is %v: it must be at least 0", settle)
	case p.Moves < 1 || p.Moves > maxMoves:
		return fmt.Errorf("the number of moves is %d: it must be between 1 and %d", p.Moves, maxMoves)
	case p.Backoff <= 0 || p.MaxBackoff < p.Backoff:
		return fmt.Errorf("the pauses after failures are %v and %v: the first must be positive, and the second not shorter",
			p.Backoff, p.MaxBackoff)
	case p.GiveUp < 0:
		return fmt.Errorf("the number of failures after which a task is given up is %d: it must be at least 0", p.GiveUp)
	case p.Retries < 0:
		return fmt.Errorf("the number of retries is %d: it must be at least 0", p.Retries)
	case c.drain < 0:
		return fmt.Errorf("the time to drain is %v: it must be at least 0", c.drain)
	}
	if _, err := path.Match(p.Only, ""); err != nil {
		return fmt.Errorf("the pattern %q is not valid: see path.Match", p.Only)
	}
	for what, name := range map[string]string{"pool": c.poolName, "worker": p.Worker} {
		if what == "worker" && !p.Named {
			continue
		}
		switch err := term.CheckName(name); {
		case err != nil:
			return fmt.Errorf("the name of the %s %q is not valid: %w", what, name, err)
		case len(name) > maxName:
			return fmt.Errorf("the name of the %s has %d bytes: the limit is %d", what, len(name), maxName)
		case strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }):
			return fmt.Errorf("the name of the %s %q contains a control character", what, name)
		}
	}

	return c.term.Check()
}

// maxName is the largest size of the name of a pool or a worker in bytes. Names of semaphores contain both of them.
const maxName = 255

// complete sets the defaults that depend on other settings.
func (c *config) complete() {
	c.pool.Timeout = c.term.Timeout
	if c.pool.Timeout == 0 {
		c.pool.Timeout = limit.DefaultTimeout
	}
	c.pool.Settle = c.pool.Timeout
	if c.settle != nil {
		c.pool.Settle = *c.settle
	}
}

// WithTimeout sets the session timeout: how long the tasks of a crashed worker, or of one that is cut off from the
// server, stay assigned to it. A short timeout finds a dead worker sooner, and a long one survives longer network
// outages. The timeout must be between 100 ms and 30 min. The default, also with 0, is 10 s.
func WithTimeout(timeout time.Duration) Option {
	return func(c *config) { c.term.Timeout = timeout }
}

// WithCapacity sets the sum of the weights of the tasks that the worker takes. The default is 4. With 0 the worker
// takes none and only reports what the pool does. A negative capacity is an error.
func WithCapacity(capacity int) Option {
	return func(c *config) { c.pool.Capacity = capacity }
}

// WithGreedy makes the worker take free tasks until it is full, and keep them. The others of a pool leave a greedy
// worker the tasks that it has.
func WithGreedy() Option {
	return func(c *config) { c.pool.Greedy = true }
}

// WithBalance makes the worker balance the tasks with the others of the pool. This is the default.
func WithBalance() Option {
	return func(c *config) { c.pool.Greedy = false }
}

// WithPool sets the name of the pool: 1 to 255 bytes of valid UTF-8. Workers of the same pool on the same node share
// tasks. The default is "workers". Use different names for pools that have nothing to do with each other.
func WithPool(name string) Option {
	return func(c *config) { c.poolName = name }
}

// WithName gives the worker a stable name, which must be unique in the pool: 1 to 255 bytes of valid UTF-8. When a
// worker with a stable name leaves, the others keep its tasks free for the session timeout. If a worker with the same
// name joins within that time, it gets the same tasks. So a restart moves no task, and a worker that dies for good
// leaves its tasks alone for longer.
//
// While a worker with this name is in the pool, Run waits for its end, for a little longer than the session timeout,
// and then returns an error that wraps [ErrNameInUse].
//
// The directory, which may be empty, is where Run keeps a file with the id and the key of its session. After a crash,
// the next run with this name on this machine uses it to end the old session immediately, if no process that works
// under it is alive. Run creates the directory with mode 0700. It needs the client of package tenure.
func WithName(name, directory string) Option {
	return func(c *config) {
		c.pool.Worker, c.pool.Named = name, true
		c.files = nameFiles{directory: directory}
	}
}

// WithLabels attaches labels to the worker, for others to see: see [Member]. Together they should be small, because
// every worker reads those of all others. The server accepts up to 1 MiB. The caller must not change the map until Run
// returns.
func WithLabels(labels map[string]string) Option {
	return func(c *config) { c.pool.Labels = labels }
}

// WithOnly makes the worker take only tasks whose names match the pattern, as [path.Match] defines it. If the
// pattern is empty, it takes all. A malformed pattern is an error.
func WithOnly(pattern string) Option {
	return func(c *config) { c.pool.Only = pattern }
}

// WithSettle sets how long the pool must not have changed before tasks move to where there is more room. The default is
// the session timeout. With 0, tasks move immediately. A negative time is an error. Tasks that nobody owns do not wait
// for that.
func WithSettle(settle time.Duration) Option {
	return func(c *config) { c.settle = &settle }
}

// WithMoves sets how many tasks of this worker may be on the move to other workers at the same time: 1, the
// default, to 1,000,000.
func WithMoves(moves int) Option {
	return func(c *config) { c.pool.Moves = moves }
}

// WithBackoff sets the pause after a function has returned without being told to: first after the first time, and twice
// as long each further time in a row, up to longest. The pause is that of the task, in the whole pool. A run of at
// least longest resets it. The defaults are one second and one minute. First must be positive, and longest not below
// first.
func WithBackoff(first, longest time.Duration) Option {
	return func(c *config) { c.pool.Backoff, c.pool.MaxBackoff = first, longest }
}

// WithGiveUp sets after how many failures in a row the worker leaves a task to others, for the longest pause of
// [WithBackoff]. A function that returns nil has not failed. The default is 3. With 0 the worker keeps the task. A
// negative number is an error.
func WithGiveUp(failures int) Option {
	return func(c *config) { c.pool.GiveUp = failures }
}

// WithOnce makes the pool run each task until it has succeeded once. A task whose function returns nil is done for the
// whole pool, which is recorded on the server, and is not run again. A task that fails is run again up to retries
// times, and has then failed for good. When all tasks are done or have failed, Run returns nil or a [*FailedError]. A
// negative number is an error.
//
// All workers of the pool must use WithOnce. A function may run again although it has succeeded, if its worker loses
// its session before that is recorded.
func WithOnce(retries int) Option {
	return func(c *config) { c.pool.Once, c.pool.Retries = true, retries }
}

// WithPersistent keeps what a task saves ([Task.Save]) on the server, for its next run. The tasks are then persistent
// semaphores, which Run creates and nobody deletes. All workers of the pool must use it.
func WithPersistent() Option {
	return func(c *config) { c.persistent = true }
}

// WithDrain limits the time that functions have to return when Run ends. After that, Run returns a [*StuckError]. The
// worker keeps the tasks of functions that still run, and releases each when its function has returned. By default, and
// with 0, there is no limit. A negative limit is an error.
func WithDrain(drain time.Duration) Option {
	return func(c *config) { c.drain = drain }
}

// WithData attaches data to every task that the worker waits for or owns, for others to see. The data can have up to
// 1 MiB. The caller must not change it until Run returns.
//
// By default, and if data is nil, the data is a line of text that describes the process, such as
// "alice@ci-3, pid 42 (indexer)". Pass an empty slice that is not nil to attach nothing.
func WithData(data []byte) Option {
	return func(c *config) { c.term.Data = data }
}

// WithDescription sets the session's description, which the server may show. It can have up to 1,024 bytes and must be
// valid UTF-8.
func WithDescription(description string) Option {
	return func(c *config) { c.term.Description = description }
}

// WithoutCreate makes [Run] return an error if the node does not exist, instead of creating it.
func WithoutCreate() Option {
	return func(c *config) { c.term.NoCreate = true }
}

// WithObserver makes [Run] call observe with each [Event], never concurrently. The worker waits for observe, which must
// not block.
func WithObserver(observe func(Event)) Option {
	return func(c *config) {
		if observe != nil {
			c.observe = observe
		}
	}
}

package workers

import "tenure/internal/clock"

// A state is the state of one task in a worker.
type state uint8

const (
	apart     state = iota // idle: there is no room, or no session
	resting                // its function has returned here; other workers may take it; apart comes next
	asking                 // an acquire of its semaphore waits
	leaving                // the acquire is cancelled and has not returned yet
	running                // the worker owns its semaphore, and its function runs
	releasing              // a release of its semaphore waits
)

// A verb is something that the shell must do with a task.
type verb uint8

const (
	ask     verb = iota // acquire; report granted or missed
	leave               // cancel the acquire, which still reports
	start               // run the function under the granted lease; report ended
	release             // release the lease; report released
)

// A step is one thing that the shell must do after a call of the pool. Steps are in the order in which to do them.
type step struct {
	do   verb
	task int
}

// A pool decides which tasks a worker asks for, runs and releases. Its caller reports events and carries out the steps.
// The pool uses no goroutine, clock or I/O. Its life consists of terms: open begins a term, and shut ends it. The next
// term may begin when the pool is still.
//
// P1 At most capacity tasks run.
// P2 In a term, while fewer run, the worker asks for all tasks that are not running, resting or being released.
// P3 When capacity is reached, or no term is open, the worker asks for no task.
// P4 The worker does not ask for a task before its last acquire has returned and its last lease is released, because
// requests for one semaphore override each other (Q6, Q7).
type pool struct {
	capacity int
	opened   bool
	states   []state
	rests    []clock.Instant // the end of each task's rest
	held     int             // the number of running tasks
	steps    []step          // not yet taken
}

func newPool(tasks, capacity int) *pool {
	return &pool{capacity: capacity, states: make([]state, tasks), rests: make([]clock.Instant, tasks)}
}

// open begins a term. The pool must be still.
func (p *pool) open() {
	p.opened = true
	p.balance()
}

// shut ends the term: the worker no longer asks for or starts tasks. The shell stops the running functions.
func (p *pool) shut() {
	p.opened = false
	p.balance()
}

// granted reports that an acquire has returned a lease, possibly after it was cancelled.
func (p *pool) granted(task int) {
	if p.opened && p.held < p.capacity {
		p.states[task] = running
		p.held++
		p.owe(start, task)
	} else {
		p.states[task] = releasing
		p.owe(release, task)
	}
	p.balance()
}

// missed reports that an acquire has returned without a lease. The task rests until the instant.
func (p *pool) missed(task int, until clock.Instant) { p.rest(task, until) }

// ended reports that a task's function has returned.
func (p *pool) ended(task int) {
	p.states[task] = releasing
	p.held--
	p.owe(release, task)
	p.balance()
}

// released reports that a lease is released. The task rests until the instant.
func (p *pool) released(task int, until clock.Instant) { p.rest(task, until) }

func (p *pool) rest(task int, until clock.Instant) {
	p.states[task] = resting
	p.rests[task] = until
	if until == 0 {
		p.states[task] = apart
	}
	p.balance()
}

// tick reports the time.
func (p *pool) tick(now clock.Instant) {
	for task, s := range p.states {
		if s == resting && p.rests[task] <= now {
			p.states[task] = apart
		}
	}
	p.balance()
}

// balance restores P2 and P3.
func (p *pool) balance() {
	room := p.opened && p.held < p.capacity
	for task, s := range p.states {
		switch {
		case room && s == apart:
			p.states[task] = asking
			p.owe(ask, task)
		case !room && s == asking:
			p.states[task] = leaving
			p.owe(leave, task)
		}
	}
}

func (p *pool) owe(do verb, task int) { p.steps = append(p.steps, step{do, task}) }

// take removes and returns the steps.
func (p *pool) take() []step {
	steps := p.steps
	p.steps = nil

	return steps
}

// full reports whether the worker runs as many tasks as it can.
func (p *pool) full() bool { return p.held == min(p.capacity, len(p.states)) }

// still reports whether every task is apart or rests.
func (p *pool) still() bool {
	for _, s := range p.states {
		if s != apart && s != resting {
			return false
		}
	}

	return true
}

// wake returns when tick is due next, or 0 for never.
func (p *pool) wake() clock.Instant {
	var next clock.Instant
	for task, s := range p.states {
		if s == resting && (next == 0 || p.rests[task] < next) {
			next = p.rests[task]
		}
	}

	return next
}

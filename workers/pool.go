package workers

import "tenure/internal/clock"

// A state is what a worker has to do with one task.
type state uint8

const (
	apart     state = iota // nothing: there is no room, or no session
	resting                // it has just ended here, and others may have it; then apart
	asking                 // its semaphore is asked for
	leaving                // the asking has been called off, and has not come back yet
	running                // its semaphore is held, and its function runs
	releasing              // its semaphore is on its way back
)

// A verb is what the shell is to do with a task.
type verb uint8

const (
	ask     verb = iota // acquire; report granted or missed
	leave               // end the acquire, which then reports all the same
	start               // run the function under the lease granted; report ended
	release             // give the lease back; report released
)

// A step is one thing that the shell owes after a call of the pool, in the order given.
type step struct {
	do   verb
	task int
}

// A pool decides which tasks a worker asks for, runs and gives back; it is told what happens, and has no goroutine,
// clock or I/O. It goes through terms: open begins one, shut ends it, and when it is still, the next may begin.
//
// P1 At most capacity tasks run.
// P2 In a term, while fewer run, all tasks that are neither held nor resting nor on their way back are asked for.
// P3 When capacity is reached, or no term is open, none is asked for.
// P4 No task is asked for before its last acquire has come back and its last lease has been given back: requests
// for one semaphore override each other (Q6, Q7).
type pool struct {
	capacity int
	opened   bool
	states   []state
	rests    []clock.Instant // until when a task rests
	held     int             // how many tasks run
	steps    []step          // owed
}

func newPool(tasks, capacity int) *pool {
	return &pool{capacity: capacity, states: make([]state, tasks), rests: make([]clock.Instant, tasks)}
}

// open begins a term. The pool is still.
func (p *pool) open() {
	p.opened = true
	p.balance()
}

// shut ends the term: nothing more is asked for or started. The functions that run are stopped by the shell.
func (p *pool) shut() {
	p.opened = false
	p.balance()
}

// granted says that an acquire has come back with a lease, wanted or not.
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

// missed says that an acquire has come back without a lease. The task is not asked for again before until.
func (p *pool) missed(task int, until clock.Instant) { p.rest(task, until) }

// ended says that a task's function has returned.
func (p *pool) ended(task int) {
	p.states[task] = releasing
	p.held--
	p.owe(release, task)
	p.balance()
}

// released says that a lease has been given back. The task is not asked for again before until.
func (p *pool) released(task int, until clock.Instant) { p.rest(task, until) }

func (p *pool) rest(task int, until clock.Instant) {
	p.states[task] = resting
	p.rests[task] = until
	if until == 0 {
		p.states[task] = apart
	}
	p.balance()
}

// tick says what time it is.
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

// take returns the steps owed, and owes them no more.
func (p *pool) take() []step {
	steps := p.steps
	p.steps = nil

	return steps
}

// full reports whether the worker has all that it can have.
func (p *pool) full() bool { return p.held == min(p.capacity, len(p.states)) }

// still reports whether nothing is under way: every task is apart or rests.
func (p *pool) still() bool {
	for _, s := range p.states {
		if s != apart && s != resting {
			return false
		}
	}

	return true
}

// wake returns when tick is due next, 0 for never.
func (p *pool) wake() clock.Instant {
	var next clock.Instant
	for task, s := range p.states {
		if s == resting && (next == 0 || p.rests[task] < next) {
			next = p.rests[task]
		}
	}

	return next
}

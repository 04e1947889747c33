package cluster_test

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"
)

// verb is what a client did.
type verb string

const (
	write   verb = "write"   // set the data of a semaphore; each one has one client that does so
	read    verb = "read"    // describe it
	acquire verb = "acquire" //
	release verb = "release"
	lose    verb = "lose" // the session was lost: the server releases the semaphore at some time, or never
)

// op is an operation of a client.
type op struct {
	name  string // of the semaphore
	verb  verb
	data  uint64 // written or read
	token uint64 // of the acquire, or of the owner; 0: there is none
	loose bool   // the owner is not known
}

func (o op) String() string {
	return fmt.Sprintf("%s %s data=%d token=%d", o.verb, o.name, o.data, o.token)
}

// value is the state of a semaphore.
type value struct{ data, owner, newest uint64 }

// step carries out an operation, or returns false if it cannot have had its result then.
func (v value) step(o op) (bool, value) {
	switch o.verb {
	case write:
		v.data = o.data
	case read:
		return v.data == o.data && (o.loose || v.owner == o.token), v
	case acquire:
		if v.owner != 0 || o.token <= v.newest {
			return false, v
		}
		v.owner, v.newest = o.token, o.token
	case release, lose:
		if v.owner == o.token {
			v.owner = 0
		} else if o.verb == release {
			return false, v
		}
	}

	return true, v
}

// model is what porcupine compares a history with. Semaphores do not depend on each other.
var model = porcupine.Model{
	Partition: func(history []porcupine.Operation) (parts [][]porcupine.Operation) {
		number := make(map[string]int)
		for _, o := range history {
			name := o.Input.(op).name
			i, ok := number[name]
			if !ok {
				i = len(parts)
				number[name] = i
				parts = append(parts, nil)
			}
			parts[i] = append(parts[i], o)
		}

		return parts
	},
	Init: func() any { return value{} },
	Step: func(state, input, _ any) (bool, any) { return state.(value).step(input.(op)) },
}

// history is what all clients did, on one clock.
type history struct {
	began time.Time

	mu   sync.Mutex // guards the rest
	ops  []porcupine.Operation
	lost map[string]bool // semaphores that a session may own of which that is not known
}

func newHistory() *history { return &history{began: time.Now(), lost: make(map[string]bool)} }

func (h *history) now() int64 { return int64(time.Since(h.began)) }

// add adds an operation that a client began at an instant, and that has just ended.
func (h *history) add(client int, began int64, o op) { h.addAt(client, began, h.now(), o) }

// addOpen adds an operation that a client began at an instant, and that may take effect at any time afterwards.
func (h *history) addOpen(client int, began int64, o op) { h.addAt(client, began, math.MaxInt64, o) }

// unclear notes that a session was lost that may have been granted a semaphore.
func (h *history) unclear(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lost[name] = true
}

func (h *history) addAt(client int, began, ended int64, o op) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, porcupine.Operation{ClientId: client, Input: o, Output: o, Call: began, Return: ended})
}

var (
	errNotLinearizable = errors.New("the history is not linearizable")
	errNotChecked      = errors.New("the check of the history takes too long")
)

// check checks that the servers have answered as one server would.
func (h *history) check() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range h.ops {
		o := h.ops[i].Input.(op)
		o.loose = h.lost[o.name]
		h.ops[i].Input = o
	}
	for _, part := range model.Partition(h.ops) {
		switch porcupine.CheckOperationsTimeout(model, part, time.Minute) {
		case porcupine.Ok:
		case porcupine.Unknown:
			return fmt.Errorf("%w: %d operations", errNotChecked, len(part))
		case porcupine.Illegal:
			return fmt.Errorf("%w: %v", errNotLinearizable, cmp.Or(suspect(part), "see the operations"))
		}
	}

	return nil
}

// suspect returns the first read of a value that was older than one that had been written before the read began.
func suspect(part []porcupine.Operation) string {
	for _, r := range part {
		got := r.Input.(op)
		if got.verb != read {
			continue
		}
		for _, w := range part {
			if o := w.Input.(op); o.verb == write && o.data > got.data && w.Return < r.Call {
				return fmt.Sprintf("client %d, %v: but %v ended %v before", r.ClientId, got, o,
					time.Duration(r.Call-w.Return))
			}
		}
	}

	return ""
}

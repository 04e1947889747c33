package cluster_test

import (
	"errors"
	"fmt"
	"sync"

	"tenure"
)

// A witness is told who believes to hold which lock, and notices when two do at a time.
type witness struct {
	mu     sync.Mutex // guards the rest
	held   map[string]belief
	tokens map[string]uint64 // the highest ones
	turns  int
	err    error
}

// belief is what a client believes that holds a lock.
type belief struct {
	lease *tenure.Lease
	who   string
	token uint64
}

var (
	errTwoHolders = errors.New("two clients believe to hold a lock")
	errOldToken   = errors.New("a token has not risen")
)

func newWitness() *witness {
	return &witness{held: make(map[string]belief), tokens: make(map[string]uint64)}
}

// begin is called when a client has been granted a lock.
func (w *witness) begin(name string, b belief) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.turns++
	if before, ok := w.held[name]; ok && b.lease.Valid() && before.lease.Valid() {
		w.err = errors.Join(w.err, fmt.Errorf("%w: %s: %v and %v", errTwoHolders, name, before, b))
	}
	if b.token <= w.tokens[name] {
		w.err = errors.Join(w.err, fmt.Errorf("%w: %s: %v has %d after %d", errOldToken, name, b.who, b.token,
			w.tokens[name]))
	}
	w.tokens[name] = max(w.tokens[name], b.token)
	w.held[name] = b
}

// works is called while the client works.
func (w *witness) works(name string, b belief) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if b.lease.Valid() && w.held[name] != b {
		w.err = errors.Join(w.err, fmt.Errorf("%w: %s: %v works after %v has begun", errTwoHolders, name, b, w.held[name]))
	}
}

// end is called before the client releases the lock.
func (w *witness) end(name string, b belief) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.held[name] == b {
		delete(w.held, name)
	}
}

func (b belief) String() string { return fmt.Sprintf("%s with token %d", b.who, b.token) }

func (w *witness) check() error {
	w.mu.Lock()
	defer w.mu.Unlock()

	return w.err
}

package ownership

import "errors"

// RequestID identifies an attempt to carry out a transaction. It is never zero.
type RequestID uint64

// Effects is the work that a method of Core leaves to its caller, to be done in order. Methods append to Actions.
type Effects struct{ Actions []Action }

func (fx *Effects) do(a Action) { fx.Actions = append(fx.Actions, a) }

// Action is one of the action types declared below.
type Action interface{ action() }

type (
	// Send sends a transaction to etcd. The caller passes its result to Answer. If there is none, it calls Unknown,
	// and a result that arrives later is ignored.
	Send struct {
		ID      RequestID
		Txn     Txn
		Attempt int // 1 for the first; the caller waits a little before it sends a further one
	}

	// Claimed reports that the claim has succeeded. The caller loads the space before it calls Commit or Confirm.
	Claimed struct{}

	// Committed reports that the batch is durable, and that the space was owned when it became so.
	Committed struct{}

	// Confirmed reports the proof for all tickets up to this one.
	Confirmed struct{ Ticket uint64 }

	// Over is the last action. It ends the claim. The outcome of a batch that is being committed is unknown.
	Over struct{ Cause error }
)

func (Send) action()      {}
func (Claimed) action()   {}
func (Committed) action() {}
func (Confirmed) action() {}
func (Over) action()      {}

// The reasons for which a claim ends, besides store.ErrFenced, store.ErrDropped, *store.OwnedError, errors that wrap
// store.ErrDamaged or store.ErrNewer, and what the caller passes to Refused.
var (
	ErrUnregistered = errors.New("the registration of this server has expired")
	ErrReleased     = errors.New("the space was handed over")
	// ErrCompacted is for Refused: etcd no longer has the revision that the transaction reads.
	ErrCompacted = errors.New("etcd no longer has the revision")
)

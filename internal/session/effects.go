package session

import (
	"strings"

	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	pb "github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Issue"

	"tenure/internal/clock"
)

// StreamID identifies a stream that the core has opened. It is never zero.
type StreamID uint64

// Effects is the work that a method of Core leaves to its caller. The caller performs the actions in slice order,
// without blocking, and calls Tick at Wake at the latest. Methods append to Actions and replace Wake.
//
// Actions are values, except that the frequent ones are pointers, which are valid until Reset: *Send, *Finished and
// *EndLease.
type Effects struct {
	Actions []Action
	Wake    clock.Instant // 0: no Tick is needed

	// What the pointers in Actions point to. Appending may move the elements, but nobody changes them.
	sends    []Send
	finished []Finished
	ended    []EndLease
}

// Reset removes the actions and keeps their memory for new ones, unless it is much.
func (fx *Effects) Reset() {
	fx.Actions, fx.sends = emptied(fx.Actions), emptied(fx.sends)
	fx.finished, fx.ended = emptied(fx.finished), emptied(fx.ended)
}

func emptied[T any](s []T) []T {
	const most = 16
	if cap(s) > most {
		return nil
	}
	clear(s)

	return s[:0]
}

func (fx *Effects) do(a Action) { fx.Actions = append(fx.Actions, a) }

func (fx *Effects) send(stream StreamID, m *pb.SessionRequest) {
	fx.sends = append(fx.sends, Send{stream, m})
	fx.do(&fx.sends[len(fx.sends)-1])
}

func (fx *Effects) finish(f Finished) {
	fx.finished = append(fx.finished, f)
	fx.do(&fx.finished[len(fx.finished)-1])
}

func (fx *Effects) endLease(l *Lease, cause error) {
	fx.ended = append(fx.ended, EndLease{l, cause})
	fx.do(&fx.ended[len(fx.ended)-1])
}

// Action is one of the action types declared below, or a pointer to one.
type Action interface{ action() }

type (
	// Open opens a stream. The one before it, if any, has been dropped. Send actions for the stream may follow before it
	// is open.
	Open struct{ Stream StreamID }

	// Send sends a message over a stream, after all earlier messages.
	Send struct {
		Stream  StreamID
		Message *pb.SessionRequest
	}

	// Drop ends a stream immediately, even if it is still being opened. The core ignores what the stream still
	// delivers. Silent reports that an answer is overdue, so the next stream should go to another endpoint if possible.
	Drop struct {
		Stream StreamID
		Silent bool
	}

	// Started reports that a stream has attached to the session. Again is false the first time.
	Started struct {
		Session uint64
		Again   bool
	}

	// Lost reports that the stream has ended or could not be opened. Another attempt follows.
	Lost struct{ Cause error }

	// Finished ends a call. Err is nil, ErrNotAcquired, ErrOver, ErrUnknown, ErrAnswer with the reason, or a
	// *StatusError.
	Finished struct {
		Call        *Call
		Err         error
		Lease       *Lease                   // of an Acquire that succeeded; the existing lease if there was one
		Description *pb.SemaphoreDescription // of a Describe that succeeded
	}

	// EndLease ends one lease. When the session ends, a single Over ends all its leases instead.
	EndLease struct {
		Lease *Lease
		Cause error
	}

	// Fire calls the handler of a watch, once and in a new goroutine. If both flags are false, the watch was lost.
	Fire struct {
		Watch                      *Watch
		DataChanged, OwnersChanged bool
	}

	// Over ends the session and all its leases. Only Finished and Fire actions follow, and those that Close needs to
	// stop the session at the server. Cause is ErrDeadline, ErrClosed, a *StatusError, a *RefusedError or the gRPC error
	// of the first attach.
	Over struct{ Cause error }

	// Closed is the last action, except that a call begun later still finishes. Left reports that the server may still
	// have the session, and that no other client has attached to it as far as the core knows. An Ending can then end it.
	Closed struct {
		Cause error
		Left  bool
	}
)

func (Open) action()      {}
func (*Send) action()     {}
func (Drop) action()      {}
func (Started) action()   {}
func (Lost) action()      {}
func (*Finished) action() {}
func (*EndLease) action() {}
func (Fire) action()      {}
func (Over) action()      {}
func (Closed) action()    {}

// Watch is one subscription to changes of a semaphore.
type Watch struct {
	Owner any    // for the caller; the core does not use it
	req   uint64 // req_id of the Describe that set it up
	live  bool   // the server has confirmed it
}

// Lease is one grant, from the answer that brought it until it is released or lost.
type Lease struct {
	Owner   any    // for the caller; the core does not use it
	Name    string // of the semaphore
	OrderID uint64 // the fencing token; 0: not known yet

	since uint64 // req_id of the acquire that was granted
	place int    // index in Core.held
	ended bool

	oversized int // streams that renewals with the owners of the semaphore seem to have spoiled
}

// StatusError is an answer of the server with a status other than SUCCESS.
type StatusError struct {
	Status Ydb.StatusIds_StatusCode
	Issues []*Ydb_Issue.IssueMessage
}

func (e *StatusError) Error() string {
	parts := []string{e.Status.String()}
	for _, i := range e.Issues {
		parts = append(parts, i.GetMessage())
	}

	return strings.Join(parts, ": ")
}

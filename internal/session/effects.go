package session

import (
	"strings"

	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	pb "github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Issue"

	"tenure/internal/clock"
)

// StreamID names one stream that the core has had opened; never zero.
type StreamID uint64

// Effects is what the caller of a method of Core owes: the actions, in slice order, none of which may block, and a
// Tick at Wake at the latest. Methods add to what is there.
type Effects struct {
	Actions []Action
	Wake    clock.Instant // zero: nothing is due
}

func (fx *Effects) do(a Action) { fx.Actions = append(fx.Actions, a) }

// Action is one of the types of this file.
type Action interface{ action() }

type (
	// Open opens a stream. What is to be sent over it comes in Send actions, some before it is open.
	Open struct{ Stream StreamID }

	// Send sends a message over a stream, behind those before.
	Send struct {
		Stream  StreamID
		Message *pb.SessionRequest
	}

	// Drop ends a stream at once, also while it is being opened; what it still says is not asked for. Silent says that
	// an answer is overdue: the next stream had better go to another endpoint.
	Drop struct {
		Stream StreamID
		Silent bool
	}

	// Started says that a stream has attached to the session: the first time, or again.
	Started struct {
		Session uint64
		Again   bool
	}

	// Lost says that the stream has gone, or that none came about, and why; another attempt follows.
	Lost struct{ Cause error }

	// Finished ends a call. Err is nil, ErrNotAcquired, ErrOver (wrapping why), ErrUnknown or a *StatusError.
	Finished struct {
		Call        *Call
		Err         error
		Lease       *Lease                   // of an Acquire that succeeded; the one there was, if it was held before
		Description *pb.SemaphoreDescription // of a Describe that succeeded
	}

	// EndLease ends a lease; when the session is over, Over stands for all of them.
	EndLease struct {
		Lease *Lease
		Cause error
	}

	// Fire calls a watch's handler, once and on a goroutine of its own. Both flags false: it is lost.
	Fire struct {
		Watch                      *Watch
		DataChanged, OwnersChanged bool
	}

	// Over ends the session and every lease of it. What comes behind it are Finished, Fire, and what Close takes.
	// Cause is ErrDeadline, ErrClosed or a *StatusError.
	Over struct{ Cause error }

	// Closed says that nothing more will come, but the end of a call that is begun all the same. Cause is a *StatusError
	// if the server has said that there is no such session; else it may have one for a while.
	Closed struct{ Cause error }
)

func (Open) action()     {}
func (Send) action()     {}
func (Drop) action()     {}
func (Started) action()  {}
func (Lost) action()     {}
func (Finished) action() {}
func (EndLease) action() {}
func (Fire) action()     {}
func (Over) action()     {}
func (Closed) action()   {}

// Watch is one subscription to changes of a semaphore.
type Watch struct {
	Owner any    // the caller's own
	req   uint64 // of the Describe that carries it
	live  bool   // the server has it
}

// Lease is one grant, from the answer that gave it until it is given back or lost.
type Lease struct {
	Owner   any // the caller's own
	Name    string
	OrderID uint64 // the fencing token; 0: not known yet

	since uint64 // req_id of the acquire that gave it
	place int    // in Core.held
	ended bool
}

// StatusError is a server's answer that is not success.
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

package node

// Status is the outcome of a request. The values are those of Ydb.StatusIds.StatusCode.
type Status int32

// The statuses that nodes and their servers use.
const (
	Success            Status = 400000
	BadRequest         Status = 400010
	Unauthorized       Status = 400020
	Aborted            Status = 400040
	Unavailable        Status = 400050
	Overloaded         Status = 400060
	SchemeError        Status = 400070
	Timeout            Status = 400090
	BadSession         Status = 400100
	PreconditionFailed Status = 400120
	AlreadyExists      Status = 400130
	NotFound           Status = 400140
	SessionExpired     Status = 400150
	Undetermined       Status = 400170
	Unsupported        Status = 400180
)

// Reply is a message for one stream. If the stream has ended in the meantime, the message is dropped without an error.
type Reply struct {
	Stream  StreamID
	Message Message
}

// Message is one of the message types in this file.
type Message interface{ message() }

// Result is the common part of the answers to numbered requests: the number of the request and its outcome. Issue is
// the human-readable reason, and is empty on success.
type Result struct {
	Req    uint64
	Status Status
	Issue  string
}

type (
	// Attached answers Attach (A7).
	Attached struct {
		Session       uint64
		TimeoutMillis uint64
	}

	// Failure ends the stream (A2). It answers a refused Attach or Stop, or reports that another stream has taken over
	// the session (A8).
	Failure struct {
		Status Status
		Issue  string
	}

	// Stopped answers Stop and ends the stream (A14).
	Stopped struct{ Session uint64 }

	// Acquired answers Acquire.
	Acquired struct {
		Result
		Acquired bool
	}

	// AcquirePending reports that an Acquire waits in the queue (Q5).
	AcquirePending struct{ Req uint64 }

	// Released answers Release.
	Released struct {
		Result
		Released bool
	}

	// Created answers Create.
	Created struct{ Result }

	// Updated answers Update.
	Updated struct{ Result }

	// Deleted answers Delete.
	Deleted struct{ Result }

	// Described answers Describe. Semaphore is nil unless Status is Success.
	Described struct {
		Result
		Semaphore  *Description
		WatchAdded bool
	}

	// Changed notifies a watch, once (S6). Req is the number of the Describe that registered the watch. If both flags are
	// false, a newer watch has replaced it (S5).
	Changed struct {
		Req                        uint64
		DataChanged, OwnersChanged bool
	}
)

func (Attached) message()       {}
func (Failure) message()        {}
func (Stopped) message()        {}
func (Acquired) message()       {}
func (AcquirePending) message() {}
func (Released) message()       {}
func (Created) message()        {}
func (Updated) message()        {}
func (Deleted) message()        {}
func (Described) message()      {}
func (Changed) message()        {}

// Description is the state of a semaphore at one moment. It shares its byte slices with the node: do not modify them.
type Description struct {
	Name      string
	Data      []byte
	Count     uint64 // the sum of the owners' counts
	Limit     uint64
	Ephemeral bool
	Owners    []Holder // by order id; nil unless requested
	Waiters   []Holder // in queue order; nil unless requested
}

// Holder is an owner or a waiter of a semaphore.
type Holder struct {
	OrderID       uint64 // the fencing token; grows with every new acquire in the node
	Session       uint64
	Count         uint64
	TimeoutMillis uint64 // of a waiter; 0 for an owner
	Data          []byte
	Joined        uint64 // when it joined the queue, in milliseconds since 1970 by the wall clock; 0: unknown
	Granted       uint64 // when it became an owner; 0: unknown, since the node was loaded meanwhile, or it is a waiter
}

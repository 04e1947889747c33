package node

// Status is an outcome as the wire names it; the values are those of Ydb.StatusIds.StatusCode.
type Status int32

// The statuses that nodes and their servers use.
const (
	Success            Status = 400000
	BadRequest         Status = 400010
	Aborted            Status = 400040
	Unavailable        Status = 400050
	SchemeError        Status = 400070
	Timeout            Status = 400090
	BadSession         Status = 400100
	PreconditionFailed Status = 400120
	AlreadyExists      Status = 400130
	NotFound           Status = 400140
	SessionExpired     Status = 400150
	Undetermined       Status = 400170
)

// Reply is a message for one stream. A stream that has ended in the meantime is no error: nobody is told.
type Reply struct {
	Stream  StreamID
	Message Message
}

// Message is one of the types of this file.
type Message interface{ message() }

// Result is what every answer to a numbered request says: which request, and how it went. Issue is the text for
// people, empty on success.
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

	// Failure ends the stream (A2): the answer to a refused Attach, or the news that the session was taken over (A8).
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

	// AcquirePending says that an Acquire waits in the queue (Q5).
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

	// Changed fires a watch, once (S6); Req is that of the Describe. Both flags false: a newer watch replaced it (S5).
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

// Description is the state of a semaphore at one moment. Its byte slices are the node's own: not to be changed.
type Description struct {
	Name      string
	Data      []byte
	Count     uint64 // held by the owners together
	Limit     uint64
	Ephemeral bool
	Owners    []Holder // by order id; nil unless asked for
	Waiters   []Holder // in queue order; nil unless asked for
}

// Holder is an owner or a waiter of a semaphore.
type Holder struct {
	OrderID       uint64 // the fencing token: grows with every new acquire of the node
	Session       uint64
	Count         uint64
	TimeoutMillis uint64 // of a waiter; 0 for an owner
	Data          []byte
}

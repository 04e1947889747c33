package node

// StreamID names one stream of the server's: never zero, never used twice for one Node.
type StreamID uint64

// Request is one of the types of this file. The node keeps the byte slices of a request: they are not to be changed.
type Request interface{ request() }

// From says who asks: the stream that the request came over and the session that was attached to it.
type From struct {
	Stream  StreamID
	Session uint64
}

type (
	// Attach makes a session, or attaches a stream to an existing one (A4–A9). It is answered with Attached or Failure.
	Attach struct {
		Stream        StreamID
		Session       uint64 // 0: a new one
		Seq           uint64 // grows with each attach of the client (A6)
		TimeoutMillis uint64
		Description   string
		ProtectionKey []byte // empty: none
	}

	// Detach says that a stream has ended; its session's timeout runs from now (A10). It has no answer.
	Detach struct{ Stream StreamID }

	// Abandon is Detach for a stream that ended before it could be told Attached: a session that the attach made is
	// destroyed (A11).
	Abandon struct{ Stream StreamID }

	// Expire ends a detached session ahead of its deadline, as that would (A12): whoever asks knows that nobody is left
	// who could come back to it. A session that is attached again, or is over, is left as it is. It has no answer.
	Expire struct{ Session uint64 }

	// Stop destroys the session (A14). It is answered with Stopped.
	Stop struct{ From }

	// Acquire takes Count of a semaphore or queues for it (Q1–Q7). It is answered with Acquired; if it must wait, with
	// AcquirePending first.
	Acquire struct {
		From
		Req           uint64
		Semaphore     string
		Count         uint64
		TimeoutMillis uint64 // Forever: no limit
		Data          []byte
		Ephemeral     bool
	}

	// Release gives back what the session owns, or takes it out of the queue (Q8). It is answered with Released.
	Release struct {
		From
		Req       uint64
		Semaphore string
	}

	// Create makes a persistent semaphore (S1). It is answered with Created.
	Create struct {
		From
		Req       uint64
		Semaphore string
		Limit     uint64
		Data      []byte
	}

	// Update sets a semaphore's data (S2). It is answered with Updated.
	Update struct {
		From
		Req       uint64
		Semaphore string
		Data      []byte
	}

	// Delete removes a persistent semaphore (S3). It is answered with Deleted.
	Delete struct {
		From
		Req       uint64
		Semaphore string
		Force     bool
	}

	// Describe reads a semaphore and may watch it (S4–S6). It is answered with Described.
	Describe struct {
		From
		Req                           uint64
		Semaphore                     string
		IncludeOwners, IncludeWaiters bool
		WatchData, WatchOwners        bool
	}

	// Tick is time alone: what is due happens. It has no answer.
	Tick struct{}
)

func (Attach) request()   {}
func (Detach) request()   {}
func (Abandon) request()  {}
func (Expire) request()   {}
func (Stop) request()     {}
func (Acquire) request()  {}
func (Release) request()  {}
func (Create) request()   {}
func (Update) request()   {}
func (Delete) request()   {}
func (Describe) request() {}
func (Tick) request()     {}

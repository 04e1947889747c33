package node

// StreamID identifies a stream of the server. It is never zero, and a server never uses an id twice for the same Node.
type StreamID uint64

// Request is one of the request types in this file. The node keeps the byte slices of a request: do not modify them
// after the call to Apply.
type Request interface{ request() }

// From identifies the sender of a request: the stream that the request came over, and the session that this stream was
// attached to.
type From struct {
	Stream  StreamID
	Session uint64
}

type (
	// Attach creates a session, or attaches a stream to an existing one (A4–A9). The answer is Attached or Failure.
	Attach struct {
		Stream        StreamID
		Session       uint64 // 0 to create a session
		Seq           uint64 // grows with each attach by the client (A6)
		TimeoutMillis uint64
		Description   string
		ProtectionKey []byte // empty for none
	}

	// Detach reports that a stream has ended. The timeout of its session starts (A10). There is no answer.
	Detach struct{ Stream StreamID }

	// Abandon is Detach for a stream that ended before Attached could be sent over it. If the attach created the session,
	// the session is destroyed (A11).
	Abandon struct{ Stream StreamID }

	// Expire ends a detached session before its deadline, with the same effects as the deadline (A12). It is for callers
	// that know that no client is left that could come back to the session. It does nothing if the session is attached
	// again or has already ended. There is no answer.
	Expire struct {
		Session uint64
		Cause   Cause // of the events; 0: ByLifeline
	}

	// Stop destroys the session (A14). The answer is Stopped, or Failure if the session is not attached to the stream.
	Stop struct{ From }

	// Acquire acquires Count tokens of a semaphore or joins its queue (Q1–Q7). The answer is Acquired. If the request must
	// wait, the node first sends AcquirePending.
	Acquire struct {
		From
		Req           uint64
		Semaphore     string
		Count         uint64
		TimeoutMillis uint64 // Forever to wait without limit
		Data          []byte
		Ephemeral     bool
	}

	// Release gives back the tokens that the session owns, or removes the session from the queue (Q8). The answer is
	// Released.
	Release struct {
		From
		Req       uint64
		Semaphore string
	}

	// Create creates a persistent semaphore (S1). The answer is Created.
	Create struct {
		From
		Req       uint64
		Semaphore string
		Limit     uint64
		Data      []byte
	}

	// Update sets the data of a semaphore (S2). The answer is Updated.
	Update struct {
		From
		Req       uint64
		Semaphore string
		Data      []byte
	}

	// Delete removes a persistent semaphore (S3). The answer is Deleted.
	Delete struct {
		From
		Req       uint64
		Semaphore string
		Force     bool
	}

	// Describe reads a semaphore and can register a watch on it (S4–S6). The answer is Described.
	Describe struct {
		From
		Req                           uint64
		Semaphore                     string
		IncludeOwners, IncludeWaiters bool
		WatchData, WatchOwners        bool
	}

	// Thaw ends the time in which a node grants nothing, see Config. Waiters that fit become owners. There is no answer.
	Thaw struct{}

	// Tick only advances the time. There is no answer.
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
func (Thaw) request()     {}
func (Tick) request()     {}

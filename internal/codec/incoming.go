package codec

import (
	"sync"

	pb "github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
)

// Incoming receives the messages of a stream that may be idle for long, one after the other. It is like a Request, but
// it can give its memory to other streams. The zero Incoming is ready for use.
type Incoming struct{ request *Request }

// requests are those that no Incoming has.
var requests = sync.Pool{New: func() any { return new(Request) }}

// Message returns the last message. It is valid until the next one is received, or Forget is called.
func (i *Incoming) Message() *pb.SessionRequest { return &i.request.Message }

// Forget gives back the memory of the last message. The next message may need a little longer to be decoded.
func (i *Incoming) Forget() {
	if r := i.request; r != nil {
		i.request = nil
		r.Message.Reset()
		r.forget()
		requests.Put(r)
	}
}

// take returns the Request for the next message.
func (i *Incoming) take() *Request {
	if i.request == nil {
		i.request = requests.Get().(*Request)
	}

	return i.request
}

package codec

import (
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	pb "github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
)

// The fields of SessionResponse that this package knows.
const (
	Ping            = 1
	Pong            = 2
	AcquirePending  = 8
	AcquireResult   = 9
	ReleaseResult   = 10
	describeResult  = 11
	descriptionPart = 4
)

// Response receives messages of type SessionResponse, one after the other. The zero Response is ready for use.
type Response struct {
	Message pb.SessionResponse // the last message; valid until the next one is received

	// Parts of Message, which are reused. Each is nil until the first message of its kind. Descriptions are not reused.
	ping     *responsePingSlot
	pong     *responsePongSlot
	pending  *pendingSlot
	acquired *acquiredSlot
	released *releasedSlot
}

type (
	responsePingSlot struct {
		kind pb.SessionResponse_Ping
		m    pb.SessionResponse_PingPong
	}
	responsePongSlot struct {
		kind pb.SessionResponse_Pong
		m    pb.SessionResponse_PingPong
	}
	pendingSlot struct {
		kind pb.SessionResponse_AcquireSemaphorePending_
		m    pb.SessionResponse_AcquireSemaphorePending
	}
	acquiredSlot struct {
		kind pb.SessionResponse_AcquireSemaphoreResult_
		m    pb.SessionResponse_AcquireSemaphoreResult
	}
	releasedSlot struct {
		kind pb.SessionResponse_ReleaseSemaphoreResult_
		m    pb.SessionResponse_ReleaseSemaphoreResult
	}
	describedSlot struct {
		kind pb.SessionResponse_DescribeSemaphoreResult_
		m    pb.SessionResponse_DescribeSemaphoreResult
	}
)

// AppendPing appends a Ping or a Pong, as the field says. Requests and responses have the same encoding.
func AppendPing(b []byte, field byte, opaque uint64) []byte {
	b = open(b, field)
	start := len(b)

	return shut(appendNumber(b, 1, opaque), start)
}

// AppendPending appends an AcquireSemaphorePending.
func AppendPending(b []byte, req uint64) []byte {
	b = open(b, AcquirePending)
	start := len(b)

	return shut(appendNumber(b, 1, req), start)
}

// AppendResult appends an AcquireSemaphoreResult or a ReleaseSemaphoreResult without issues, as the field says. The
// flag says whether the semaphore was acquired, or released.
func AppendResult(b []byte, field byte, req uint64, status Ydb.StatusIds_StatusCode, flag bool) []byte {
	b = open(b, field)
	start := len(b)
	b = appendNumber(b, 1, req)
	b = appendNumber(b, 2, uint64(status)) // a negative one has ten bytes
	b = appendBool(b, 4, flag)

	return shut(b, start)
}

// Description is the semaphore in a DescribeSemaphoreResult.
type Description struct {
	Name            string
	Data            []byte
	Limit, Count    uint64
	Ephemeral       bool
	Owners, Waiters int                // their numbers
	Holder          func(i int) Holder // owners first, then waiters
}

// Holder is an owner or a waiter of a semaphore.
type Holder struct {
	OrderID, Session, TimeoutMillis, Count uint64
	Data                                   []byte
}

// AppendDescribed appends a DescribeSemaphoreResult without issues. The name must be valid UTF-8.
func AppendDescribed(b []byte, req uint64, status Ydb.StatusIds_StatusCode, d Description, watching bool) []byte {
	b = open(b, describeResult)
	start := len(b)
	b = appendNumber(b, 1, req)
	b = appendNumber(b, 2, uint64(status))
	b = open(b, descriptionPart)
	part := len(b)
	b = appendText(b, 1, d.Name)
	b = appendText(b, 2, d.Data)
	b = appendNumber(b, 3, d.Limit)
	b = appendBool(b, 4, d.Ephemeral)
	for i := range d.Owners + d.Waiters {
		field := byte(5)
		if i >= d.Owners {
			field = 6
		}
		b = appendHolder(b, field, d.Holder(i))
	}
	b = appendNumber(b, 7, d.Count)
	b = shut(b, part)
	b = appendBool(b, 5, watching)

	return shut(b, start)
}

func appendHolder(b []byte, field byte, h Holder) []byte {
	b = open(b, field)
	start := len(b)
	b = appendNumber(b, 1, h.Session)
	b = appendNumber(b, 2, h.TimeoutMillis)
	b = appendNumber(b, 3, h.Count)
	b = appendText(b, 4, h.Data)
	b = appendNumber(b, 5, h.OrderID)

	return shut(b, start)
}

// appendResponse appends a message. It returns false if package proto has to encode the message.
func appendResponse(b []byte, m *pb.SessionResponse) ([]byte, bool) {
	if m == nil || !plain(m) {
		return b, false
	}
	switch kind := m.GetResponse().(type) {
	case *pb.SessionResponse_Ping:
		if p := kind.Ping; p != nil && plain(p) {
			return AppendPing(b, Ping, p.GetOpaque()), true
		}
	case *pb.SessionResponse_Pong:
		if p := kind.Pong; p != nil && plain(p) {
			return AppendPing(b, Pong, p.GetOpaque()), true
		}
	case *pb.SessionResponse_AcquireSemaphorePending_:
		if p := kind.AcquireSemaphorePending; p != nil && plain(p) {
			return AppendPending(b, p.GetReqId()), true
		}
	case *pb.SessionResponse_AcquireSemaphoreResult_:
		if r := kind.AcquireSemaphoreResult; r != nil && plain(r) && len(r.GetIssues()) == 0 {
			return AppendResult(b, AcquireResult, r.GetReqId(), r.GetStatus(), r.GetAcquired()), true
		}
	case *pb.SessionResponse_ReleaseSemaphoreResult_:
		if r := kind.ReleaseSemaphoreResult; r != nil && plain(r) && len(r.GetIssues()) == 0 {
			return AppendResult(b, ReleaseResult, r.GetReqId(), r.GetStatus(), r.GetReleased()), true
		}
	}

	return b, false
}

// decode decodes a message. It returns false if package proto has to decode the message.
func (r *Response) decode(b []byte, m *pb.SessionResponse) bool {
	tag, c, ok := only(b)
	if !ok {
		return false
	}
	m.Reset()
	switch tag {
	case Ping<<3 | sized:
		s := slot(&r.ping)
		s.m.Opaque = c.opaque()
		s.kind.Ping = &s.m
		m.Response = &s.kind
	case Pong<<3 | sized:
		s := slot(&r.pong)
		s.m.Opaque = c.opaque()
		s.kind.Pong = &s.m
		m.Response = &s.kind
	case AcquirePending<<3 | sized:
		s := slot(&r.pending)
		s.m.ReqId = c.opaque()
		s.kind.AcquireSemaphorePending = &s.m
		m.Response = &s.kind
	case AcquireResult<<3 | sized:
		s := slot(&r.acquired)
		s.m.ReqId, s.m.Status, s.m.Acquired = c.result()
		s.kind.AcquireSemaphoreResult = &s.m
		m.Response = &s.kind
	case ReleaseResult<<3 | sized:
		s := slot(&r.released)
		s.m.ReqId, s.m.Status, s.m.Released = c.result()
		s.kind.ReleaseSemaphoreResult = &s.m
		m.Response = &s.kind
	case describeResult<<3 | sized:
		s := new(describedSlot)
		c.described(&s.m)
		s.kind.DescribeSemaphoreResult = &s.m
		m.Response = &s.kind
	default:
		return false
	}

	return c.ok()
}

// result reads a result without issues.
func (c *cursor) result() (req uint64, status Ydb.StatusIds_StatusCode, flag bool) {
	for c.next() {
		switch c.tag() {
		case 1<<3 | number:
			req = c.number()
		case 2<<3 | number:
			status = Ydb.StatusIds_StatusCode(c.number())
		case 4<<3 | number:
			flag = c.bool()
		default:
			c.fail()
		}
	}

	return req, status, flag
}

func (c *cursor) described(m *pb.SessionResponse_DescribeSemaphoreResult) {
	for c.next() {
		switch c.tag() {
		case 1<<3 | number:
			m.ReqId = c.number()
		case 2<<3 | number:
			m.Status = Ydb.StatusIds_StatusCode(c.number())
		case 4<<3 | sized:
			if m.SemaphoreDescription != nil { // package proto merges them
				c.fail()

				return
			}
			m.SemaphoreDescription = &pb.SemaphoreDescription{}
			c.description(m.GetSemaphoreDescription())
		case 5<<3 | number:
			m.WatchAdded = c.bool()
		default:
			c.fail()
		}
	}
}

// description reads a description, which is a field.
func (c *cursor) description(m *pb.SemaphoreDescription) {
	part := cursor{rest: c.part()}
	for part.next() {
		switch part.tag() {
		case 1<<3 | sized:
			m.Name = part.text("")
		case 2<<3 | sized:
			m.Data = part.data()
		case 3<<3 | number:
			m.Limit = part.number()
		case 4<<3 | number:
			m.Ephemeral = part.bool()
		case 5<<3 | sized:
			m.Owners = append(m.Owners, part.holder())
		case 6<<3 | sized:
			m.Waiters = append(m.Waiters, part.holder())
		case 7<<3 | number:
			m.Count = part.number()
		default:
			part.fail()
		}
	}
	if !part.ok() {
		c.fail()
	}
}

// holder reads an owner or a waiter, which is a field.
func (c *cursor) holder() *pb.SemaphoreSession {
	part := cursor{rest: c.part()}
	m := &pb.SemaphoreSession{}
	for part.next() {
		switch part.tag() {
		case 1<<3 | number:
			m.SessionId = part.number()
		case 2<<3 | number:
			m.TimeoutMillis = part.number()
		case 3<<3 | number:
			m.Count = part.number()
		case 4<<3 | sized:
			m.Data = part.data()
		case 5<<3 | number:
			m.OrderId = part.number()
		default:
			part.fail()
		}
	}
	if !part.ok() {
		c.fail()
	}

	return m
}

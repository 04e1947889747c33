package codec

import (
	pb "github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"

	"tenure/internal/limit"
)

// The fields of SessionRequest that this package knows.
const (
	requestPing     = 1
	requestPong     = 2
	requestAcquire  = 7
	requestRelease  = 8
	requestDescribe = 9
	requestCreate   = 10
	requestUpdate   = 11
)

// Request receives messages of type SessionRequest, one after the other. The zero Request is ready for use.
type Request struct {
	Message pb.SessionRequest // the last message; valid until the next one is received

	// Parts of Message, which are reused. Each is nil until the first message of its kind.
	ping     *requestPingSlot
	pong     *requestPongSlot
	acquire  *acquireSlot
	release  *releaseSlot
	describe *describeSlot
	create   *createSlot
	update   *updateSlot
}

type (
	requestPingSlot struct {
		kind pb.SessionRequest_Ping
		m    pb.SessionRequest_PingPong
	}
	requestPongSlot struct {
		kind pb.SessionRequest_Pong
		m    pb.SessionRequest_PingPong
	}
	acquireSlot struct {
		kind pb.SessionRequest_AcquireSemaphore_
		m    pb.SessionRequest_AcquireSemaphore
	}
	releaseSlot struct {
		kind pb.SessionRequest_ReleaseSemaphore_
		m    pb.SessionRequest_ReleaseSemaphore
	}
	describeSlot struct {
		kind pb.SessionRequest_DescribeSemaphore_
		m    pb.SessionRequest_DescribeSemaphore
	}
	createSlot struct {
		kind pb.SessionRequest_CreateSemaphore_
		m    pb.SessionRequest_CreateSemaphore
	}
	updateSlot struct {
		kind pb.SessionRequest_UpdateSemaphore_
		m    pb.SessionRequest_UpdateSemaphore
	}
)

// AppendRequest appends a message. It returns false if package proto has to encode the message.
func AppendRequest(b []byte, m *pb.SessionRequest) ([]byte, bool) {
	if m == nil || !plain(m) {
		return b, false
	}
	switch kind := m.GetRequest().(type) {
	case *pb.SessionRequest_Ping:
		return appendRequestPing(b, requestPing, kind.Ping)
	case *pb.SessionRequest_Pong:
		return appendRequestPing(b, requestPong, kind.Pong)
	case *pb.SessionRequest_AcquireSemaphore_:
		return appendAcquire(b, kind.AcquireSemaphore)
	case *pb.SessionRequest_ReleaseSemaphore_:
		return appendRelease(b, kind.ReleaseSemaphore)
	case *pb.SessionRequest_DescribeSemaphore_:
		return appendDescribe(b, kind.DescribeSemaphore)
	default:
		return b, false
	}
}

func appendRequestPing(b []byte, field byte, m *pb.SessionRequest_PingPong) ([]byte, bool) {
	if m == nil || !plain(m) {
		return b, false
	}

	return AppendPing(b, field, m.GetOpaque()), true
}

func appendAcquire(b []byte, m *pb.SessionRequest_AcquireSemaphore) ([]byte, bool) {
	if m == nil || !plain(m) || !valid(m.GetName()) {
		return b, false
	}
	b = open(b, requestAcquire)
	start := len(b)
	b = appendNumber(b, 1, m.GetReqId())
	b = appendText(b, 2, m.GetName())
	b = appendNumber(b, 3, m.GetTimeoutMillis())
	b = appendNumber(b, 4, m.GetCount())
	b = appendText(b, 5, m.GetData())
	b = appendBool(b, 6, m.GetEphemeral())

	return shut(b, start), true
}

func appendRelease(b []byte, m *pb.SessionRequest_ReleaseSemaphore) ([]byte, bool) {
	if m == nil || !plain(m) || !valid(m.GetName()) {
		return b, false
	}
	b = open(b, requestRelease)
	start := len(b)
	b = appendNumber(b, 1, m.GetReqId())
	b = appendText(b, 2, m.GetName())

	return shut(b, start), true
}

func appendDescribe(b []byte, m *pb.SessionRequest_DescribeSemaphore) ([]byte, bool) {
	if m == nil || !plain(m) || !valid(m.GetName()) {
		return b, false
	}
	b = open(b, requestDescribe)
	start := len(b)
	b = appendNumber(b, 1, m.GetReqId())
	b = appendText(b, 2, m.GetName())
	b = appendBool(b, 3, m.GetIncludeOwners())
	b = appendBool(b, 4, m.GetIncludeWaiters())
	b = appendBool(b, 5, m.GetWatchData())
	b = appendBool(b, 6, m.GetWatchOwners())

	return shut(b, start), true
}

// decode decodes a message. It returns false if package proto has to decode the message. If kept is set, b stays as it
// is, and the message may refer to it.
func (r *Request) decode(b []byte, kept bool, m *pb.SessionRequest) bool {
	tag, c, ok := only(b)
	if !ok {
		return false
	}
	if kept {
		c.kept = len(b)
	}
	r.forget()
	m.Reset()
	switch tag {
	case requestPing<<3 | sized:
		s := slot(&r.ping)
		s.m.Opaque = c.opaque()
		s.kind.Ping = &s.m
		m.Request = &s.kind
	case requestPong<<3 | sized:
		s := slot(&r.pong)
		s.m.Opaque = c.opaque()
		s.kind.Pong = &s.m
		m.Request = &s.kind
	case requestAcquire<<3 | sized:
		s := slot(&r.acquire)
		c.acquire(&s.m)
		s.kind.AcquireSemaphore = &s.m
		m.Request = &s.kind
	case requestRelease<<3 | sized:
		s := slot(&r.release)
		c.release(&s.m)
		s.kind.ReleaseSemaphore = &s.m
		m.Request = &s.kind
	case requestDescribe<<3 | sized:
		s := slot(&r.describe)
		c.describe(&s.m)
		s.kind.DescribeSemaphore = &s.m
		m.Request = &s.kind
	case requestCreate<<3 | sized:
		s := slot(&r.create)
		c.create(&s.m)
		s.kind.CreateSemaphore = &s.m
		m.Request = &s.kind
	case requestUpdate<<3 | sized:
		s := slot(&r.update)
		c.update(&s.m)
		s.kind.UpdateSemaphore = &s.m
		m.Request = &s.kind
	default:
		return false
	}

	return c.ok()
}

// forget releases what would take much memory until the next message of its kind.
func (r *Request) forget() {
	if r.acquire != nil {
		r.acquire.m.Name, r.acquire.m.Data = kept(r.acquire.m.Name), nil
	}
	if r.release != nil {
		r.release.m.Name = kept(r.release.m.Name)
	}
	if r.describe != nil {
		r.describe.m.Name = kept(r.describe.m.Name)
	}
	if r.create != nil {
		r.create.m.Name, r.create.m.Data = kept(r.create.m.Name), nil
	}
	if r.update != nil {
		r.update.m.Name, r.update.m.Data = kept(r.update.m.Name), nil
	}
}

// kept returns the text if it is short.
func kept(text string) string {
	if len(text) > limit.Name {
		return ""
	}

	return text
}

// slot returns the part of a message that is reused. It makes it at the first use.
func slot[T any](s **T) *T {
	if *s == nil {
		*s = new(T)
	}

	return *s
}

func (c *cursor) opaque() (opaque uint64) {
	for c.next() {
		switch c.tag() {
		case 1<<3 | number:
			opaque = c.number()
		default:
			c.fail()
		}
	}

	return opaque
}

func (c *cursor) acquire(m *pb.SessionRequest_AcquireSemaphore) {
	old := m.Name
	m.ReqId, m.Name, m.TimeoutMillis, m.Count, m.Data, m.Ephemeral = 0, "", 0, 0, nil, false
	for c.next() {
		switch c.tag() {
		case 1<<3 | number:
			m.ReqId = c.number()
		case 2<<3 | sized:
			m.Name = c.text(old)
		case 3<<3 | number:
			m.TimeoutMillis = c.number()
		case 4<<3 | number:
			m.Count = c.number()
		case 5<<3 | sized:
			m.Data = c.data()
		case 6<<3 | number:
			m.Ephemeral = c.bool()
		default:
			c.fail()
		}
	}
}

func (c *cursor) release(m *pb.SessionRequest_ReleaseSemaphore) {
	old := m.Name
	m.ReqId, m.Name = 0, ""
	for c.next() {
		switch c.tag() {
		case 1<<3 | number:
			m.ReqId = c.number()
		case 2<<3 | sized:
			m.Name = c.text(old)
		default:
			c.fail()
		}
	}
}

func (c *cursor) describe(m *pb.SessionRequest_DescribeSemaphore) {
	old := m.Name
	m.ReqId, m.Name, m.IncludeOwners, m.IncludeWaiters, m.WatchData, m.WatchOwners = 0, "", false, false, false, false
	for c.next() {
		switch c.tag() {
		case 1<<3 | number:
			m.ReqId = c.number()
		case 2<<3 | sized:
			m.Name = c.text(old)
		case 3<<3 | number:
			m.IncludeOwners = c.bool()
		case 4<<3 | number:
			m.IncludeWaiters = c.bool()
		case 5<<3 | number:
			m.WatchData = c.bool()
		case 6<<3 | number:
			m.WatchOwners = c.bool()
		default:
			c.fail()
		}
	}
}

func (c *cursor) create(m *pb.SessionRequest_CreateSemaphore) {
	old := m.Name
	m.ReqId, m.Name, m.Limit, m.Data = 0, "", 0, nil
	for c.next() {
		switch c.tag() {
		case 1<<3 | number:
			m.ReqId = c.number()
		case 2<<3 | sized:
			m.Name = c.text(old)
		case 3<<3 | number:
			m.Limit = c.number()
		case 4<<3 | sized:
			m.Data = c.data()
		default:
			c.fail()
		}
	}
}

func (c *cursor) update(m *pb.SessionRequest_UpdateSemaphore) {
	old := m.Name
	m.ReqId, m.Name, m.Data = 0, "", nil
	for c.next() {
		switch c.tag() {
		case 1<<3 | number:
			m.ReqId = c.number()
		case 2<<3 | sized:
			m.Name = c.text(old)
		case 3<<3 | sized:
			m.Data = c.data()
		default:
			c.fail()
		}
	}
}

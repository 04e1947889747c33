package session

import (
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	pb "github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Issue"

	"tenure/internal/clock"
)

// Kind is the operation that a call requests.
type Kind uint8

// The kinds of calls.
const (
	Acquire Kind = iota
	Release
	Create
	Update
	Delete
	Describe
)

// Call is one request, from Begin until its Finished action. A Call can be used only once.
type Call struct {
	Kind  Kind
	Owner any    // for the caller; the core does not use it
	Watch *Watch // set up by this Describe; nil: none

	name     string
	req      uint64
	message  *pb.SessionRequest
	sentAt   clock.Instant // when the call was last sent; 0: not yet
	everSent bool          // the call has been sent, so the server may have carried it out
	busy     busy

	lease     *Lease // of a Release
	renewal   bool   // the core began this Describe to prove that the session is alive
	abandoned bool   // no caller waits for the call: it was cancelled, or the core began it

	oversized int // streams that this Describe seems to have spoiled

	before, after *Call // neighbours among the outstanding calls, in the order of Begin
}

// NewAcquire returns a call that sends the message. The core sets its req_id.
func NewAcquire(m *pb.SessionRequest_AcquireSemaphore) *Call {
	a := &struct { // one allocation
		call    Call
		request pb.SessionRequest
		kind    pb.SessionRequest_AcquireSemaphore_
	}{}
	a.kind.AcquireSemaphore = m
	a.request.Request = &a.kind
	a.call.Kind, a.call.name, a.call.message = Acquire, m.GetName(), &a.request

	return &a.call
}

// NewCreate is like NewAcquire.
func NewCreate(m *pb.SessionRequest_CreateSemaphore) *Call {
	return &Call{Kind: Create, name: m.GetName(), message: &pb.SessionRequest{
		Request: &pb.SessionRequest_CreateSemaphore_{CreateSemaphore: m},
	}}
}

// NewUpdate is like NewAcquire.
func NewUpdate(m *pb.SessionRequest_UpdateSemaphore) *Call {
	return &Call{Kind: Update, name: m.GetName(), message: &pb.SessionRequest{
		Request: &pb.SessionRequest_UpdateSemaphore_{UpdateSemaphore: m},
	}}
}

// NewDelete is like NewAcquire.
func NewDelete(m *pb.SessionRequest_DeleteSemaphore) *Call {
	return &Call{Kind: Delete, name: m.GetName(), message: &pb.SessionRequest{
		Request: &pb.SessionRequest_DeleteSemaphore_{DeleteSemaphore: m},
	}}
}

// NewDescribe is like NewAcquire.
func NewDescribe(m *pb.SessionRequest_DescribeSemaphore) *Call {
	return &Call{Kind: Describe, name: m.GetName(), message: &pb.SessionRequest{
		Request: &pb.SessionRequest_DescribeSemaphore_{DescribeSemaphore: m},
	}}
}

// NewRelease returns a call that releases the lease.
func NewRelease(l *Lease) *Call {
	c := release(l.Name)
	c.lease = l

	return c
}

func release(name string) *Call {
	r := &struct { // one allocation
		call    Call
		request pb.SessionRequest
		kind    pb.SessionRequest_ReleaseSemaphore_
		m       pb.SessionRequest_ReleaseSemaphore
	}{}
	r.m.Name = name
	r.kind.ReleaseSemaphore = &r.m
	r.request.Request = &r.kind
	r.call.Kind, r.call.name, r.call.message = Release, name, &r.request

	return &r.call
}

// Message returns the request of the call. It has no req_id before Begin.
func (c *Call) Message() *pb.SessionRequest { return c.message }

// number sets the req_id of the call and its message.
func (c *Call) number(req uint64) {
	c.req = req
	switch m := c.message.GetRequest().(type) {
	case *pb.SessionRequest_AcquireSemaphore_:
		m.AcquireSemaphore.ReqId = req
	case *pb.SessionRequest_ReleaseSemaphore_:
		m.ReleaseSemaphore.ReqId = req
	case *pb.SessionRequest_CreateSemaphore_:
		m.CreateSemaphore.ReqId = req
	case *pb.SessionRequest_UpdateSemaphore_:
		m.UpdateSemaphore.ReqId = req
	case *pb.SessionRequest_DeleteSemaphore_:
		m.DeleteSemaphore.ReqId = req
	case *pb.SessionRequest_DescribeSemaphore_:
		m.DescribeSemaphore.ReqId = req
	}
}

// repeatable reports whether the call may be sent to the server again (docs/protocol.md, C3).
func (c *Call) repeatable() bool { return c.Kind != Create && c.Kind != Delete }

// changes reports whether the call changes the semaphore itself. If its outcome is unknown, it ends with ErrUnknown.
func (c *Call) changes() bool { return c.Kind == Create || c.Kind == Update || c.Kind == Delete }

// outstanding is the list of unanswered calls, in the order of Begin.
type outstanding struct {
	first, last *Call
	byReq       map[uint64]*Call
}

func (o *outstanding) push(c *Call) {
	o.byReq[c.req] = c
	if c.before = o.last; c.before == nil {
		o.first = c
	} else {
		c.before.after = c
	}
	o.last = c
}

func (o *outstanding) remove(c *Call) {
	delete(o.byReq, c.req)
	if c.before != nil {
		c.before.after = c.after
	} else {
		o.first = c.after
	}
	if c.after != nil {
		c.after.before = c.before
	} else {
		o.last = c.before
	}
	c.before, c.after = nil, nil
}

// answer holds the fields of a result message, of whatever kind.
type answer struct {
	req    uint64
	status Ydb.StatusIds_StatusCode
	issues []*Ydb_Issue.IssueMessage

	acquired    bool
	description *pb.SemaphoreDescription
	watchAdded  bool
}

// answerOf returns the answer in a message. It returns false if the message is not a result.
func answerOf(m *pb.SessionResponse) (answer, bool) {
	switch m := m.GetResponse().(type) {
	case *pb.SessionResponse_AcquireSemaphoreResult_:
		r := m.AcquireSemaphoreResult

		return answer{req: r.GetReqId(), status: r.GetStatus(), issues: r.GetIssues(), acquired: r.GetAcquired()}, true
	case *pb.SessionResponse_ReleaseSemaphoreResult_:
		r := m.ReleaseSemaphoreResult

		return answer{req: r.GetReqId(), status: r.GetStatus(), issues: r.GetIssues()}, true
	case *pb.SessionResponse_DescribeSemaphoreResult_:
		r := m.DescribeSemaphoreResult

		return answer{
			req: r.GetReqId(), status: r.GetStatus(), issues: r.GetIssues(),
			description: r.GetSemaphoreDescription(), watchAdded: r.GetWatchAdded(),
		}, true
	case *pb.SessionResponse_CreateSemaphoreResult_:
		r := m.CreateSemaphoreResult

		return answer{req: r.GetReqId(), status: r.GetStatus(), issues: r.GetIssues()}, true
	case *pb.SessionResponse_UpdateSemaphoreResult_:
		r := m.UpdateSemaphoreResult

		return answer{req: r.GetReqId(), status: r.GetStatus(), issues: r.GetIssues()}, true
	case *pb.SessionResponse_DeleteSemaphoreResult_:
		r := m.DeleteSemaphoreResult

		return answer{req: r.GetReqId(), status: r.GetStatus(), issues: r.GetIssues()}, true
	default:
		return answer{}, false
	}
}

// fromNode reports whether the answer must come from the node itself. A front server on the way to the node may give
// the other statuses: it may check the form of a request (BAD_REQUEST), access rights and whether it can reach the
// node.
func (a answer) fromNode() bool {
	switch a.status {
	case Ydb.StatusIds_SUCCESS, Ydb.StatusIds_NOT_FOUND, Ydb.StatusIds_ALREADY_EXISTS,
		Ydb.StatusIds_PRECONDITION_FAILED, Ydb.StatusIds_ABORTED:
		return true
	default:
		return false
	}
}

// isRefusal reports whether the answer is final, so that there is no point in repeating the request.
func (a answer) isRefusal() bool {
	return a.fromNode() || a.status == Ydb.StatusIds_BAD_REQUEST || a.status == Ydb.StatusIds_UNAUTHORIZED
}

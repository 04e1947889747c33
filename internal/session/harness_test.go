package session_test

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	pb "github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Issue"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"tenure/internal/clock"
	"tenure/internal/session"
)

// began is the instant at which every harness starts.
const began = clock.Instant(time.Hour)

// harness runs a core in virtual time and plays the parts of the server and the users.
type harness struct {
	t       require.TestingT
	core    *session.Core
	cfg     session.Config
	now     clock.Instant
	wake    clock.Instant
	stream  session.StreamID          // the newest stream
	calls   map[string]*session.Call  // calls that have not finished, by the test's names for them
	reqs    map[string]uint64         // req_ids of all calls, by the same names
	leases  map[*session.Lease]string // the names of the calls that got them; ended leases stay
	gone    map[*session.Lease]bool   // leases that have ended
	renewal uint64                    // req_id of the last Describe that no user sent
	opens   []clock.Instant           // when streams were opened
	sent    []*pb.SessionRequest
	over    error // the cause of Over; nil: the session has not ended
	closed  bool
	lines   strings.Builder // the core's actions since the last call of output
}

func defaults() session.Config {
	return session.Config{
		Path: "/node", Key: []byte("key"), Timeout: 4 * time.Second, StartTimeout: time.Second, StopTimeout: time.Second,
		Silence: 10 * time.Second, ReconnectDelay: 50 * time.Millisecond, Seed: 1,
	}
}

func newHarness(t require.TestingT, cfg session.Config) *harness {
	h := &harness{
		t: t, core: session.New(cfg), cfg: cfg, now: began, calls: make(map[string]*session.Call),
		reqs: make(map[string]uint64), leases: make(map[*session.Lease]string),
		gone: make(map[*session.Lease]bool),
	}
	h.do(h.core.Start)

	return h
}

// attached returns a harness whose session 7 has been attached for long enough that another stream may be opened.
func attached(t require.TestingT, cfg session.Config) *harness {
	h := newHarness(t, cfg)
	h.started(7)
	h.advance(100 * time.Millisecond)
	h.output()

	return h
}

// output returns the core's actions since the last call, one per line.
func (h *harness) output() string {
	defer h.lines.Reset()

	return h.lines.String()
}

func (h *harness) do(f func(clock.Instant, *session.Effects)) {
	var fx session.Effects
	f(h.now, &fx)
	for _, a := range fx.Actions {
		fmt.Fprintln(&h.lines, h.perform(a))
	}
	h.wake = fx.Wake
}

// advance moves the time forward and calls Tick whenever the core has asked for it.
func (h *harness) advance(d time.Duration) {
	end := h.now.Add(d)
	for h.wake != 0 && h.wake <= end {
		h.now = max(h.now, h.wake)
		before := h.lines.Len()
		h.do(h.core.Tick)
		require.True(h.t, h.wake == 0 || h.wake > h.now || h.lines.Len() > before, "Tick did nothing and is due again")
	}
	h.now = end
}

func (h *harness) perform(a session.Action) string {
	at := h.now.Sub(began)
	switch a := a.(type) {
	case session.Open:
		h.stream = a.Stream
		h.opens = append(h.opens, h.now)

		return fmt.Sprintf("%v open %d", at, a.Stream)
	case *session.Send:
		require.Equal(h.t, h.stream, a.Stream, "a message for a stream that the core has left")
		h.sent = append(h.sent, a.Message)

		return fmt.Sprintf("%v %d: %s", at, a.Stream, h.request(a.Message))
	case session.Drop:
		return fmt.Sprintf("%v drop %d", at, a.Stream)
	case session.Started:
		if a.Again {
			return fmt.Sprintf("started %d again", a.Session)
		}

		return fmt.Sprintf("started %d", a.Session)
	case session.Lost:
		return fmt.Sprintf("lost: %v", a.Cause)
	case *session.Finished:
		return h.finished(*a)
	case *session.EndLease:
		require.NoError(h.t, h.over)
		require.False(h.t, h.gone[a.Lease], "a lease has ended twice")
		h.gone[a.Lease] = true

		return fmt.Sprintf("%v lease %s ends: %v", at, h.leases[a.Lease], a.Cause)
	case session.Fire:
		return fmt.Sprintf("watch %v: data %v, owners %v", a.Watch.Owner, a.DataChanged, a.OwnersChanged)
	case session.Over:
		h.over = a.Cause

		return fmt.Sprintf("%v over: %v", at, a.Cause)
	case session.Closed:
		h.closed = true
		if a.Left {
			return "closed, left"
		}

		return "closed"
	default:
		return fmt.Sprintf("%T", a)
	}
}

func (h *harness) request(m *pb.SessionRequest) string {
	switch r := m.GetRequest().(type) {
	case *pb.SessionRequest_SessionStart_:
		text := fmt.Sprintf("start session %d, seq %d", r.SessionStart.GetSessionId(), r.SessionStart.GetSeqNo())
		if r.SessionStart.GetTimeoutMillis() == 0 {
			text += ", timeout 0"
		}

		return text
	case *pb.SessionRequest_SessionStop_:
		return "stop"
	case *pb.SessionRequest_Pong:
		return fmt.Sprintf("pong %d", r.Pong.GetOpaque())
	case *pb.SessionRequest_AcquireSemaphore_:
		return fmt.Sprintf("acquire #%d %s %d", r.AcquireSemaphore.GetReqId(), r.AcquireSemaphore.GetName(),
			r.AcquireSemaphore.GetCount())
	case *pb.SessionRequest_ReleaseSemaphore_:
		return fmt.Sprintf("release #%d %s", r.ReleaseSemaphore.GetReqId(), r.ReleaseSemaphore.GetName())
	case *pb.SessionRequest_CreateSemaphore_:
		return fmt.Sprintf("create #%d %s", r.CreateSemaphore.GetReqId(), r.CreateSemaphore.GetName())
	case *pb.SessionRequest_UpdateSemaphore_:
		return fmt.Sprintf("update #%d %s", r.UpdateSemaphore.GetReqId(), r.UpdateSemaphore.GetName())
	case *pb.SessionRequest_DeleteSemaphore_:
		return fmt.Sprintf("delete #%d %s", r.DeleteSemaphore.GetReqId(), r.DeleteSemaphore.GetName())
	case *pb.SessionRequest_DescribeSemaphore_:
		d := r.DescribeSemaphore
		h.renewal = d.GetReqId()
		for _, call := range h.reqs {
			if call == d.GetReqId() {
				h.renewal = 0
			}
		}

		return fmt.Sprintf("describe #%d %s, owners %v", d.GetReqId(), d.GetName(), d.GetIncludeOwners())
	default:
		return fmt.Sprintf("%T", r)
	}
}

func (h *harness) finished(f session.Finished) string {
	name := f.Call.Owner
	require.Contains(h.t, h.calls, name, "a call has finished twice, or after it was cancelled")
	delete(h.calls, name.(string))
	if f.Lease != nil {
		require.NoError(h.t, h.over, "a lease after the session has ended")
		require.Less(h.t, h.now, h.core.Deadline(), "a lease after the deadline")
	}
	switch {
	case f.Err != nil:
		require.Nil(h.t, f.Lease)

		return fmt.Sprintf("%v: %v", name, f.Err)
	case f.Lease == nil:
		return fmt.Sprintf("%v: done", name)
	case h.leases[f.Lease] == "":
		h.leases[f.Lease] = name.(string)

		return fmt.Sprintf("%v: a lease", name)
	default:
		require.False(h.t, h.gone[f.Lease], "an ended lease has been returned")

		return fmt.Sprintf("%v: the lease of %v", name, h.leases[f.Lease])
	}
}

// begin begins a call. The test refers to it by the given name.
func (h *harness) begin(name string, call *session.Call, req func() uint64) {
	call.Owner = name
	h.calls[name] = call
	h.reqs[name] = 1<<64 - 1
	h.do(func(now clock.Instant, fx *session.Effects) {
		h.core.Begin(now, call, fx)
		h.reqs[name] = req()
	})
}

func (h *harness) acquire(name, semaphore string, count uint64) {
	m := &pb.SessionRequest_AcquireSemaphore{Name: semaphore, Count: count}
	h.begin(name, session.NewAcquire(m), m.GetReqId)
}

func (h *harness) lease(of string) *session.Lease {
	for l, name := range h.leases {
		if name == of {
			return l
		}
	}
	require.FailNow(h.t, "call "+of+" has no lease")

	return nil
}

func (h *harness) release(of string) {
	name := "release of " + of
	h.begin(name, session.NewRelease(h.lease(of)), func() uint64 { return 0 })
}

func (h *harness) cancel(name string) {
	call := h.calls[name]
	h.do(func(now clock.Instant, fx *session.Effects) { h.core.Cancel(now, call, fx) })
	delete(h.calls, name) // it may just have finished
}

func (h *harness) receive(m *pb.SessionResponse) {
	h.do(func(now clock.Instant, fx *session.Effects) { h.core.Received(now, h.stream, m, fx) })
	spoil(m)
}

func (h *harness) ended(err error) {
	h.do(func(now clock.Instant, fx *session.Effects) { h.core.Ended(now, h.stream, err, fx) })
}

func (h *harness) started(id uint64) { h.startedFor(id, 0) }

func (h *harness) startedFor(id uint64, timeout time.Duration) {
	m := startedMessage(id)
	m.GetSessionStarted().TimeoutMillis = uint64(timeout.Milliseconds())
	h.receive(m)
}

func startedMessage(id uint64) *pb.SessionResponse {
	return &pb.SessionResponse{Response: &pb.SessionResponse_SessionStarted_{
		SessionStarted: &pb.SessionResponse_SessionStarted{SessionId: id},
	}}
}

func (h *harness) failure(code Ydb.StatusIds_StatusCode) {
	h.receive(&pb.SessionResponse{Response: &pb.SessionResponse_Failure_{
		Failure: &pb.SessionResponse_Failure{Status: code, Issues: issue("says the server")},
	}})
}

func issue(text string) []*Ydb_Issue.IssueMessage { return []*Ydb_Issue.IssueMessage{{Message: text}} }

// granted answers an acquire.
func (h *harness) granted(req uint64) { h.acquired(req, Ydb.StatusIds_SUCCESS, true) }

func (h *harness) acquired(req uint64, code Ydb.StatusIds_StatusCode, ok bool) {
	h.receive(acquiredMessage(req, code, ok))
}

func acquiredMessage(req uint64, code Ydb.StatusIds_StatusCode, ok bool) *pb.SessionResponse {
	return &pb.SessionResponse{Response: &pb.SessionResponse_AcquireSemaphoreResult_{
		AcquireSemaphoreResult: &pb.SessionResponse_AcquireSemaphoreResult{ReqId: req, Status: code, Acquired: ok},
	}}
}

func (h *harness) released(req uint64, code Ydb.StatusIds_StatusCode) {
	h.receive(releasedMessage(req, code))
}

func releasedMessage(req uint64, code Ydb.StatusIds_StatusCode) *pb.SessionResponse {
	return &pb.SessionResponse{Response: &pb.SessionResponse_ReleaseSemaphoreResult_{
		ReleaseSemaphoreResult: &pb.SessionResponse_ReleaseSemaphoreResult{ReqId: req, Status: code, Released: true},
	}}
}

// described answers a describe. The session is among the owners, with the given order id, unless that is 0.
func (h *harness) described(req uint64, code Ydb.StatusIds_StatusCode, order uint64, watched bool) {
	d := &pb.SemaphoreDescription{}
	if order != 0 {
		d.Owners = []*pb.SemaphoreSession{{SessionId: 1, OrderId: 1}, {SessionId: h.core.ID(), OrderId: order}}
	}
	h.receive(&pb.SessionResponse{Response: &pb.SessionResponse_DescribeSemaphoreResult_{
		DescribeSemaphoreResult: &pb.SessionResponse_DescribeSemaphoreResult{
			ReqId: req, Status: code, SemaphoreDescription: d, WatchAdded: watched,
		},
	}})
}

var errCut = errors.New("connection reset")

// spoil overwrites a message that a core has received, because a shell reuses it.
func spoil(m *pb.SessionResponse) {
	if m == nil {
		return
	}
	m.ProtoReflect().Range(func(_ protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if v.Message().IsValid() {
			proto.Reset(v.Message().Interface())
		}

		return true
	})
	proto.Reset(m)
}

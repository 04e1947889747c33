package session_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	pb "github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"pgregory.net/rapid"

	"tenure/internal/clock"
	"tenure/internal/session"
)

// TestCore_AnyServer runs the core with a server that sends arbitrary messages at any time and users that make
// arbitrary calls. The number of runs is 10 times -rapid.checks.
func TestCore_AnyServer(t *testing.T) {
	t.Parallel()
	for range 10 {
		rapid.Check(t, anyServer)
	}
}

// FuzzCore runs the same test under the guidance of the fuzzer: go test -run '^$' -fuzz FuzzCore ./internal/session.
func FuzzCore(f *testing.F) { f.Fuzz(rapid.MakeFuzz(anyServer)) }

func anyServer(t *rapid.T) {
	cfg := defaults()
	timeouts := []time.Duration{100 * time.Millisecond, time.Second, 5 * time.Second}
	cfg.Timeout = rapid.SampledFrom(timeouts).Draw(t, "timeout")
	n := &hostile{harness: newHarness(t, cfg), busy: make(map[uint64]int)}
	if rapid.Bool().Draw(t, "attach") {
		n.started(7)
	}
	t.Repeat(map[string]func(*rapid.T){
		"begin":     n.anyCall,
		"acquire":   n.anyAcquire,
		"release":   n.anyRelease,
		"cancel":    n.anyCancel,
		"answer":    n.anyAnswer,
		"grant":     n.anyGrant,
		"busy":      n.anyBusy,
		"message":   n.anyMessage,
		"attached":  func(*rapid.T) { n.started(7) },
		"ended":     n.anyEnd,
		"advance":   func(t *rapid.T) { n.advance(anyDuration(t)) },
		"sleep":     func(t *rapid.T) { n.now = n.now.Add(anyDuration(t) / 8) },
		"reconnect": func(*rapid.T) { n.do(n.core.Reconnect) },
		"close":     n.seldom(func() { n.do(n.core.Close) }),
		"abort":     n.seldom(func() { n.do(n.core.Abort) }),
		"":          func(*rapid.T) { n.check() },
	})
}

// hostile is a harness whose server sends anything.
type hostile struct {
	*harness
	begun  int            // calls, to give them names
	busy   map[uint64]int // how many messages had been sent when the server was last too busy for the request
	busyAt []int          // how many had been sent whenever it was too busy
}

func anyDuration(t *rapid.T) time.Duration {
	return time.Duration(rapid.Int64Range(0, int64(2*time.Second)).Draw(t, "for"))
}

func (n *hostile) seldom(f func()) func(*rapid.T) {
	return func(t *rapid.T) {
		if rapid.IntRange(0, 19).Draw(t, "seldom") == 0 {
			f()
		}
	}
}

func (n *hostile) name() string {
	n.begun++

	return fmt.Sprintf("call %d", n.begun)
}

func anyName(t *rapid.T) string {
	return rapid.SampledFrom([]string{"a", "b", "tenure"}).Draw(t, "name")
}

func (n *hostile) anyAcquire(t *rapid.T) {
	n.acquire(n.name(), anyName(t), rapid.Uint64Range(0, 3).Draw(t, "count"))
}

func (n *hostile) anyCall(t *rapid.T) {
	name := anyName(t)
	switch rapid.IntRange(0, 3).Draw(t, "kind") {
	case 0:
		m := &pb.SessionRequest_CreateSemaphore{Name: name}
		n.begin(n.name(), session.NewCreate(m), m.GetReqId)
	case 1:
		m := &pb.SessionRequest_UpdateSemaphore{Name: name}
		n.begin(n.name(), session.NewUpdate(m), m.GetReqId)
	case 2:
		m := &pb.SessionRequest_DeleteSemaphore{Name: name}
		n.begin(n.name(), session.NewDelete(m), m.GetReqId)
	default:
		m := &pb.SessionRequest_DescribeSemaphore{Name: name, IncludeOwners: rapid.Bool().Draw(t, "owners")}
		call := session.NewDescribe(m)
		if rapid.Bool().Draw(t, "watch") {
			call.Watch = &session.Watch{Owner: name}
		}
		n.begin(n.name(), call, m.GetReqId)
	}
}

func (n *hostile) anyRelease(t *rapid.T) {
	var names []string
	for _, name := range n.leases {
		names = append(names, name)
	}
	if len(names) > 0 {
		slices.Sort(names)
		l := n.lease(rapid.SampledFrom(names).Draw(t, "lease"))
		n.begin(n.name(), session.NewRelease(l), func() uint64 { return 0 })
	}
}

func (n *hostile) anyCancel(t *rapid.T) {
	if names := slices.Sorted(maps.Keys(n.calls)); len(names) > 0 {
		n.cancel(rapid.SampledFrom(names).Draw(t, "call"))
	}
}

// anyReq returns a req_id, which in most cases belongs to a request that was sent.
func (n *hostile) anyReq(t *rapid.T) uint64 {
	return rapid.Uint64Range(0, uint64(len(n.sent)+1)).Draw(t, "req")
}

func anyStatus(t *rapid.T) Ydb.StatusIds_StatusCode {
	if rapid.Bool().Draw(t, "success") {
		return Ydb.StatusIds_SUCCESS
	}
	var all []Ydb.StatusIds_StatusCode
	for code := range Ydb.StatusIds_StatusCode_name {
		all = append(all, Ydb.StatusIds_StatusCode(code))
	}
	slices.Sort(all)

	return rapid.SampledFrom(all).Draw(t, "status")
}

func (n *hostile) anyGrant(t *rapid.T) { n.granted(n.anyReq(t)) }

func (n *hostile) anyAnswer(t *rapid.T) {
	req, code := n.anyReq(t), anyStatus(t)
	if code == Ydb.StatusIds_OVERLOADED {
		n.refuses(req)
	}
	switch rapid.IntRange(0, 4).Draw(t, "kind") {
	case 0:
		n.acquired(req, code, rapid.Bool().Draw(t, "acquired"))
	case 1:
		n.released(req, code)
	case 2:
		n.described(req, code, rapid.Uint64Range(0, 2).Draw(t, "order"), rapid.Bool().Draw(t, "watched"))
	case 3:
		n.receive(&pb.SessionResponse{Response: &pb.SessionResponse_DeleteSemaphoreResult_{
			DeleteSemaphoreResult: &pb.SessionResponse_DeleteSemaphoreResult{ReqId: req, Status: code},
		}})
	default: // a result without a body
		n.receive(&pb.SessionResponse{Response: &pb.SessionResponse_DescribeSemaphoreResult_{}})
	}
}

// anyBusy makes the server too busy for a call.
func (n *hostile) anyBusy(t *rapid.T) {
	if names := slices.Sorted(maps.Keys(n.calls)); len(names) > 0 {
		req := n.reqs[rapid.SampledFrom(names).Draw(t, "call")]
		n.refuses(req)
		n.acquired(req, Ydb.StatusIds_OVERLOADED, false)
	}
}

func (n *hostile) refuses(req uint64) {
	n.busy[req] = len(n.sent)
	n.busyAt = append(n.busyAt, len(n.sent))
}

func (n *hostile) anyMessage(t *rapid.T) {
	switch rapid.IntRange(0, 6).Draw(t, "kind") {
	case 0:
		n.failure(anyStatus(t))
	case 1:
		timeout := rapid.SampledFrom([]time.Duration{0, time.Millisecond, time.Second, time.Hour}).Draw(t, "timeout")
		n.startedFor(rapid.SampledFrom([]uint64{7, 7, 7, 7, 8, 0}).Draw(t, "id"), timeout)
	case 2:
		n.receive(&pb.SessionResponse{Response: &pb.SessionResponse_DescribeSemaphoreChanged_{
			DescribeSemaphoreChanged: &pb.SessionResponse_DescribeSemaphoreChanged{ReqId: n.anyReq(t), DataChanged: true},
		}})
	case 3:
		n.receive(&pb.SessionResponse{Response: &pb.SessionResponse_Ping{}})
	case 4:
		n.receive(&pb.SessionResponse{Response: &pb.SessionResponse_AcquireSemaphorePending_{}})
	case 5:
		n.receive(nil)
	default: // over an earlier stream, or one that has never existed
		expired := n.expired()
		id := session.StreamID(rapid.Uint64Range(0, uint64(n.stream)+1).Draw(t, "stream"))
		if id == n.stream {
			return
		}
		m := &pb.SessionResponse{Response: &pb.SessionResponse_Failure_{
			Failure: &pb.SessionResponse_Failure{Status: Ydb.StatusIds_SESSION_EXPIRED},
		}}
		n.do(func(now clock.Instant, fx *session.Effects) { n.core.Received(now, id, m, fx) })
		spoil(m)
		require.Equal(t, expired, n.expired(), "a message from another stream has ended the session")
	}
}

// expired reports whether the session has ended because the server said that it does not exist any longer.
func (n *hostile) expired() bool {
	refusal, ok := errors.AsType[*session.StatusError](n.over)

	return ok && refusal.Status == Ydb.StatusIds_SESSION_EXPIRED
}

func (n *hostile) anyEnd(t *rapid.T) {
	n.ended(status.Error(rapid.SampledFrom([]codes.Code{
		codes.OK, codes.Unavailable, codes.Canceled, codes.Unavailable, codes.PermissionDenied,
	}).Draw(t, "code"), "cut"))
}

// check checks what must hold after every step. C1, C2 and C4 are the invariants of Core.
func (n *hostile) check() {
	requireSpaced(n.t, n.opens) // C4
	require.Equal(n.t, n.closed, n.wake == 0)
	if n.over != nil {
		require.Zero(n.t, n.core.Deadline()) // C1
		require.Empty(n.t, n.calls)
	}
	n.checkOrder()
	n.lines.Reset()
}

// checkOrder checks the order of requests on each stream. Their req_ids increase (C2). Once the server was too busy for
// a request (D6), that request may be sent again, and later changes of the same semaphore wait for it.
func (n *hostile) checkOrder() {
	var last uint64
	var start int                      // the message that opened the stream
	sent := make(map[uint64]int)       // the newest message on the stream with the req_id
	changed := make(map[string]uint64) // the highest req_id of a change of the semaphore
	for i, m := range n.sent {
		if m.GetSessionStart() != nil {
			last, start = 0, i
			clear(sent)
			clear(changed)
		}
		req := reqOf(m)
		if req == 0 {
			continue
		}
		if before, again := sent[req]; again {
			require.Less(n.t, before, n.busy[req], "request %d was sent again without a refusal", req)
		}
		sent[req] = i
		if !slices.ContainsFunc(n.busyAt, func(at int) bool { return start < at && at <= i }) {
			require.Greater(n.t, req, last)
			last = req
		}
		if name := changes(m); name != "" {
			if later := changed[name]; later > req {
				require.Less(n.t, sent[later], n.busy[req], "request %d has overtaken request %d for %q", later, req, name)
			} else {
				changed[name] = req
			}
		}
	}
}

func reqOf(m *pb.SessionRequest) uint64 {
	return m.GetAcquireSemaphore().GetReqId() + m.GetReleaseSemaphore().GetReqId() +
		m.GetCreateSemaphore().GetReqId() + m.GetUpdateSemaphore().GetReqId() +
		m.GetDeleteSemaphore().GetReqId() + m.GetDescribeSemaphore().GetReqId()
}

// changes returns the name of the semaphore that a request changes, or "".
func changes(m *pb.SessionRequest) string {
	return m.GetAcquireSemaphore().GetName() + m.GetReleaseSemaphore().GetName() + m.GetCreateSemaphore().GetName() +
		m.GetUpdateSemaphore().GetName() + m.GetDeleteSemaphore().GetName()
}

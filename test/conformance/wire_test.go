package conformance_test

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	pb "github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Operations"
)

const (
	forever = math.MaxUint64 // as the timeout of an acquire
	day     = 24 * 60 * 60 * 1_000
	maxData = 1 << 20
	maxName = 1 << 10
)

var longName = strings.Repeat("n", maxName)

// N1 to N4: refused node calls have the texts that the protocol defines.
func TestWire_Unary(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	withPath := &pb.Config{Path: "/local/n"}
	requireRefused := func(r interface {
		GetOperation() *Ydb_Operations.Operation
	}, err error, text string,
	) {
		t.Helper()
		require.NoError(t, err)
		require.True(t, r.GetOperation().GetReady())
		require.Equal(t, Ydb.StatusIds_BAD_REQUEST, r.GetOperation().GetStatus())
		require.Equal(t, text, issue(r.GetOperation().GetIssues()))
	}
	created, err := w.client.CreateNode(t.Context(), &pb.CreateNodeRequest{Path: "/local/n", Config: withPath})
	requireRefused(created, err, "Setting path is not allowed")
	altered, err := w.client.AlterNode(t.Context(), &pb.AlterNodeRequest{Path: node, Config: withPath})
	requireRefused(altered, err, "Setting path is not allowed")
	altered, err = w.client.AlterNode(t.Context(), &pb.AlterNodeRequest{Path: node})
	requireRefused(altered, err, "Missing changes to coordination node config")
}

// A1 to A6: an attach fails at the first check that it does not pass. The stream that is already attached stays.
func TestWire_AttachRefused(t *testing.T) {
	t.Parallel()
	const tooLong, longest = 30*60_000 + 1, 30 * 60_000
	w := newWire(t)
	key, longKey := []byte("0123456789abcdef"), []byte("0123456789abcdef!")
	description := strings.Repeat("d", 1_024)
	attached, answer := w.start(&start{
		Path: node, TimeoutMillis: longest, Description: description, ProtectionKey: key, SeqNo: 7,
	})
	require.Equal(t, "started", answer)
	require.EqualValues(t, 1, attached.last.GetSessionStarted().GetSessionId())
	require.EqualValues(t, longest, attached.last.GetSessionStarted().GetTimeoutMillis()) // A7

	for name, refused := range map[string]struct {
		start *start
		want  string
	}{
		"no path": {
			&start{TimeoutMillis: tooLong}, "BAD_REQUEST: KesusPath cannot be empty",
		},
		"no node": {
			&start{Path: "/local/none", TimeoutMillis: tooLong}, "NOT_FOUND: Kesus not found",
		},
		"timeout": {
			&start{Path: node, TimeoutMillis: tooLong, Description: description + "d"},
			"BAD_REQUEST: Session timeout is out of range",
		},
		"description": {
			&start{Path: node, Description: description + "d", ProtectionKey: longKey},
			"BAD_REQUEST: Description is too large",
		},
		"long key": {
			&start{Path: node, SessionId: 99, ProtectionKey: longKey}, "BAD_REQUEST: Protection key is too large",
		},
		"no session": {
			&start{Path: node, SessionId: 99}, "SESSION_EXPIRED: Session does not exist",
		},
		"out of sequence": {
			&start{Path: node, SessionId: 1, SeqNo: 6}, "BAD_SESSION: Attach request is out of sequence",
		},
		"other key": {
			&start{Path: node, SessionId: 1, SeqNo: 7, ProtectionKey: key[1:]},
			"BAD_SESSION: Attach request protection key mismatch",
		},
	} {
		s, answer := w.start(refused.start)
		require.Equal(t, "failure: "+refused.want, answer, name)
		s.expect("end")
	}

	first := w.open()
	first.send(ping{1})
	first.expect("end: InvalidArgument: First message must be a SessionStart")
	attached.send(&acquire{ReqId: 1, Name: "job", Count: 1, Ephemeral: true})
	attached.expect("acquire 1: true")
	_, answer = w.start(&start{Path: node, SessionId: 1, SeqNo: 7, ProtectionKey: key})
	require.Equal(t, "started", answer, "an attach with the same seq_no was refused")
}

// A6: the protection key survives a restart, and the last seq_no does not.
func TestWire_AttachAfterRestart(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	_, answer := w.start(&start{Path: node, TimeoutMillis: 30_000, ProtectionKey: []byte("key"), SeqNo: 7})
	require.Equal(t, "started", answer)
	w.server.Restart()

	_, answer = w.start(&start{Path: node, SessionId: 1, SeqNo: 7})
	require.Equal(t, "failure: BAD_SESSION: Attach request protection key mismatch", answer)
	s, answer := w.start(&start{Path: node, SessionId: 1, ProtectionKey: []byte("key")})
	require.Equal(t, "started", answer)
	require.EqualValues(t, 1, s.id)
}

// A2, A8, A14, N3, P2, P3, P5: each way to end a stream has its own last message.
func TestWire_StreamEnds(t *testing.T) {
	t.Parallel()
	sending := func(r any) func(*wire, *stream) {
		return func(_ *wire, s *stream) {
			s.send(r)
			_ = s.grpc.Send(request(ping{1})) // later requests are not answered
		}
	}
	for name, ends := range map[string]struct {
		end  func(*wire, *stream)
		want string
	}{
		"stopped":       {sending(&stop{}), "stopped"},
		"empty":         {sending(nothing{}), "failure: BAD_REQUEST: Empty request"},
		"started twice": {sending(&start{Path: node}), "failure: BAD_REQUEST: Session cannot be started twice"},
		"unimplemented": {sending(&unlisted{}), "failure: BAD_REQUEST: Unimplemented request"},
		"wrong pong":    {sending(pong{0xbad}), "failure: BAD_REQUEST: Pong data mismatch"},
		"stolen": {
			func(w *wire, s *stream) { w.attach(s.id) },
			"failure: BAD_SESSION: Session stolen by another local client",
		},
		"node dropped": {
			func(w *wire, _ *stream) {
				r, err := w.client.DropNode(w.Context(), &pb.DropNodeRequest{Path: node})
				require.NoError(w, err)
				require.Equal(w, Ydb.StatusIds_SUCCESS, r.GetOperation().GetStatus())
			},
			"failure: UNAVAILABLE: the coordination node was dropped",
		},
		"server stopped": {
			func(w *wire, _ *stream) { w.server.Stop() }, "failure: UNAVAILABLE: the server is stopping",
		},
		"no pong": {
			func(w *wire, s *stream) {
				silent, answer := w.start(&start{Path: node, SessionId: s.id, TimeoutMillis: 90})
				require.Equal(w, "started", answer)
				silent.mute = true
				silent.expect("failure: TIMEOUT: Ping timeout", "end")
			},
			"failure: BAD_SESSION: Session stolen by another local client",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWire(t)
			s := w.attach(0)
			ends.end(w, s)
			s.expect(ends.want, "end")
		})
	}
}

// A10: however its stream ends, a session stays until its timeout and can be attached again. A timeout of 0 expires
// immediately.
func TestWire_StreamEndsSessionStays(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	other := w.attach(0)
	s := w.attach(0)
	s.send(&acquire{ReqId: 1, Name: "job", Count: 1, Ephemeral: true})
	s.expect("acquire 1: true")
	for name, end := range map[string]func(){
		"half-closed": func() {
			s.mute = true
			require.NoError(t, s.grpc.CloseSend())
			s.expect("end")
		},
		"canceled": func() {
			s.hangUp()
			s.expect("end: Canceled: context canceled")
		},
		"failed": func() {
			s.send(nothing{})
			s.expect("failure: BAD_REQUEST: Empty request", "end")
		},
		"connection lost": func() {
			w.server.DropStreams()
			require.Contains(t, s.next(), "end: Unavailable")
			other = w.attach(other.id)
		},
		"request over the limit of gRPC": func() {
			s.send(&acquire{ReqId: 1, Name: "job", Count: 1, Ephemeral: true, Data: make([]byte, 5<<20)})
			require.Contains(t, s.next(), "end: ResourceExhausted")
		},
	} {
		end()
		s = w.attach(s.id)
		require.Equal(t, s.id, other.description("job").GetOwners()[0].GetSessionId(), name)
	}

	other.send(&acquire{ReqId: 2, Name: "job", Count: forever, TimeoutMillis: forever, Ephemeral: true})
	other.expect("acquire 2: pending")
	last, answer := w.start(&start{Path: node, SessionId: s.id})
	require.Equal(t, "started", answer)
	last.hangUp()
	other.expect("acquire 2: true")
}

// A14: when a session stops, its semaphores are granted to their waiters immediately. Its id is never used again.
func TestWire_Stop(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	holder, other := w.attach(0), w.attach(0)
	holder.send(&acquire{ReqId: 1, Name: "job", Count: 1, Ephemeral: true})
	holder.expect("acquire 1: true")
	other.send(&acquire{ReqId: 1, Name: "job", Count: forever, Ephemeral: true, TimeoutMillis: forever})
	other.expect("acquire 1: pending")
	holder.send(&stop{})
	_ = holder.grpc.Send(request(&acquire{ReqId: 2, Name: "late", Count: 1, Ephemeral: true}))
	holder.expect("stopped", "end")
	other.expect("acquire 1: true")
	other.send(&describe{ReqId: 2, Name: "late"})
	other.expect("describe 2: NOT_FOUND: Semaphore not found")
	require.EqualValues(t, 3, w.attach(0).id)
}

// A8: a new stream takes over the session with its leases and queue places, and repeats pending acquires. The results
// of the old stream's requests are not sent.
func TestWire_TakeOver(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	holder, old := w.attach(0), w.attach(0)
	holder.send(&create{ReqId: 1, Name: "job", Limit: 1}, &acquire{ReqId: 2, Name: "job", Count: 1})
	holder.expect("create 1: true", "acquire 2: true")
	old.send(
		&describe{ReqId: 1, Name: "job", WatchData: true},
		&acquire{ReqId: 2, Name: "job", Count: 1, TimeoutMillis: forever},
	)
	old.expect("describe 1: true", "acquire 2: pending")
	before := holder.description("job").GetWaiters()

	fresh := w.attach(old.id)
	old.expect("failure: BAD_SESSION: Session stolen by another local client", "end")
	fresh.send(&acquire{ReqId: 3, Name: "job", Count: 1, TimeoutMillis: forever})
	fresh.expect("acquire 3: pending")
	require.Equal(t, before[0].GetOrderId(), holder.description("job").GetWaiters()[0].GetOrderId())
	holder.send(&update{ReqId: 3, Name: "job", Data: []byte("new")}, &release{ReqId: 4, Name: "job"})
	holder.expect("update 3: true", "release 4: true")
	fresh.expect("acquire 3: true")
}

// Q1 to Q7, S1 to S4: every way to refuse a request. The stream stays open.
func TestWire_Refused(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	other, s := w.attach(0), w.attach(0)
	other.send(&create{ReqId: 1, Name: "one", Limit: 1}, &acquire{ReqId: 2, Name: "one", Count: 1})
	other.expect("create 1: true", "acquire 2: true")
	s.send(
		&create{ReqId: 1, Name: "slots", Limit: 5}, &acquire{ReqId: 2, Name: "slots", Count: 2},
		&acquire{ReqId: 3, Name: "ephemeral", Count: 1, Ephemeral: true},
		&acquire{ReqId: 4, Name: "one", Count: 1, TimeoutMillis: forever},
	)
	s.expect("create 1: true", "acquire 2: true", "acquire 3: true", "acquire 4: pending")

	data := make([]byte, maxData+1)
	for _, refused := range []struct {
		request any
		want    string
	}{
		{&acquire{Name: "slots"}, "acquire 0: BAD_REQUEST: Acquire must have count > 0"},
		{
			&acquire{Name: "slots", Count: 1, TimeoutMillis: day + 1},
			"acquire 0: BAD_REQUEST: Acquire timeout is out of range",
		},
		{&acquire{Name: "slots", Count: 1, Data: data}, "acquire 0: BAD_REQUEST: Acquire data is too large"},
		{&acquire{Name: longName + "n", Count: 1}, "acquire 0: BAD_REQUEST: Semaphore name is too long"},
		{&acquire{Name: "none", Count: 1}, "acquire 0: NOT_FOUND: Semaphore does not exist"},
		{
			&acquire{Name: "slots", Count: 1, Ephemeral: true},
			"acquire 0: PRECONDITION_FAILED: Semaphore ephemeral mode mismatch",
		},
		{&acquire{Name: "ephemeral", Count: 1}, "acquire 0: PRECONDITION_FAILED: Semaphore ephemeral mode mismatch"},
		{
			&acquire{Name: "slots", Count: 6},
			"acquire 0: BAD_REQUEST: Cannot acquire more than allowed by the semaphore",
		},
		{&acquire{Name: "slots", Count: 3}, "acquire 0: BAD_REQUEST: Increasing count is not allowed"},
		{&release{Name: longName + "n"}, "release 0: BAD_REQUEST: Semaphore name is too long"},
		{&create{Name: "new"}, "create 0: BAD_REQUEST: Semaphores must have limit > 0"},
		{&create{Name: longName + "n", Limit: 1}, "create 0: BAD_REQUEST: Semaphore name is too long"},
		{&create{Name: "new", Limit: 1, Data: data}, "create 0: BAD_REQUEST: Semaphore data is too large"},
		{&create{Name: "slots", Limit: 1}, "create 0: ALREADY_EXISTS: Semaphore already exists"},
		{
			&create{Name: "ephemeral", Limit: 1},
			"create 0: PRECONDITION_FAILED: Cannot create semaphore due to ephemeral locks",
		},
		{&update{Name: "none"}, "update 0: NOT_FOUND: Semaphore does not exist"},
		{&update{Name: longName + "n"}, "update 0: BAD_REQUEST: Semaphore name is too long"},
		{&update{Name: "slots", Data: data}, "update 0: BAD_REQUEST: Semaphore data is too large"},
		{&deletion{Name: "none"}, "delete 0: NOT_FOUND: Semaphore does not exist"},
		{&deletion{Name: longName + "n"}, "delete 0: BAD_REQUEST: Semaphore name is too long"},
		{&deletion{Name: "slots"}, "delete 0: PRECONDITION_FAILED: Semaphore not empty"},
		{&deletion{Name: "ephemeral", Force: true}, "delete 0: PRECONDITION_FAILED: Cannot delete ephemeral semaphores"},
		{&describe{Name: "none"}, "describe 0: NOT_FOUND: Semaphore not found"},
		{&describe{Name: longName + "n"}, "describe 0: BAD_REQUEST: Semaphore name is too long"},
	} {
		s.send(refused.request)
		s.expect(refused.want)
	}

	got := s.description("slots")
	require.EqualValues(t, 2, got.GetCount())
	require.EqualValues(t, 5, got.GetLimit())
	require.Empty(t, got.GetData())
	require.Len(t, s.description("one").GetWaiters(), 1)
}

// Q1, Q4, S1: requests at the limits succeed.
func TestWire_Limits(t *testing.T) {
	t.Parallel()
	s := newWire(t).attach(0)
	data := make([]byte, maxData)
	s.send(
		&create{ReqId: 1, Name: longName, Limit: forever, Data: data},
		&update{ReqId: 2, Name: longName, Data: data[1:]},
		&acquire{ReqId: 3, Name: longName, Count: forever, TimeoutMillis: day, Data: data},
		&acquire{ReqId: 4, Name: "", Count: 1, TimeoutMillis: forever, Ephemeral: true}, // an empty name is valid
	)
	s.expect("create 1: true", "update 2: true", "acquire 3: true", "acquire 4: true")
	got := s.description(longName)
	require.Equal(t, uint64(forever), got.GetCount())
	require.Len(t, got.GetData(), maxData-1)
	require.Len(t, got.GetOwners()[0].GetData(), maxData)
	s.send(&release{ReqId: 5, Name: ""}, &release{ReqId: 6, Name: longName}, &deletion{ReqId: 7, Name: longName})
	s.expect("release 5: true", "release 6: true", "delete 7: true")
}

// Q5 to Q8: a waiting acquire times out, is superseded, released or deleted. A release answers whether it had an
// effect.
func TestWire_Waiting(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	holder, s := w.attach(0), w.attach(0)
	holder.send(&create{ReqId: 1, Name: "slots", Limit: 3}, &acquire{ReqId: 2, Name: "slots", Count: 3})
	holder.expect("create 1: true", "acquire 2: true")

	s.send(&acquire{ReqId: 1, Name: "slots", Count: 1})
	s.expect("acquire 1: false")
	s.send(&acquire{ReqId: 2, Name: "slots", Count: 1, TimeoutMillis: 50})
	s.expect("acquire 2: pending", "acquire 2: false")
	s.send(
		&acquire{ReqId: 3, Name: "slots", Count: 2, TimeoutMillis: forever},
		&acquire{ReqId: 4, Name: "slots", Count: 3, TimeoutMillis: forever},
		&acquire{ReqId: 5, Name: "slots", Count: 1, TimeoutMillis: forever},
		&release{ReqId: 6, Name: "slots"},
		&release{ReqId: 7, Name: "slots"},
		&release{ReqId: 8, Name: "none"},
	)
	s.expect(
		"acquire 3: pending",
		"acquire 4: BAD_REQUEST: Increasing count is not allowed",
		"acquire 3: ABORTED: Operation superseded by another request", "acquire 5: pending",
		"acquire 5: ABORTED: Operation superseded by another request", "release 6: true",
		"release 7: false",
		"release 8: false",
	)
	s.send(
		&acquire{ReqId: 9, Name: "slots", Count: 1, TimeoutMillis: forever},
		&acquire{ReqId: 10, Name: "slots", Count: 1},
		&acquire{ReqId: 11, Name: "slots", Count: 1, TimeoutMillis: forever},
	)
	s.expect(
		"acquire 9: pending", "acquire 9: ABORTED: Operation superseded by another request", "acquire 10: false",
		"acquire 11: pending",
	)
	require.EqualValues(t, 5, s.description("slots").GetWaiters()[0].GetOrderId(), "acquire 10 used an order id")
	holder.send(&deletion{ReqId: 3, Name: "slots", Force: true}, &release{ReqId: 4, Name: "slots"})
	holder.expect("delete 3: true", "release 4: false")
	s.expect("acquire 11: ABORTED: Semaphore destroyed")
}

// S5, S6, Q6, Q12: the order of messages on one stream.
func TestWire_Order(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	holder, s := w.attach(0), w.attach(0)
	holder.send(&create{ReqId: 1, Name: "slots", Limit: 3}, &acquire{ReqId: 2, Name: "slots", Count: 3})
	holder.expect("create 1: true", "acquire 2: true")

	// The end of a replaced watch comes before the result of the describe that replaces it.
	s.send(
		&describe{ReqId: 1, Name: "slots", WatchData: true}, &describe{ReqId: 2, Name: "slots"},
		&describe{ReqId: 3, Name: "slots", WatchOwners: true},
	)
	s.expect("describe 1: true", "describe 2: false", "changed 1: data=false owners=false", "describe 3: true")

	// The result of the request comes first, then grants, then watch events. This spreads them over two streams.
	s.send(&acquire{ReqId: 4, Name: "slots", Count: 1, TimeoutMillis: forever})
	s.expect("acquire 4: pending")
	holder.send(
		&describe{ReqId: 3, Name: "slots", WatchOwners: true},
		&acquire{ReqId: 4, Name: "slots", Count: 2, Data: []byte("less")},
	)
	holder.expect("describe 3: true", "acquire 4: true", "changed 3: data=false owners=true")
	s.expect("acquire 4: true", "changed 3: data=false owners=true")

	// A data watch fires once, and only if the data differs.
	s.send(
		&describe{ReqId: 5, Name: "slots", WatchData: true}, &update{ReqId: 6, Name: "slots"},
		&update{ReqId: 7, Name: "slots", Data: []byte("new")}, &update{ReqId: 8, Name: "slots", Data: []byte("newer")},
	)
	s.expect("describe 5: true", "update 6: true", "update 7: true", "changed 5: data=true owners=false", "update 8: true")

	// The result of a delete comes last.
	s.send(
		&release{ReqId: 9, Name: "slots"},
		&acquire{ReqId: 10, Name: "slots", Count: 2, TimeoutMillis: forever},
		&describe{ReqId: 11, Name: "slots", WatchData: true},
		&deletion{ReqId: 12, Name: "slots", Force: true},
	)
	s.expect(
		"release 9: true", "acquire 10: pending", "describe 11: true",
		"acquire 10: ABORTED: Semaphore destroyed", "changed 11: data=true owners=true", "delete 12: true",
	)
}

// Q10, A13: acknowledged changes and the order of the queue survive a crash, and the waiters are granted in turn.
func TestWire_Crash(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]func(service){
		"restart": service.Restart, "crash": crash,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWire(t)
			streams := []*stream{w.attach(0), w.attach(0), w.attach(0)}
			streams[0].send(&create{ReqId: 1, Name: "slots", Limit: 3, Data: []byte("about")})
			streams[0].expect("create 1: true")
			for i, s := range streams {
				s.send(&acquire{ReqId: 2, Name: "slots", Count: uint64(i) + 1, TimeoutMillis: forever, Data: []byte{byte(i)}})
				if i < 2 {
					s.expect("acquire 2: true")
				} else {
					s.expect("acquire 2: pending")
				}
			}
			before := streams[0].description("slots")

			fault(w.server)
			for i, s := range streams {
				streams[i] = w.attach(s.id)
			}
			after := streams[0].description("slots")
			require.Equal(t, before.String(), after.String())
			streams[2].send(&acquire{ReqId: 3, Name: "slots", Count: 3, TimeoutMillis: forever})
			streams[2].expect("acquire 3: pending")
			for _, s := range streams[:2] {
				s.send(&release{ReqId: 3, Name: "slots"})
				s.expect("release 3: true")
			}
			streams[2].expect("acquire 3: true")
			require.EqualValues(t, 4, w.attach(0).id)
		})
	}
}

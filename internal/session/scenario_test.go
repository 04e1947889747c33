package session_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	pb "github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"tenure/internal/clock"
	"tenure/internal/session"
)

// TestScenario runs the files of testdata/scenario. Each file starts with a description of what it shows, followed by
// commands and the core's actions in response. "-" stands for no action.
func TestScenario(t *testing.T) {
	t.Parallel()
	datadriven.Walk(t, "testdata/scenario", func(t *testing.T, path string) {
		t.Helper()
		t.Parallel()
		s := &scenario{harness: attached(t, defaults())}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			t.Helper()
			s.run(t, d)
			if output := s.output(); output != "" {
				return output
			}

			return "-\n"
		})
	})
}

type scenario struct{ *harness }

// run executes a command. The commands answer, changed, failure, ended, ping, started and stopped come from the server.
func (s *scenario) run(t *testing.T, d *datadriven.TestData) {
	t.Helper()
	var name, semaphore string
	if len(d.CmdArgs) > 0 {
		name = d.CmdArgs[0].Key
	}
	if len(d.CmdArgs) > 1 {
		semaphore = d.CmdArgs[1].Key
	}
	switch d.Cmd {
	case "new": // start with a core that is not attached
		s.harness = newHarness(t, defaults())
	case "attached":
		s.harness = attached(t, defaults())
	case "ending": // what a client does with a session that it has given up, once no code works under the session
		s.core = s.core.Ending(30 * time.Second)
		s.do(s.core.Start)
	case "acquire":
		count := uint64(1)
		d.MaybeScanArgs(t, "count", &count)
		s.acquire(name, semaphore, count)
	case "release":
		s.release(name)
	case "create":
		m := &pb.SessionRequest_CreateSemaphore{Name: semaphore}
		s.begin(name, session.NewCreate(m), m.GetReqId)
	case "update":
		m := &pb.SessionRequest_UpdateSemaphore{Name: semaphore}
		s.begin(name, session.NewUpdate(m), m.GetReqId)
	case "delete":
		m := &pb.SessionRequest_DeleteSemaphore{Name: semaphore}
		s.begin(name, session.NewDelete(m), m.GetReqId)
	case "describe":
		m := &pb.SessionRequest_DescribeSemaphore{Name: semaphore, IncludeOwners: d.HasArg("owners")}
		call := session.NewDescribe(m)
		if d.HasArg("watch") {
			call.Watch = &session.Watch{Owner: name}
		}
		s.begin(name, call, m.GetReqId)
	case "cancel":
		s.cancel(name)
	case "answer":
		s.answer(t, d, name)
	case "changed":
		s.receive(&pb.SessionResponse{Response: &pb.SessionResponse_DescribeSemaphoreChanged_{
			DescribeSemaphoreChanged: &pb.SessionResponse_DescribeSemaphoreChanged{
				ReqId: s.reqs[name], DataChanged: d.HasArg("data"), OwnersChanged: d.HasArg("owners"),
			},
		}})
	case "failure":
		s.failure(code(t, name))
	case "ended":
		if name == "oversized" {
			s.ended(status.Error(codes.ResourceExhausted, "grpc: received message larger than max (5 vs. 4)"))

			break
		}
		c := codes.Unavailable
		if name != "" {
			require.NoError(t, c.UnmarshalJSON([]byte(`"`+name+`"`)))
		}
		s.ended(status.Error(c, "cut"))
	case "ping":
		s.receive(&pb.SessionResponse{Response: &pb.SessionResponse_Ping{Ping: &pb.SessionResponse_PingPong{Opaque: 9}}})
	case "started":
		id := uint64(7)
		var timeout string
		d.MaybeScanArgs(t, "id", &id)
		d.MaybeScanArgs(t, "timeout", &timeout)
		ms, _ := time.ParseDuration(timeout)
		s.startedFor(id, ms)
	case "stopped":
		s.receive(&pb.SessionResponse{Response: &pb.SessionResponse_SessionStopped_{
			SessionStopped: &pb.SessionResponse_SessionStopped{SessionId: 7},
		}})
	case "advance":
		by, err := time.ParseDuration(name)
		require.NoError(t, err)
		s.advance(by)
	case "sleep": // suspend the machine: time passes and no timer fires
		by, err := time.ParseDuration(name)
		require.NoError(t, err)
		s.now = s.now.Add(by)
	case "tick":
		s.do(s.core.Tick)
	case "close":
		s.do(s.core.Close)
	case "abort":
		s.do(s.core.Abort)
	case "delayed": // too many other streams attach
		s.do(func(now clock.Instant, fx *session.Effects) { s.core.Delayed(now, s.stream, fx) })
	case "opened":
		s.do(func(now clock.Instant, fx *session.Effects) { s.core.Opened(now, s.stream, fx) })
	case "heard": // the server has attached another session
		s.core.Heard(s.now)
	case "reconnect":
		s.do(s.core.Reconnect)
	case "token":
		fmt.Fprintln(&s.lines, s.lease(name).OrderID)
	case "deadline":
		fmt.Fprintln(&s.lines, max(0, s.core.Deadline()-began).Sub(0))
	default:
		d.Fatalf(t, "unknown command %q", d.Cmd)
	}
}

// answer delivers the result of the named call, of the last renewal, or of request n if the name is #n.
func (s *scenario) answer(t *testing.T, d *datadriven.TestData, name string) {
	t.Helper()
	req := s.reqs[name]
	if name == "renewal" {
		req = s.renewal
	}
	_, err := fmt.Sscanf(name, "#%d", &req)
	require.True(t, err == nil || req != 0)
	var order uint64
	d.MaybeScanArgs(t, "order", &order)
	c := Ydb.StatusIds_SUCCESS
	if d.HasArg("status") {
		var name string
		d.ScanArgs(t, "status", &name)
		c = code(t, name)
	}
	for _, m := range s.sent {
		switch r := m.GetRequest().(type) {
		case *pb.SessionRequest_AcquireSemaphore_:
			if r.AcquireSemaphore.GetReqId() == req {
				s.acquired(req, c, c == Ydb.StatusIds_SUCCESS && !d.HasArg("late"))

				return
			}
		case *pb.SessionRequest_ReleaseSemaphore_:
			if r.ReleaseSemaphore.GetReqId() == req {
				s.released(req, c)

				return
			}
		case *pb.SessionRequest_DescribeSemaphore_:
			if r.DescribeSemaphore.GetReqId() == req {
				s.described(req, c, order, d.HasArg("watched"))

				return
			}
		case *pb.SessionRequest_CreateSemaphore_:
			if r.CreateSemaphore.GetReqId() == req {
				s.receive(&pb.SessionResponse{Response: &pb.SessionResponse_CreateSemaphoreResult_{
					CreateSemaphoreResult: &pb.SessionResponse_CreateSemaphoreResult{ReqId: req, Status: c},
				}})

				return
			}
		case *pb.SessionRequest_UpdateSemaphore_:
			if r.UpdateSemaphore.GetReqId() == req {
				s.receive(&pb.SessionResponse{Response: &pb.SessionResponse_UpdateSemaphoreResult_{
					UpdateSemaphoreResult: &pb.SessionResponse_UpdateSemaphoreResult{ReqId: req, Status: c},
				}})

				return
			}
		case *pb.SessionRequest_DeleteSemaphore_:
			if r.DeleteSemaphore.GetReqId() == req {
				s.receive(&pb.SessionResponse{Response: &pb.SessionResponse_DeleteSemaphoreResult_{
					DeleteSemaphoreResult: &pb.SessionResponse_DeleteSemaphoreResult{ReqId: req, Status: c},
				}})

				return
			}
		}
	}
	d.Fatalf(t, "request %d has not been sent", req)
}

func code(t *testing.T, name string) Ydb.StatusIds_StatusCode {
	t.Helper()
	c, ok := Ydb.StatusIds_StatusCode_value[name]
	require.True(t, ok, name)

	return Ydb.StatusIds_StatusCode(c)
}

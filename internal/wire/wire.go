// Package wire converts the messages of a session stream to requests for a node, and the node's replies to messages.
package wire

import (
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Issue"

	"tenure/internal/node"
	"tenure/internal/printable"
)

type (
	// Ping asks the client whether it is alive (P1).
	Ping struct{ Opaque uint64 }

	// Pong answers a ping from the client (P4).
	Pong struct{ Opaque uint64 }
)

// Attach converts the first message of a stream to a request for the node.
func Attach(stream node.StreamID, m *Ydb_Coordination.SessionRequest_SessionStart) node.Attach {
	return node.Attach{
		Stream:        stream,
		Session:       m.GetSessionId(),
		Seq:           m.GetSeqNo(),
		TimeoutMillis: m.GetTimeoutMillis(),
		Description:   m.GetDescription(),
		ProtectionKey: m.GetProtectionKey(),
	}
}

// Request converts a message to a request for the node. It returns nil if the message is not for the node.
func Request(from node.From, m *Ydb_Coordination.SessionRequest) node.Request {
	switch m := m.GetRequest().(type) {
	case *Ydb_Coordination.SessionRequest_AcquireSemaphore_:
		r := m.AcquireSemaphore

		return node.Acquire{
			From: from, Req: r.GetReqId(), Semaphore: r.GetName(), Count: r.GetCount(),
			TimeoutMillis: r.GetTimeoutMillis(), Data: r.GetData(), Ephemeral: r.GetEphemeral(),
		}
	case *Ydb_Coordination.SessionRequest_ReleaseSemaphore_:
		r := m.ReleaseSemaphore

		return node.Release{From: from, Req: r.GetReqId(), Semaphore: r.GetName()}
	case *Ydb_Coordination.SessionRequest_DescribeSemaphore_:
		r := m.DescribeSemaphore

		return node.Describe{
			From: from, Req: r.GetReqId(), Semaphore: r.GetName(),
			IncludeOwners: r.GetIncludeOwners(), IncludeWaiters: r.GetIncludeWaiters(),
			WatchData: r.GetWatchData(), WatchOwners: r.GetWatchOwners(),
		}
	case *Ydb_Coordination.SessionRequest_CreateSemaphore_:
		r := m.CreateSemaphore

		return node.Create{From: from, Req: r.GetReqId(), Semaphore: r.GetName(), Limit: r.GetLimit(), Data: r.GetData()}
	case *Ydb_Coordination.SessionRequest_UpdateSemaphore_:
		r := m.UpdateSemaphore

		return node.Update{From: from, Req: r.GetReqId(), Semaphore: r.GetName(), Data: r.GetData()}
	case *Ydb_Coordination.SessionRequest_DeleteSemaphore_:
		r := m.DeleteSemaphore

		return node.Delete{From: from, Req: r.GetReqId(), Semaphore: r.GetName(), Force: r.GetForce()}
	case *Ydb_Coordination.SessionRequest_SessionStop_:
		return node.Stop{From: from}
	default:
		return nil
	}
}

// Response converts a reply of the node, a Ping or a Pong to a message for the stream. It returns nil for any other
// type.
func Response(m any) *Ydb_Coordination.SessionResponse {
	switch m := m.(type) {
	case Ping:
		return &Ydb_Coordination.SessionResponse{Response: &Ydb_Coordination.SessionResponse_Ping{
			Ping: &Ydb_Coordination.SessionResponse_PingPong{Opaque: m.Opaque},
		}}
	case Pong:
		return &Ydb_Coordination.SessionResponse{Response: &Ydb_Coordination.SessionResponse_Pong{
			Pong: &Ydb_Coordination.SessionResponse_PingPong{Opaque: m.Opaque},
		}}
	case node.Attached:
		return &Ydb_Coordination.SessionResponse{Response: &Ydb_Coordination.SessionResponse_SessionStarted_{
			SessionStarted: &Ydb_Coordination.SessionResponse_SessionStarted{
				SessionId: m.Session, TimeoutMillis: m.TimeoutMillis,
			},
		}}
	case node.Failure:
		return &Ydb_Coordination.SessionResponse{Response: &Ydb_Coordination.SessionResponse_Failure_{
			Failure: &Ydb_Coordination.SessionResponse_Failure{Status: Status(m.Status), Issues: Issues(m.Issue)},
		}}
	case node.Stopped:
		return &Ydb_Coordination.SessionResponse{Response: &Ydb_Coordination.SessionResponse_SessionStopped_{
			SessionStopped: &Ydb_Coordination.SessionResponse_SessionStopped{SessionId: m.Session},
		}}
	case node.Acquired:
		return &Ydb_Coordination.SessionResponse{Response: &Ydb_Coordination.SessionResponse_AcquireSemaphoreResult_{
			AcquireSemaphoreResult: &Ydb_Coordination.SessionResponse_AcquireSemaphoreResult{
				ReqId: m.Req, Status: Status(m.Status), Issues: Issues(m.Issue), Acquired: m.Acquired,
			},
		}}
	case node.AcquirePending:
		return &Ydb_Coordination.SessionResponse{Response: &Ydb_Coordination.SessionResponse_AcquireSemaphorePending_{
			AcquireSemaphorePending: &Ydb_Coordination.SessionResponse_AcquireSemaphorePending{ReqId: m.Req},
		}}
	case node.Released:
		return &Ydb_Coordination.SessionResponse{Response: &Ydb_Coordination.SessionResponse_ReleaseSemaphoreResult_{
			ReleaseSemaphoreResult: &Ydb_Coordination.SessionResponse_ReleaseSemaphoreResult{
				ReqId: m.Req, Status: Status(m.Status), Issues: Issues(m.Issue), Released: m.Released,
			},
		}}
	default:
		return semaphoreResponse(m)
	}
}

// semaphoreResponse does the work of Response for the replies to create, update, delete and describe, and for watches.
func semaphoreResponse(m any) *Ydb_Coordination.SessionResponse {
	switch m := m.(type) {
	case node.Created:
		return &Ydb_Coordination.SessionResponse{Response: &Ydb_Coordination.SessionResponse_CreateSemaphoreResult_{
			CreateSemaphoreResult: &Ydb_Coordination.SessionResponse_CreateSemaphoreResult{
				ReqId: m.Req, Status: Status(m.Status), Issues: Issues(m.Issue),
			},
		}}
	case node.Updated:
		return &Ydb_Coordination.SessionResponse{Response: &Ydb_Coordination.SessionResponse_UpdateSemaphoreResult_{
			UpdateSemaphoreResult: &Ydb_Coordination.SessionResponse_UpdateSemaphoreResult{
				ReqId: m.Req, Status: Status(m.Status), Issues: Issues(m.Issue),
			},
		}}
	case node.Deleted:
		return &Ydb_Coordination.SessionResponse{Response: &Ydb_Coordination.SessionResponse_DeleteSemaphoreResult_{
			DeleteSemaphoreResult: &Ydb_Coordination.SessionResponse_DeleteSemaphoreResult{
				ReqId: m.Req, Status: Status(m.Status), Issues: Issues(m.Issue),
			},
		}}
	case node.Described:
		return &Ydb_Coordination.SessionResponse{Response: &Ydb_Coordination.SessionResponse_DescribeSemaphoreResult_{
			DescribeSemaphoreResult: &Ydb_Coordination.SessionResponse_DescribeSemaphoreResult{
				ReqId: m.Req, Status: Status(m.Status), Issues: Issues(m.Issue),
				SemaphoreDescription: description(m.Semaphore), WatchAdded: m.WatchAdded,
			},
		}}
	case node.Changed:
		return &Ydb_Coordination.SessionResponse{Response: &Ydb_Coordination.SessionResponse_DescribeSemaphoreChanged_{
			DescribeSemaphoreChanged: &Ydb_Coordination.SessionResponse_DescribeSemaphoreChanged{
				ReqId: m.Req, DataChanged: m.DataChanged, OwnersChanged: m.OwnersChanged,
			},
		}}
	default:
		return nil
	}
}

func description(d *node.Description) *Ydb_Coordination.SemaphoreDescription {
	if d == nil {
		return nil
	}

	return &Ydb_Coordination.SemaphoreDescription{
		Name: d.Name, Data: d.Data, Count: d.Count, Limit: d.Limit, Ephemeral: d.Ephemeral,
		Owners: holders(d.Owners), Waiters: holders(d.Waiters),
	}
}

func holders(hs []node.Holder) []*Ydb_Coordination.SemaphoreSession {
	out := make([]*Ydb_Coordination.SemaphoreSession, 0, len(hs))
	for _, h := range hs {
		out = append(out, &Ydb_Coordination.SemaphoreSession{
			OrderId: h.OrderID, SessionId: h.Session, TimeoutMillis: h.TimeoutMillis, Count: h.Count, Data: h.Data,
		})
	}

	return out
}

// Status converts a status to the type used on the wire.
func Status(s node.Status) Ydb.StatusIds_StatusCode { return Ydb.StatusIds_StatusCode(s) }

// Issues returns a list with text as its only issue, of severity error. It returns nil if text is empty. What is not
// printable in the text is escaped, and a long text is cut, because it may repeat what a client has sent.
func Issues(text string) []*Ydb_Issue.IssueMessage {
	const severityError = 1
	if text == "" {
		return nil
	}

	return []*Ydb_Issue.IssueMessage{{Message: printable.Message(text), Severity: severityError}}
}

package guard

import (
	"context"
	"encoding/json"
	"os"
	"runtime"
	"time"

	"github.com/ydb-platform/ydb-go-genproto/Ydb_Coordination_V1"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	pb "github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"

	"tenure/internal/clientauth"
	"tenure/internal/clock"
	"tenure/internal/dsn"
	"tenure/internal/roots"
	"tenure/internal/watchman"
)

const (
	endAttempt = 5 * time.Second        // limits one attempt to end a session
	firstPause = 100 * time.Millisecond // between attempts; it doubles each time
	maxPause   = 5 * time.Second        // but is at most this, and at most a twentieth of the session timeout

	// lastAttach is the seq_no of the guard's attach. It is above all those of the holder, so that a holder that wakes up
	// cannot attach again (A6).
	lastAttach = 1 << 62
)

// endSession ends the session of the lease on the server. It tries until the session must have expired there.
func endSession(l watchman.Lease) {
	var auth clientauth.Settings
	_ = json.Unmarshal(l.Auth, &auth) // Lease.message has encoded it
	roots.Skip(l.DSN)
	runtime.GOMAXPROCS(runtime.NumCPU())
	clk := clock.Go()
	ctx, cancel := context.WithTimeout(context.Background(), 2*l.Timeout)
	defer cancel()
	pause := firstPause
	for !tryEnd(ctx, l, auth) && clock.Pause(ctx, clk, pause) {
		pause = max(firstPause, min(2*pause, maxPause, l.Timeout/20))
	}
}

// tryEnd reports whether the session has ended, or will not end because of another attempt.
func tryEnd(ctx context.Context, l watchman.Lease, auth clientauth.Settings) bool {
	ctx, cancel := context.WithTimeout(ctx, endAttempt)
	defer cancel()
	address, err := dsn.Parse("the address", l.DSN)
	if err != nil {
		return true
	}
	conn, err := dsn.Dial(ctx, address, -1, auth.Options(address.Endpoint(), os.LookupEnv)...)
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close(ctx) }()
	stream, err := Ydb_Coordination_V1.NewCoordinationServiceClient(conn).Session(ctx)
	if err != nil {
		return false
	}
	if err := stream.Send(&pb.SessionRequest{Request: &pb.SessionRequest_SessionStart_{
		SessionStart: &pb.SessionRequest_SessionStart{
			Path: l.Path, SessionId: l.Session, TimeoutMillis: uint64(l.Timeout.Milliseconds()),
			ProtectionKey: l.Key, SeqNo: lastAttach,
		},
	}}); err != nil {
		return false
	}
	for {
		m, err := stream.Recv()
		switch {
		case err != nil:
			return false
		case m.GetFailure() != nil:
			return final(m.GetFailure().GetStatus())
		case m.GetSessionStopped() != nil:
			return true
		case m.GetSessionStarted() != nil:
			err = stream.Send(&pb.SessionRequest{Request: &pb.SessionRequest_SessionStop_{
				SessionStop: &pb.SessionRequest_SessionStop{},
			}})
		case m.GetPing() != nil:
			err = stream.Send(&pb.SessionRequest{Request: &pb.SessionRequest_Pong{
				Pong: &pb.SessionRequest_PingPong{Opaque: m.GetPing().GetOpaque()},
			}})
		}
		if err != nil {
			return false
		}
	}
}

// final reports whether the server will refuse every attempt: the session has expired, or the request is wrong (C2).
func final(status Ydb.StatusIds_StatusCode) bool {
	switch status {
	case Ydb.StatusIds_SESSION_EXPIRED, Ydb.StatusIds_BAD_SESSION, Ydb.StatusIds_NOT_FOUND,
		Ydb.StatusIds_UNAUTHORIZED, Ydb.StatusIds_BAD_REQUEST:
		return true
	default:
		return false
	}
}

package server_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	pb "github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
)

func updateMessage(req uint64, name string, data []byte) *pb.SessionRequest {
	return &pb.SessionRequest{Request: &pb.SessionRequest_UpdateSemaphore_{
		UpdateSemaphore: &pb.SessionRequest_UpdateSemaphore{ReqId: req, Name: name, Data: data},
	}}
}

// While a node cannot commit, what a stream sends is bounded. The requests beyond that are answered immediately, and
// pings and pongs do not wait behind them. Nothing that was accepted is lost.
func TestOverload_AnswersInsteadOfWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newGate(t)
		h := serve(t, withStore(st))
		s, quiet := h.attach(t, 0, time.Minute), h.attach(t, 0, time.Minute)
		s.create("big", "")
		st.shut()
		s.send(acquireMessage(1, "job", forever))
		st.awaitCommit()

		const sent = 100
		refused := 0
		go func() {
			for i := range uint64(sent) {
				_ = s.trySend(updateMessage(2+i, "big", make([]byte, 1<<20)))
			}
			_ = s.trySend(pingMessage(7))
		}()
		for {
			m := s.recv()
			if m.GetPong() != nil {
				break
			}
			r := m.GetUpdateSemaphoreResult()
			require.Equal(t, Ydb.StatusIds_OVERLOADED, r.GetStatus())
			require.Equal(t, "Too many requests in flight", r.GetIssues()[0].GetMessage())
			refused++
		}
		require.Positive(t, refused)
		require.Less(t, refused, sent)
		require.Equal(t, map[string]uint64{"in_flight": uint64(refused)}, h.server.Limits())
		quiet.send(acquireMessage(1, "job", forever)) // a node that is full for one stream is not full for another

		st.open()
		done := 0
		for done < sent-refused+1 {
			m := s.recv()
			if r := m.GetUpdateSemaphoreResult(); r != nil {
				require.Equal(t, Ydb.StatusIds_SUCCESS, r.GetStatus())
				done++
			} else if m.GetAcquireSemaphoreResult().GetAcquired() {
				done++
			}
		}
		require.NotNil(t, quiet.recv().GetAcquireSemaphorePending())
	})
}

// The end of a stream reaches a node that is full: the session's timeout starts.
func TestOverload_DetachIsNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newGate(t)
		h := serve(t, withStore(st))
		s, next := h.attach(t, 0, time.Second), h.attach(t, 0, time.Minute)
		s.requireAcquired("job")
		next.requirePending("job")
		st.shut()
		s.send(acquireMessage(2, "other", forever))
		st.awaitCommit()
		for refused := false; !refused; {
			s.send(updateMessage(2, "missing", make([]byte, 1<<20)))
			s.send(pingMessage(7))
			refused = s.recv().GetUpdateSemaphoreResult() != nil // which is the only answer without a commit
		}
		s.cancel()
		synctest.Wait()
		st.open()
		require.True(t, next.recv().GetAcquireSemaphoreResult().GetAcquired())
	})
}

package server_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/Ydb_Scheme_V1"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	pb "github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Scheme"

	"tenure/internal/bubbletest"
)

func updateMessage(req uint64, name string, data []byte) *pb.SessionRequest {
	return &pb.SessionRequest{Request: &pb.SessionRequest_UpdateSemaphore_{
		UpdateSemaphore: &pb.SessionRequest_UpdateSemaphore{ReqId: req, Name: name, Data: data},
	}}
}

// While a node cannot commit, what a stream sends is bounded. The requests beyond that are answered immediately, and
// pings and pongs do not wait behind them. Nothing that was accepted is lost.
func TestOverload_AnswersInsteadOfWaiting(t *testing.T) {
	bubbletest.Test(t, func(t *testing.T) {
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

// A client that does not read its answers delays nobody else. It gets all of them, in order, when it reads again.
func TestOverload_UnreadAnswers(t *testing.T) {
	for _, test := range []struct {
		name          string
		small, before int // requests with small answers, after those with large ones
	}{
		{"small", 12_000, 0},
		{"large", 100, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubbletest.Test(t, func(t *testing.T) {
				h := serve(t)
				s, other := h.attach(t, 0, 30*time.Minute), h.attach(t, 0, 30*time.Minute)
				s.create("big", strings.Repeat("x", 200<<10))
				var want []uint64
				for i := range uint64(test.before + test.small) {
					m := describeMessage(i, "big")
					if i == uint64(test.before) {
						synctest.Wait() // until the server has passed the large answers on
					}
					if i >= uint64(test.before) {
						m = acquireMessage(i, "job", forever)
					}
					s.send(m)
					want = append(want, i)
				}
				synctest.Wait()
				other.requireAcquired("other")
				other.requireReleased("other")

				var got []uint64
				for range want {
					m := s.recv()
					got = append(got, m.GetDescribeSemaphoreResult().GetReqId()+m.GetAcquireSemaphoreResult().GetReqId())
				}
				require.Equal(t, want, got)
			})
		})
	}
}

// The end of a stream reaches a node that is full: the session's timeout starts.
func TestOverload_DetachIsNotLost(t *testing.T) {
	bubbletest.Test(t, func(t *testing.T) {
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

// A client that asks for large descriptions faster than it reads them is refused some of them. Once it has read the
// others, it is served again. The memory is given back when the last byte was sent.
func TestOverload_Answers(t *testing.T) {
	bubbletest.Test(t, func(t *testing.T) {
		h := serve(t)
		s := h.attach(t, 0, time.Minute)
		s.create("big", strings.Repeat("x", 1<<20))
		const asked = 20
		for i := range uint64(asked) {
			s.send(describeMessage(i, "big"))
		}
		synctest.Wait()
		require.Positive(t, h.server.AnswerBytes(0))
		require.LessOrEqual(t, h.server.AnswerBytes(0), int64(5<<20))

		refused := 0
		for range asked {
			r := s.recv().GetDescribeSemaphoreResult()
			if r.GetStatus() == Ydb.StatusIds_OVERLOADED {
				require.Equal(t, "Too many answers in flight", r.GetIssues()[0].GetMessage())
				refused++

				continue
			}
			require.Len(t, r.GetSemaphoreDescription().GetData(), 1<<20)
		}
		require.Greater(t, refused, 10)
		require.Less(t, refused, asked)
		require.Equal(t, map[string]uint64{"answers": uint64(refused)}, h.server.Limits())
		synctest.Wait()
		require.Zero(t, h.server.AnswerBytes(0))
		s.send(describeMessage(1, "big"))
		require.Equal(t, Ydb.StatusIds_SUCCESS, s.recv().GetDescribeSemaphoreResult().GetStatus())

		h.server.AnswerBytes(128 << 20) // answers to other clients
		s.send(describeMessage(1, "big"))
		require.Equal(t, Ydb.StatusIds_OVERLOADED, s.recv().GetDescribeSemaphoreResult().GetStatus())
		s.send(describeMessage(1, "small"))
		require.Equal(t, Ydb.StatusIds_NOT_FOUND, s.recv().GetDescribeSemaphoreResult().GetStatus())
		h.server.AnswerBytes(-128 << 20)
	})
}

// The end of a stream gives back the memory of answers that were not sent.
func TestOverload_AnswersOfEndedStream(t *testing.T) {
	bubbletest.Test(t, func(t *testing.T) {
		h := serve(t)
		s := h.attach(t, 0, time.Minute)
		s.create("big", strings.Repeat("x", 1<<20))
		for range 20 {
			s.send(describeMessage(1, "big"))
		}
		synctest.Wait()
		require.Positive(t, h.server.AnswerBytes(0))
		s.cancel()
		synctest.Wait()
		for i := 0; h.server.AnswerBytes(0) > 0; i++ { // what nobody refers to any more is found by and by
			require.Less(t, i, 1_000)
			runtime.GC()
			runtime.Gosched()
		}
	})
}

// Long lists of nodes share the memory for answers.
func TestOverload_Lists(t *testing.T) {
	bubbletest.Test(t, func(t *testing.T) {
		h := serve(t)
		for i := range 100 {
			createNode(t, h, fmt.Sprint("/local/many/", i))
		}
		list := func() Ydb.StatusIds_StatusCode {
			r, err := Ydb_Scheme_V1.NewSchemeServiceClient(h.conn).ListDirectory(t.Context(),
				&Ydb_Scheme.ListDirectoryRequest{Path: "/local/many"})
			require.NoError(t, err)

			return r.GetOperation().GetStatus()
		}
		require.Equal(t, Ydb.StatusIds_SUCCESS, list())
		synctest.Wait()
		require.Zero(t, h.server.AnswerBytes(0))
		h.server.AnswerBytes(128 << 20)
		require.Equal(t, Ydb.StatusIds_OVERLOADED, list())
		h.server.AnswerBytes(-128 << 20)
		require.Equal(t, Ydb.StatusIds_SUCCESS, list())
	})
}

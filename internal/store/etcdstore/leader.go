package etcdstore

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"tenure/internal/clock"
)

const (
	leaderPeriod   = time.Second            // between two looks at who leads
	leaderLimit    = 500 * time.Millisecond // for the answer of a member
	electionPeriod = 100 * time.Millisecond // between two looks for a while after no member leads
	electionTime   = 10 * time.Second       // how long this while is
)

// leader knows which member of etcd leads the others. Another member asks the leader before it carries out a
// transaction, so a transaction that is sent to the leader saves one trip over the network. Nothing else depends on the
// leader being right: all members carry out all transactions.
type leader struct {
	client *clientv3.Client
	clock  clock.Clock

	route atomic.Pointer[route] // nil: the leader is not known

	mu   sync.Mutex         // guards the following fields
	last uint64             // id of the member that was found to lead; 0: none
	term context.Context    //nolint:containedctx // ends when another one leads; nil: no leader has been found
	end  context.CancelFunc // of term
}

// route is a connection to a member.
type route struct {
	id, term uint64 // of the member, and that in which it leads
	kv       clientv3.KV
	lease    pb.LeaseClient
	member   pb.MaintenanceClient
	close    func() error
}

// target returns what transactions are sent to: the leader, or any member. After an error, the caller passes the route,
// which may be nil, to failed.
func (e *etcd) target() (clientv3.KV, *route) {
	if e.leader != nil {
		if r := e.leader.route.Load(); r != nil {
			return r.kv, r
		}
	}

	return e.client, nil
}

// leases returns what renews leases, as target does.
func (e *etcd) leases() (pb.LeaseClient, *route) {
	if _, r := e.target(); r != nil {
		return r.lease, r
	}

	return pb.NewLeaseClient(e.client.ActiveConnection()), nil
}

// failed reports that a transaction has failed. The next ones go to any member, until the next look.
func (e *etcd) failed(r *route) {
	if r != nil {
		e.leader.route.CompareAndSwap(r, nil)
	}
}

// run looks who leads until the context ends. With one address, there is no choice.
func (l *leader) run(ctx context.Context) {
	if len(l.client.Endpoints()) < 2 {
		return
	}
	var current *route
	known := l.clock.Now()
	for ctx.Err() == nil {
		if current == nil || l.route.Load() != current || !current.leads(ctx) {
			l.use(&current, nil)
			l.use(&current, l.find(ctx))
		}
		pause := leaderPeriod
		if now := l.clock.Now(); current != nil {
			known = now
		} else if now.Sub(known) < electionTime {
			pause = electionPeriod
		}
		clock.Pause(ctx, l.clock, pause)
	}
	l.use(&current, nil)
}

// use replaces the current route.
func (l *leader) use(current **route, r *route) {
	l.route.Store(r)
	if r != nil {
		l.leads(r.id)
	}
	if *current != nil {
		_ = (*current).close()
	}
	*current = r
}

// leads notes which member leads. If that is another one than before, it ends the attempts in progress: a member may
// have passed them on to the previous leader, which no longer answers. The next attempts go to the new one.
func (l *leader) leads(id uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if id == l.last {
		return
	}
	if l.end != nil {
		l.end()
	}
	l.last = id
	l.term, l.end = context.WithCancel(context.Background())
}

// bound returns a context for an attempt, which also ends when another member becomes the leader. It is called before
// the attempt looks for a target.
func (l *leader) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	if l == nil {
		return ctx, cancel
	}
	l.mu.Lock()
	term := l.term
	l.mu.Unlock()
	if term == nil {
		return ctx, cancel
	}
	stop := context.AfterFunc(term, cancel)

	return ctx, func() {
		stop()
		cancel()
	}
}

// find asks all members and returns a route to the leader, or nil. There may be two, because a leader that has been
// replaced does not know that for a moment: the one of the later term leads.
func (l *leader) find(ctx context.Context) (found *route) {
	var asking sync.WaitGroup
	leaders := make(chan *route, len(l.client.Endpoints()))
	for _, endpoint := range l.client.Endpoints() {
		asking.Go(func() {
			conn, err := l.client.Dial(endpoint)
			if err != nil {
				return
			}
			r := &route{
				kv:    clientv3.NewKVFromKVClient(pb.NewKVClient(conn), l.client),
				lease: pb.NewLeaseClient(conn), member: pb.NewMaintenanceClient(conn), close: conn.Close,
			}
			if r.leads(ctx) {
				leaders <- r
			} else {
				_ = r.close()
			}
		})
	}
	asking.Wait()
	close(leaders)
	for r := range leaders {
		if found != nil && found.term > r.term {
			found, r = r, found
		}
		if found != nil {
			_ = found.close()
		}
		found = r
	}

	return found
}

// leads asks the member whether it leads.
func (r *route) leads(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, leaderLimit)
	defer cancel()
	s, err := r.member.Status(ctx, &pb.StatusRequest{})
	r.id, r.term = s.GetHeader().GetMemberId(), s.GetRaftTerm()

	return err == nil && s.GetLeader() != 0 && s.GetLeader() == r.id
}

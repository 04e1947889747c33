package etcdstore

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"tenure/internal/clock"
	"tenure/internal/ownership"
	"tenure/internal/serverstats"
	"tenure/internal/store"
)

// registration keeps the key of this server in etcd, with a lease. It says to the other servers that this one is alive.
// Nothing that is written depends on it.
type registration struct {
	etcd         *etcd
	server       string
	member       store.Member
	unregistered func() // called when the key is gone although the server lives; nil: nobody wants to know
	ttl          time.Duration
	settle       time.Duration

	silent  atomic.Bool // etcd does not answer: do not tell it that the registration has ended
	leaving atomic.Bool // the server stops soon

	now     chan registered // offers the current registration to those who ask; never closed
	bad     chan registered // takes registrations that have turned out to be gone; never closed
	doubted chan struct{}   // has an element if the key may be gone; never closed
}

func newRegistration(e *etcd, o Options) *registration {
	return &registration{
		etcd: e, server: o.Member.ID, member: o.Member, unregistered: o.Unregistered, ttl: o.TTL, settle: o.Settle,
		now: make(chan registered), bad: make(chan registered), doubted: make(chan struct{}, 1),
	}
}

// registered is a registration in etcd.
type registered struct {
	revision int64 // create revision of the key
	lease    clientv3.LeaseID
	settled  clock.Instant // when the registrations of other servers that are gone have expired
}

// run registers the server, again if need be, until the context ends. Then it removes the registration. A server that
// stops soon does not register again.
func (r *registration) run(ctx context.Context) {
	for attempt := 1; ctx.Err() == nil; attempt++ {
		if r.once(ctx) {
			if r.leaving.Load() {
				return
			}
			attempt = 0
			if r.unregistered != nil && ctx.Err() == nil {
				r.unregistered()
			}
		}
		_ = r.etcd.pause(ctx, max(1, attempt))
	}
}

// once registers the server and returns when the registration is gone. It returns false if it could not register.
func (r *registration) once(ctx context.Context) bool {
	bounded, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	leases, route := r.etcd.leases()
	lease, err := leases.LeaseGrant(bounded, &pb.LeaseGrantRequest{TTL: int64(r.ttl / time.Second)})
	if err != nil {
		r.etcd.failed(route)

		return false
	}
	id := clientv3.LeaseID(lease.GetID())
	defer r.revoke(ctx, id)
	key := r.etcd.prefix + ownership.ServerKey(r.server)
	kv, route := r.etcd.target()
	resp, err := kv.Txn(bounded).Then(
		clientv3.OpPut(key, r.value(), clientv3.WithLease(id)), clientv3.OpGet(key),
	).Commit()
	if err != nil {
		r.etcd.failed(route)

		return false
	}
	r.etcd.numbers.add(func(n *serverstats.Common) { n.Registrations++ })
	ctx, end := context.WithCancel(ctx)
	var renewing sync.WaitGroup
	defer renewing.Wait()
	defer end()
	expired := make(chan struct{})
	renewing.Go(func() {
		defer close(expired)
		r.renew(ctx, id)
	})
	now := r.etcd.clock.Now()
	current := registered{
		revision: resp.Responses[1].GetResponseRange().Kvs[0].CreateRevision,
		lease:    id, settled: now.Add(r.settle),
	}
	for {
		select {
		case <-expired:
			return true
		case r.now <- current:
		case gone := <-r.bad:
			if gone.revision == current.revision {
				return true
			}
		case <-r.doubted:
			if r.gone(ctx, current) {
				return true
			}
		case <-ctx.Done():
			return true
		}
	}
}

// renew renews the lease until ctx ends, the lease is gone, or it has not been renewed for its whole time. It asks the
// leader of etcd. The client of etcd sends all renewals to one member, also while that cannot reach the leader.
func (r *registration) renew(ctx context.Context, id clientv3.LeaseID) {
	period := r.ttl / 3
	for renewed := r.etcd.clock.Now(); clock.Pause(ctx, r.etcd.clock, period); {
		began := r.etcd.clock.Now()
		switch err := r.renewOnce(ctx, id, r.ttl/3); {
		case err == nil:
			renewed, period = began, r.ttl/3
		case errors.Is(err, rpctypes.ErrLeaseNotFound), r.etcd.clock.Now().Sub(renewed) >= r.ttl:
			return
		default:
			period = r.ttl / 30
		}
	}
}

// renewOnce makes one attempt.
func (r *registration) renewOnce(ctx context.Context, id clientv3.LeaseID, limit time.Duration) (err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	ctx, stop := r.etcd.leader.bound(ctx)
	defer stop()
	leases, route := r.etcd.leases()
	defer func() {
		if err != nil {
			r.etcd.failed(route)
		}
	}()
	stream, err := leases.LeaseKeepAlive(clientv3.WithRequireLeader(ctx))
	if err != nil {
		return err
	}
	if err := stream.Send(&pb.LeaseKeepAliveRequest{ID: int64(id)}); err != nil {
		return err
	}
	answer, err := stream.Recv()
	if err == nil && answer.GetTTL() <= 0 {
		return rpctypes.ErrLeaseNotFound
	}

	return err
}

// gone reports whether the key is gone. Another server may have removed it.
func (r *registration) gone(ctx context.Context, current registered) bool {
	result, err := r.etcd.do(ctx, ownership.Txn{Then: []ownership.Op{
		{Kind: ownership.Get, Key: ownership.ServerKey(r.server)},
	}})
	if err != nil { // ask again
		r.doubt()
		_ = r.etcd.pause(ctx, 1)

		return false
	}
	kvs := result.Gets[0]

	return len(kvs) == 0 || kvs[0].Create != current.revision
}

// doubt makes the registration look whether its key is gone.
func (r *registration) doubt() {
	select {
	case r.doubted <- struct{}{}:
	default:
	}
}

// value returns what others learn of this server.
func (r *registration) value() string {
	m := r.member
	m.Leaving = r.leaving.Load()
	b, err := json.Marshal(m)
	if err != nil {
		panic(err) // it has only texts and a bool
	}

	return string(b)
}

// leave says in the key that the server stops soon.
func (r *registration) leave(ctx context.Context) error {
	r.leaving.Store(true) // also for a later registration
	current, err := r.get(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	key := r.etcd.prefix + ownership.ServerKey(r.server)
	_, err = r.etcd.client.Txn(ctx).
		If(clientv3.Compare(clientv3.CreateRevision(key), "=", current.revision)).
		Then(clientv3.OpPut(key, r.value(), clientv3.WithLease(current.lease))).
		Commit()

	return err
}

func (r *registration) revoke(ctx context.Context, id clientv3.LeaseID) {
	if r.silent.Load() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeGrace)
	defer cancel()
	_, _ = r.etcd.client.Revoke(ctx, id) // otherwise it expires
}

// get waits for a registration.
func (r *registration) get(ctx context.Context) (registered, error) {
	select {
	case current := <-r.now:
		return current, nil
	case <-ctx.Done():
		return registered{}, context.Cause(ctx)
	}
}

// lost reports that a registration is gone.
func (r *registration) lost(ctx context.Context, gone registered) {
	select {
	case r.bad <- gone:
	case <-ctx.Done():
	}
}

package etcdstore

import (
	"context"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"tenure/internal/clock"
	"tenure/internal/ownership"
)

// registration keeps the key of this server in etcd, with a lease. It says to the other servers that this one is alive.
// Nothing that is written depends on it.
type registration struct {
	etcd   *etcd
	server string
	value  string
	ttl    time.Duration
	settle time.Duration

	silent atomic.Bool // etcd does not answer: do not tell it that the registration has ended

	now chan registered // offers the current registration to those who ask; never closed
	bad chan registered // takes registrations that have turned out to be gone; never closed
}

// registered is a registration in etcd.
type registered struct {
	revision int64         // create revision of the key
	settled  clock.Instant // when the registrations of other servers that are gone have expired
}

// run registers the server, again if need be, until the context ends. Then it removes the registration.
func (r *registration) run(ctx context.Context) {
	for attempt := 1; ctx.Err() == nil; attempt++ {
		if r.once(ctx) {
			attempt = 0
		}
		_ = r.etcd.pause(ctx, max(1, attempt))
	}
}

// once registers the server and returns when the registration is gone. It returns false if it could not register.
func (r *registration) once(ctx context.Context) bool {
	bounded, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	lease, err := r.etcd.client.Grant(bounded, int64(r.ttl/time.Second))
	if err != nil {
		return false
	}
	defer r.revoke(ctx, lease.ID)
	key := r.etcd.prefix + ownership.ServerKey(r.server)
	resp, err := r.etcd.client.Txn(bounded).Then(
		clientv3.OpPut(key, r.value, clientv3.WithLease(lease.ID)), clientv3.OpGet(key),
	).Commit()
	if err != nil {
		return false
	}
	alive, err := r.etcd.client.KeepAlive(ctx, lease.ID)
	if err != nil {
		return false
	}
	now := r.etcd.clock.Now()
	current := registered{
		revision: resp.Responses[1].GetResponseRange().Kvs[0].CreateRevision, settled: now.Add(r.settle),
	}
	for {
		select {
		case _, ok := <-alive:
			if !ok {
				return true
			}
		case r.now <- current:
		case gone := <-r.bad:
			if gone.revision == current.revision {
				return true
			}
		case <-ctx.Done():
			return true
		}
	}
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

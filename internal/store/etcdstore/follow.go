package etcdstore

import (
	"context"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"tenure/internal/ownership"
)

// followPage is how many keys one request reads.
const followPage = 1_000

// patience is how long a watch may stay behind what is known to exist. Then it is given up, and the keys are read
// again: its connection may be one that nobody has noticed to be broken.
const patience = 2 * time.Second

// follower keeps up with the keys of a range.
type follower struct {
	etcd      *etcd
	from, end string

	// take takes either all keys, or those that a revision has changed; the create revision of one that was deleted is 0.
	// It is called by one goroutine.
	take func(all bool, kvs []ownership.KV)

	mu    sync.Mutex // guards the following fields
	seen  int64      // the revision up to which changes have been taken; 0: none
	moved chan struct{}
	renew context.CancelFunc // makes follow read the keys again; nil: nothing is being followed
}

func newFollower(e *etcd, from, end string, take func(bool, []ownership.KV)) *follower {
	return &follower{etcd: e, from: from, end: end, take: take, moved: make(chan struct{})}
}

// run follows the keys until the context ends.
func (f *follower) run(ctx context.Context) {
	for attempt := 1; ctx.Err() == nil; attempt++ {
		once, cancel := context.WithCancel(ctx)
		f.mu.Lock()
		f.renew = cancel
		f.mu.Unlock()
		if f.follow(once) {
			attempt = 0
		}
		cancel()
		_ = f.etcd.pause(ctx, max(1, attempt))
	}
}

// follow reads the keys, and then watches them. It returns when that fails, as it does when etcd has been compacted, or
// the member has no leader. The result is false if the keys could not be read.
func (f *follower) follow(ctx context.Context) bool {
	revision, err := f.list(ctx)
	if err != nil {
		return false
	}
	changes := f.etcd.client.Watch(clientv3.WithRequireLeader(ctx), f.etcd.prefix+f.from,
		clientv3.WithRange(f.etcd.prefix+f.end), clientv3.WithRev(revision+1))
	for r := range changes {
		if r.Err() != nil {
			break
		}
		f.changed(r.Events)
	}

	return true
}

func (f *follower) list(ctx context.Context) (revision int64, err error) {
	var all []ownership.KV
	for next := f.from; ; {
		r, err := f.etcd.read(ctx, ownership.Txn{Then: []ownership.Op{
			{Kind: ownership.Get, Key: next, End: f.end, Limit: followPage, Revision: revision},
		}})
		if err != nil {
			return 0, err
		}
		if revision == 0 {
			revision = r.Revision
		}
		page := r.Gets[0]
		all = append(all, page...)
		if len(page) < followPage {
			f.take(true, all)
			f.arrived(revision)

			return revision, nil
		}
		next = page[len(page)-1].Key + "\x00"
	}
}

// changed takes the changes of one or several revisions. etcd does not divide the changes of a revision.
func (f *follower) changed(events []*clientv3.Event) {
	var kvs []ownership.KV
	for i, e := range events {
		kvs = append(kvs, f.etcd.kv(e.Kv))
		if i+1 == len(events) || events[i+1].Kv.ModRevision != e.Kv.ModRevision {
			f.take(false, kvs)
			f.arrived(e.Kv.ModRevision)
			kvs = nil
		}
	}
}

func (f *follower) arrived(revision int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen = max(f.seen, revision)
	close(f.moved)
	f.moved = make(chan struct{})
}

// until waits until all changes up to the revision have been taken. The revision must be one that has changed a key of
// the range, or 1, which stands for the first answer.
func (f *follower) until(ctx context.Context, revision int64) error {
	timer := f.etcd.clock.NewTimer()
	defer timer.Stop()
	for {
		f.mu.Lock()
		seen, moved := f.seen, f.moved
		f.mu.Unlock()
		if seen >= revision {
			return nil
		}
		now := f.etcd.clock.Now()
		timer.Set(now, now.Add(patience))
		select {
		case <-moved:
		case <-timer.C():
			f.again(seen)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// again makes run read the keys again, unless more has been taken since.
func (f *follower) again(seen int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.seen == seen && f.renew != nil {
		f.renew()
	}
}

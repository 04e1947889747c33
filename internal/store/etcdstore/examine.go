package etcdstore

import (
	"context"
	"crypto/rand"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"tenure/internal/clock"
	"tenure/internal/ownership"
	"tenure/internal/store"
)

// Examination is what Examine finds out about an etcd cluster.
type Examination struct {
	Members []MemberState
	Commits []time.Duration // times of small writes
	Servers []store.Member  // that are registered with the prefix
}

// MemberState is the state of a member of etcd.
type MemberState struct {
	URL                string
	Err                error // why it does not answer; nil: it does
	Version            string
	Leader             bool // it knows a leader
	Size, InUse, Quota int64
	Alarm              error // why it needs somebody to act; nil: it does not
}

const (
	examineCommits = 20
	examineTTL     = 30 * time.Second // of what Examine writes, if it cannot remove it
)

// Examine looks at an etcd cluster without taking part in a store. It needs the same permissions as a server. It writes
// a key with the prefix some times, and removes it.
func Examine(ctx context.Context, c Cluster, prefix string) (x Examination, err error) {
	var client *clientv3.Client
	if err := c.connect(ctx, prefix, true, func(_ context.Context, connected *clientv3.Client) error {
		client = connected

		return nil
	}); err != nil {
		return x, err
	}
	defer client.Close()
	e := &etcd{client: client, prefix: prefix, clock: clock.Go()}
	for _, u := range c.URLs {
		x.Members = append(x.Members, e.state(ctx, u))
	}
	r, err := e.read(ctx, ownership.Txn{Then: []ownership.Op{
		{Kind: ownership.Get, Key: ownership.ServerKeys, End: ownership.ServerKeysEnd},
	}})
	if err != nil {
		return x, c.explain(ctx, prefix, err)
	}
	for _, kv := range r.Gets[0] {
		x.Servers = append(x.Servers, decodeMember(kv))
	}
	x.Commits, err = e.commits(ctx)

	return x, err
}

// state asks a member for its state.
func (e *etcd) state(ctx context.Context, member string) MemberState {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	s := MemberState{URL: member}
	r, err := e.client.Status(ctx, member)
	if err != nil {
		s.Err = err

		return s
	}
	s.Version, s.Leader, s.Alarm = r.Version, r.Leader != 0, alarm(r.Errors)
	s.Size, s.InUse, s.Quota = r.DbSize, r.DbSizeInUse, r.DbSizeQuota

	return s
}

// commits measures how long small writes take.
func (e *etcd) commits(ctx context.Context) (times []time.Duration, err error) {
	lease, err := e.client.Grant(ctx, int64(examineTTL/time.Second))
	if err != nil {
		return nil, err
	}
	defer func() { // the lease takes the key with it
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), attemptTimeout)
		defer cancel()
		_, _ = e.client.Revoke(ctx, lease.ID) // otherwise it expires
	}()
	key := e.prefix + "doctor/" + rand.Text()
	for range examineCommits {
		limited, cancel := context.WithTimeout(ctx, attemptTimeout)
		began := e.clock.Now()
		_, err := e.client.Put(limited, key, "", clientv3.WithLease(lease.ID))
		cancel()
		if err != nil {
			return nil, err
		}
		times = append(times, e.clock.Now().Sub(began))
	}

	return times, nil
}

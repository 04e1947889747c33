package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"tenure/internal/clock"
	"tenure/internal/ownership"
)

const (
	attemptTimeout = 2 * time.Second // for one attempt; the next one goes to another member
	firstPause     = 20 * time.Millisecond
	longestPause   = time.Second
)

// etcd carries out transactions below a prefix.
type etcd struct {
	client *clientv3.Client
	prefix string
	clock  clock.Clock
	leader *leader // nil: transactions go to any member

	heard   atomic.Int64 // the clock.Instant of the last answer
	numbers numbers
}

// do makes one attempt to carry out the transaction.
func (e *etcd) do(ctx context.Context, t ownership.Txn) (ownership.Result, error) {
	ctx, cancel := e.leader.bound(ctx)
	defer cancel()
	compares := make([]clientv3.Cmp, len(t.If))
	for i, c := range t.If {
		switch key := e.prefix + c.Key; {
		case c.Value != nil:
			compares[i] = clientv3.Compare(clientv3.Value(key), "=", string(c.Value))
		case c.Create:
			compares[i] = clientv3.Compare(clientv3.CreateRevision(key), "=", c.Revision)
		default:
			compares[i] = clientv3.Compare(clientv3.ModRevision(key), "=", c.Revision)
		}
	}
	kv, route := e.target()
	began := e.clock.Now()
	resp, err := kv.Txn(ctx).If(compares...).Then(e.ops(t.Then)...).Else(e.ops(t.Else)...).Commit()
	e.observe(t, began, err)
	if err != nil {
		e.failed(route)

		return ownership.Result{}, err
	}
	e.heard.Store(int64(e.clock.Now()))
	r := ownership.Result{Succeeded: resp.Succeeded, Revision: resp.Header.Revision}
	for _, op := range resp.Responses {
		get := op.GetResponseRange()
		if get == nil {
			continue
		}
		kvs := make([]ownership.KV, len(get.Kvs))
		for i, kv := range get.Kvs {
			kvs[i] = e.kv(kv)
		}
		r.Gets = append(r.Gets, kvs)
	}

	return r, nil
}

func (e *etcd) kv(kv *mvccpb.KeyValue) ownership.KV {
	return ownership.KV{
		Key: strings.TrimPrefix(string(kv.Key), e.prefix), Value: kv.Value, Create: kv.CreateRevision, Mod: kv.ModRevision,
	}
}

func (e *etcd) ops(ops []ownership.Op) []clientv3.Op {
	out := make([]clientv3.Op, len(ops))
	for i, op := range ops {
		key := e.prefix + op.Key
		var opts []clientv3.OpOption
		if op.End != "" {
			opts = append(opts, clientv3.WithRange(e.prefix+op.End))
		}
		switch op.Kind {
		case ownership.Get:
			out[i] = clientv3.OpGet(key, append(opts, clientv3.WithLimit(int64(op.Limit)), clientv3.WithRev(op.Revision))...)
		case ownership.Put:
			out[i] = clientv3.OpPut(key, string(op.Value))
		case ownership.Delete:
			out[i] = clientv3.OpDelete(key, opts...)
		}
	}

	return out
}

// read carries out a transaction that only reads, as often as it takes.
func (e *etcd) read(ctx context.Context, t ownership.Txn) (ownership.Result, error) {
	for attempt := 1; ; attempt++ {
		r, err := e.do(ctx, t)
		if err == nil {
			return r, nil
		}
		if refused := refusal(err); refused != nil {
			return r, refused
		}
		if err := e.pause(ctx, attempt); err != nil {
			return r, err
		}
	}
}

// pause waits after a number of attempts. It returns the cause of the context's end.
func (e *etcd) pause(ctx context.Context, attempts int) error {
	d := longestPause
	if attempts < 7 {
		d = min(d, firstPause<<(attempts-1))
	}
	clock.Pause(ctx, e.clock, d)

	return context.Cause(ctx)
}

// refusal returns the error if it is of no use to send the transaction again, or nil.
func refusal(err error) error {
	switch err = rpctypes.Error(err); {
	case errors.Is(err, rpctypes.ErrCompacted):
		return ownership.ErrCompacted
	case errors.Is(err, rpctypes.ErrTooManyOps), errors.Is(err, rpctypes.ErrDuplicateKey),
		errors.Is(err, rpctypes.ErrRequestTooLarge):
		return fmt.Errorf("etcd refuses the transaction: %w: is its --max-txn-ops below 128, or its --max-request-bytes "+
			"below 1.5 MiB?", err)
	default:
		return nil
	}
}

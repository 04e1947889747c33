package etcdstore

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"tenure/internal/clock"
	"tenure/internal/node"
	"tenure/internal/ownership"
	"tenure/internal/store"
)

// Creation writes a new store. The format key says that it is not complete, so that no server opens it, until Finish
// replaces this key. Each transaction compares the key's revision, so another creation can take over at any time.
type Creation struct {
	etcd  *etcd
	ctx   context.Context //nolint:containedctx // of Add and Finish
	id    string
	lease clientv3.LeaseID // of the busy key
	fence int64            // modification revision of the format key

	space store.Space // of the last record
	begun bool        // there was a record
	ops   []ownership.Op
	bytes int
}

// Limits of a transaction of a creation.
const (
	createOps   = 100
	createBytes = 1 << 20
)

// busyKey exists while a creation is in progress. It is attached to a lease.
const busyKey = "restoring"

const busyTTL = 15 * time.Second

// ErrNotEmpty reports that there are keys with the prefix of a new store.
var ErrNotEmpty = errors.New("the prefix is not empty")

// Errors of a creation.
var (
	errBusy  = fmt.Errorf("another restore to this prefix is in progress, or has ended less than %v ago: wait", busyTTL)
	errTook  = errors.New("another restore to this prefix has begun meanwhile")
	errInUse = errors.New("servers with this prefix are running: stop all of them, and try again")
)

// Create begins to write a store. There must be no keys with the prefix, except those that a creation
// has left which was not finished. The caller must call Finish or Abort. Add and Finish return early if ctx ends.
func Create(ctx context.Context, cluster Cluster, prefix string) (*Creation, error) {
	c := &Creation{ctx: ctx, id: rand.Text()}
	err := cluster.connect(ctx, prefix, true, func(ctx context.Context, client *clientv3.Client) error {
		c.etcd = &etcd{client: client, prefix: prefix, clock: clock.Go()}

		return c.begin(ctx)
	})
	if err != nil {
		return nil, err
	}
	if err := c.clear(ctx); err != nil {
		c.Abort()

		return nil, err
	}

	return c, nil
}

// begin makes the prefix that of this creation.
func (c *Creation) begin(ctx context.Context) error {
	lease, err := c.etcd.client.Grant(ctx, int64(busyTTL/time.Second))
	if err != nil {
		return err
	}
	c.lease = lease.ID
	if _, err = c.etcd.client.KeepAlive(c.ctx, lease.ID); err == nil {
		err = c.take(ctx)
	}
	if err != nil {
		c.free(ctx)
	}

	return err
}

// take writes the format key, once it has found out that nobody needs what is there.
func (c *Creation) take(ctx context.Context) error {
	var old int64 // modification revision of the format key of a creation that was not finished
	for attempt := 1; ; attempt++ {
		resp, err := c.claim(ctx, old)
		if err != nil {
			if err := c.etcd.pause(ctx, attempt); err != nil {
				return err
			}

			continue
		}
		if resp.Succeeded {
			c.fence = resp.Header.Revision

			return nil
		}
		stamps, some := resp.Responses[0].GetResponseRange(), resp.Responses[1].GetResponseRange()
		switch {
		case len(stamps.Kvs) > 0:
			kv := stamps.Kvs[0]
			have, err := c.etcd.decodeStamp(kv.Value)
			switch {
			case have.Restoring == c.id: // an earlier attempt was carried out
				c.fence = kv.ModRevision

				return nil
			case errors.Is(err, errRestoring) && old != kv.ModRevision:
				old = kv.ModRevision
			case errors.Is(err, errRestoring):
				return errBusy
			default:
				return c.notEmpty(string(kv.Key))
			}
		case len(some.Kvs) > 0:
			return c.notEmpty(string(some.Kvs[0].Key))
		}
	}
}

func (c *Creation) notEmpty(key string) error {
	return fmt.Errorf("%w: there is the key %q: choose another one, or stop all servers and delete all keys with it",
		ErrNotEmpty, key)
}

// claim makes one attempt to write the format key. If old is 0, there must be no keys with the prefix. Otherwise the
// format key must have this revision, and its creation must not be in progress.
func (c *Creation) claim(ctx context.Context, old int64) (*clientv3.TxnResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	formatKey, busyKey := c.etcd.prefix+formatKey, c.etcd.prefix+busyKey
	when := []clientv3.Cmp{clientv3.Compare(clientv3.CreateRevision(c.etcd.prefix), "=", 0).WithPrefix()}
	if old != 0 {
		when = []clientv3.Cmp{
			clientv3.Compare(clientv3.ModRevision(formatKey), "=", old),
			clientv3.Compare(clientv3.CreateRevision(busyKey), "=", 0),
		}
	}
	value, err := json.Marshal(stamp{Format: format, Restoring: c.id})
	if err != nil {
		return nil, err
	}

	return c.etcd.client.Txn(ctx).If(when...).Then(
		clientv3.OpPut(formatKey, string(value)), clientv3.OpPut(busyKey, c.id, clientv3.WithLease(c.lease)),
	).Else(
		clientv3.OpGet(formatKey), clientv3.OpGet(c.etcd.prefix, clientv3.WithPrefix(), clientv3.WithLimit(1)),
	).Commit()
}

// clear deletes all keys with the prefix but the two of this creation.
func (c *Creation) clear(ctx context.Context) error {
	for _, span := range [][2]string{{"", formatKey}, {formatKey + "\x00", busyKey}, {busyKey + "\x00", "\xff"}} {
		if err := c.clearRange(ctx, span[0], span[1]); err != nil {
			return err
		}
	}

	return nil
}

func (c *Creation) clearRange(ctx context.Context, from, end string) error {
	for attempt := 1; ; {
		last, err := c.page(ctx, from, end)
		switch {
		case err != nil:
			if err := c.etcd.pause(ctx, attempt); err != nil {
				return err
			}
			attempt++
		case last == "":
			return nil
		default:
			c.ops = append(c.ops, ownership.Op{Kind: ownership.Delete, Key: from, End: last + "\x00"})
			if err := c.flush(ctx); err != nil {
				return err
			}
		}
	}
}

// page returns the last one of the first keys of a range, or "" if there is none.
func (c *Creation) page(ctx context.Context, from, end string) (last string, err error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	r, err := c.etcd.client.Get(ctx, c.etcd.prefix+from, clientv3.WithRange(c.etcd.prefix+end),
		clientv3.WithLimit(cleanPage), clientv3.WithKeysOnly())
	if err != nil || len(r.Kvs) == 0 {
		return "", err
	}

	return c.etcd.kv(r.Kvs[len(r.Kvs)-1]).Key, nil
}

// Add adds a record. The records must come in order of their spaces.
func (c *Creation) Add(r store.Record) error {
	if err := ownership.Check(store.Batch{Space: r.Space, Changes: []node.Record{r.Record}}); err != nil {
		return err
	}
	if !c.begun || r.Space != c.space {
		c.begun, c.space = true, r.Space
		if err := c.add(ownership.RestoredSpace(r.Space)); err != nil {
			return err
		}
	}

	return c.add(ownership.RestoredRecord(r))
}

func (c *Creation) add(op ownership.Op) error {
	size := len(op.Key) + len(op.Value)
	if len(c.ops) == createOps || c.bytes+size > createBytes {
		if err := c.flush(c.ctx); err != nil {
			return err
		}
	}
	c.ops, c.bytes = append(c.ops, op), c.bytes+size

	return nil
}

// flush carries out the operations.
func (c *Creation) flush(ctx context.Context) error {
	if len(c.ops) == 0 {
		return nil
	}
	r, err := c.change(ctx, c.ops)
	c.ops, c.bytes = nil, 0
	if err == nil && !r.Succeeded {
		err = errTook
	}

	return err
}

// change sends the operations until their outcome is known. They are carried out as long as the prefix is that of this
// creation. It makes no difference if this is done twice.
func (c *Creation) change(ctx context.Context, ops []ownership.Op) (ownership.Result, error) {
	return c.etcd.read(ctx, ownership.Txn{
		If:   []ownership.Compare{{Key: formatKey, Revision: c.fence}},
		Then: ops, Else: []ownership.Op{{Kind: ownership.Get, Key: formatKey}},
	})
}

// Finish makes the store one of the database, and ends the creation. Servers can open it from then on. After an error
// there is no store, unless ctx has ended: then it is unknown whether there is one.
func (c *Creation) Finish(database string) error {
	err := c.flush(c.ctx)
	if err == nil {
		err = c.finish(stamp{Format: format, Database: database, Restored: c.id})
	}
	if err != nil {
		c.Abort()

		return err
	}
	c.free(c.ctx)

	return c.etcd.client.Close()
}

// finish writes the format key, unless servers use the prefix. Those could only have been started before the creation,
// and somebody has deleted their keys.
func (c *Creation) finish(s stamp) error {
	value, err := json.Marshal(s)
	if err != nil {
		return err
	}
	for attempt := 1; ; attempt++ {
		resp, err := c.install(string(value))
		switch {
		case err != nil:
			if err := c.etcd.pause(c.ctx, attempt); err != nil {
				return err
			}

			continue
		case resp.Succeeded:
			return nil
		}
		for _, kv := range resp.Responses[0].GetResponseRange().Kvs {
			have, err := c.etcd.decodeStamp(kv.Value)
			switch {
			case err == nil && have.Restored == c.id:
				return nil // an earlier attempt was carried out
			case have.Restoring == c.id:
				return errInUse
			}
		}

		return errTook
	}
}

// install makes one attempt to write the format key.
func (c *Creation) install(value string) (*clientv3.TxnResponse, error) {
	ctx, cancel := context.WithTimeout(c.ctx, attemptTimeout)
	defer cancel()
	key := c.etcd.prefix + formatKey

	return c.etcd.client.Txn(ctx).If(
		clientv3.Compare(clientv3.ModRevision(key), "=", c.fence),
		clientv3.Compare(clientv3.CreateRevision(c.etcd.prefix+ownership.ServerKeys), "=", 0).WithPrefix(),
	).Then(clientv3.OpPut(key, value)).Else(clientv3.OpGet(key)).Commit()
}

// abortLimit is how long Abort may take.
const abortLimit = 10 * time.Second

// Abort ends the creation. It deletes what the creation has written. If that takes too long, the next creation does it.
func (c *Creation) Abort() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.ctx), abortLimit)
	defer cancel()
	c.ops = nil
	err := c.clear(ctx)
	if err == nil {
		_, err = c.change(ctx, []ownership.Op{{Kind: ownership.Delete, Key: formatKey}})
	}
	_ = err // what is left does no harm
	c.free(ctx)
	_ = c.etcd.client.Close()
}

// free deletes the busy key.
func (c *Creation) free(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	_, _ = c.etcd.client.Revoke(ctx, c.lease) // otherwise it expires
}

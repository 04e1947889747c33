package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"iter"

	clientv3 "go.etcd.io/etcd/client/v3"

	"tenure/internal/clock"
	"tenure/internal/ownership"
	"tenure/internal/store"
)

// Reader reads a store without taking part in it: it is not registered, and claims nothing. It needs permission to read
// only. Servers may use the store meanwhile.
type Reader struct{ etcd *etcd }

// OpenReader connects to a cluster, as Connect does. There must be a store with the prefix.
func OpenReader(ctx context.Context, c Cluster, prefix string) (*Reader, error) {
	var r *Reader
	err := c.connect(ctx, prefix, false, func(ctx context.Context, client *clientv3.Client) error {
		e := &etcd{client: client, prefix: prefix, clock: clock.Go()}
		r = &Reader{e}
		have, err := e.read(ctx, ownership.Txn{Then: []ownership.Op{{Kind: ownership.Get, Key: formatKey}}})
		switch {
		case err != nil:
			return err
		case len(have.Gets[0]) == 0:
			return fmt.Errorf("no server has used the prefix %s: name that of \"tenure serve --etcd-prefix\"", prefix)
		}
		_, err = e.decodeStamp(have.Gets[0][0].Value)

		return err
	})

	return r, err
}

// Snapshot yields the records of all spaces at one revision, as that of a store does.
func (r *Reader) Snapshot(ctx context.Context) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		if err := r.etcd.snapshot(ctx, yield); err != nil && !errors.Is(err, errStopped) {
			yield(store.Record{}, fmt.Errorf("read all spaces: %w", err))
		}
	}
}

// Close closes the connection.
func (r *Reader) Close() error { return r.etcd.client.Close() }

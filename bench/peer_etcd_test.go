package bench

import (
	"context"
	"errors"
	"strings"
	"testing"

	"go.etcd.io/etcd/client/v3"
)

func serveEtcd(b *testing.B) *daemon {
	b.Helper()
	if testing.Short() {
		b.Skip("not with -short")
	}
	path := program(b, ".", "go.etcd.io/etcd/server/v3")
	addr, cluster := freeAddress(b), "http://"+freeAddress(b)

	return startServer(b, addr, path, "--data-dir", b.TempDir(), "--log-level", "error",
		"--listen-client-urls", "http://"+addr, "--advertise-client-urls", "http://"+addr,
		"--listen-peer-urls", cluster, "--initial-advertise-peer-urls", cluster, "--initial-cluster", "default="+cluster)
}

// etcdLock is the cheapest correct lock of etcd: one transaction creates a key, which belongs to a lease, and another
// one deletes it if it is still the same. concurrency.Mutex makes more requests.
type etcdLock struct{ *clientv3.Client }

func connectEtcd(ctx context.Context, addresses string, _ bool) (connection, error) {
	c, err := clientv3.New(clientv3.Config{Endpoints: strings.Split(addresses, ","), Context: ctx})

	return etcdLock{c}, err
}

func (e etcdLock) worker(ctx context.Context, lock string) (pair func() error, err error) {
	lease, err := e.Grant(ctx, 60)
	if err != nil {
		return nil, err
	}
	free := clientv3.Compare(clientv3.CreateRevision(lock), "=", 0)
	create := clientv3.OpPut(lock, "", clientv3.WithLease(lease.ID))

	return func() error {
		held, err := e.Txn(ctx).If(free).Then(create).Commit()
		if err != nil {
			return err
		}
		same := clientv3.Compare(clientv3.CreateRevision(lock), "=", held.Header.Revision)
		gone, err := e.Txn(ctx).If(same).Then(clientv3.OpDelete(lock)).Commit()
		if err == nil && (!held.Succeeded || !gone.Succeeded) {
			err = errors.New("the lock is lost")
		}

		return err
	}, nil
}

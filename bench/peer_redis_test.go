package bench

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

func serveRedis(b *testing.B) *daemon {
	b.Helper()
	path := installed(b, "redis-server", "apt-get install redis-server")
	addr := freeAddress(b)
	host, port, _ := net.SplitHostPort(addr)

	return startServer(b, addr, path, "--bind", host, "--port", port, "--dir", b.TempDir(),
		"--appendonly", "yes", "--appendfsync", "always", "--save", "")
}

// redisLock is the lock that the documentation of Redis describes for one server: SET with NX and PX and a random
// value, and a script that deletes the key only if it has this value.
type redisLock struct{ *redis.Client }

var redisRelease = redis.NewScript(
	`if redis.call("get", KEYS[1]) == ARGV[1] then return redis.call("del", KEYS[1]) else return 0 end`)

// connectRedis makes a pool of connections, which has the default size unless each client needs one for itself.
func connectRedis(ctx context.Context, address string, each bool) (connection, error) {
	o := &redis.Options{Addr: address}
	if each {
		o.PoolSize = 1
	}
	c := redis.NewClient(o)

	return redisLock{c}, c.Ping(ctx).Err()
}

func (r redisLock) worker(ctx context.Context, lock string) (pair func() error, err error) {
	const token = "f3c1f1a5c5d946f0"
	keys := []string{lock}

	return func() error {
		if err := r.SetArgs(ctx, lock, token, redis.SetArgs{Mode: "NX", TTL: time.Minute}).Err(); err != nil {
			return err
		}
		n, err := redisRelease.Run(ctx, r.Client, keys, token).Int()
		if err == nil && n != 1 {
			err = errors.New("the lock is lost")
		}

		return err
	}, nil
}

package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"tenure/internal/serverconfig"
	"tenure/internal/store"
	"tenure/internal/store/etcdstore"
	"tenure/server"
)

// serve starts a server of a kind on a free port. The caller must call stop. A shared store has the URLs of etcd in
// place of a directory.
func serve(k kind, dir string) (addr string, stop func() error, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	switch k {
	case bare:
		stop = serveBare(l)
	case memory:
		stop, err = serveTenure(l)
	case disk:
		stop, err = serveTenure(l, server.WithDataDir(dir))
	case shared:
		stop, err = serveShared(l, strings.Split(dir, ","))
	default:
		err = fmt.Errorf("unknown kind %q", k)
	}

	return l.Addr().String(), stop, err
}

func serveTenure(l net.Listener, opts ...server.Option) (stop func() error, err error) {
	s, err := server.New(append(opts, server.WithDatabase(database))...)
	if err != nil {
		return nil, err
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()

	return func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()

		return errors.Join(s.Stop(ctx), <-served)
	}, nil
}

func serveShared(l net.Listener, urls []string) (stop func() error, err error) {
	s, err := etcdstore.Connect(context.Background(), etcdstore.Cluster{URLs: urls}, etcdstore.Options{
		Prefix: prefix, Database: database, Member: store.Member{Address: "grpc://" + l.Addr().String()},
	})
	if err != nil {
		return nil, err
	}

	return serveTenure(l, func(c *serverconfig.Config) { c.Store = s })
}

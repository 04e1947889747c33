package lock_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"

	"github.com/ydb-platform/ydb-go-sdk/v3"

	"tenure"
	"tenure/lock"
)

// A replica serves requests while it leads. Otherwise it redirects them to the leader, or answers 503 if no leader is
// known.
type replica struct {
	leader atomic.Pointer[lock.Leader] // nil: not known yet
	news   chan lock.Leader            // for the example, which waits for changes
}

func (r *replica) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	switch leader := r.leader.Load(); {
	case leader == nil || leader.Session == 0:
		w.Header().Set("Retry-After", "1")
		http.Error(w, "there is no leader", http.StatusServiceUnavailable)
	case leader.Self:
		_, _ = fmt.Fprintf(w, "with token %d", leader.Token) // send the token with each write to the storage
	default:
		http.Redirect(w, req, string(leader.Data)+req.URL.Path, http.StatusTemporaryRedirect)
	}
}

// campaign runs until ctx ends. The data of the lock is the address of the replica, so that others can redirect to it.
func (r *replica) campaign(ctx context.Context, client *tenure.Client, address string) error {
	return lock.Elect(ctx, client, "/local/test", "web", func(ctx context.Context, _ *lock.Held) error {
		<-ctx.Done()

		return nil
	}, lock.WithData([]byte(address)), lock.WithObserver(func(e lock.Event) {
		if leader, ok := e.(lock.Leader); ok {
			r.leader.Store(&leader)
			r.news <- leader
		}
	}))
}

// Several replicas of an HTTP server elect a leader. All of them accept requests, and the leader answers them.
func ExampleElect_httpServer() {
	dsn, stop := serve()
	defer stop()

	ctx := context.Background()
	db, err := ydb.Open(ctx, dsn)
	if err != nil {
		fmt.Println(err)

		return
	}
	defer func() { _ = db.Close(ctx) }()

	start := func() (r *replica, address string, stop func()) {
		ctx, cancel := context.WithCancel(ctx)
		r, done := &replica{news: make(chan lock.Leader, 10)}, make(chan struct{})
		server := httptest.NewServer(r)
		get(server.URL)
		go func() {
			defer close(done)
			_ = r.campaign(ctx, tenure.New(db), server.URL)
		}()

		return r, server.URL, func() {
			cancel()
			<-done
			server.Close()
		}
	}
	first, firstAddress, stopFirst := start()
	<-first.news
	get(firstAddress)
	second, secondAddress, stopSecond := start()
	<-second.news
	get(secondAddress)
	stopFirst()
	<-second.news
	get(secondAddress)
	stopSecond()
	// Output:
	// 503 Service Unavailable
	// 200 OK with token 1
	// 503 Service Unavailable
	// 200 OK with token 1
	// 200 OK with token 2
}

func get(address string) {
	response, err := http.Get(address + "/orders") //nolint:noctx // an example
	if err != nil {
		fmt.Println(err)

		return
	}
	body, _ := io.ReadAll(response.Body)
	_ = response.Body.Close()
	fmt.Print(response.Status)
	if response.StatusCode == http.StatusOK {
		fmt.Print(" ", string(body))
	}
	fmt.Println()
}

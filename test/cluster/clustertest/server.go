package clustertest

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/relaytest"
)

// Server is a tenure serve process.
type Server struct {
	*Process

	Listen string // host:port, without a relay
	HTTP   string // host:port, without a relay

	Clients *relaytest.Relay // from clients
	Peers   *relaytest.Relay // from the other servers
	Etcd    Edges            // to the members of etcd, in their order
}

// Edges are connections that fail together.
type Edges []*relaytest.Relay

// Cut breaks all connections and refuses new ones.
func (e Edges) Cut() {
	for _, r := range e {
		r.Cut()
	}
}

// Silence drops all bytes, and leaves the connections open.
func (e Edges) Silence() {
	for _, r := range e {
		r.Silence()
	}
}

// Slow delays all messages.
func (e Edges) Slow(by time.Duration) {
	for _, r := range e {
		r.Slow(by)
	}
}

// Heal undoes all of this.
func (e Edges) Heal() {
	for _, r := range e {
		r.Heal()
	}
}

// newServer returns a server that has not been started.
func newServer(tb testing.TB, number int, members []*Member, o Options) *Server {
	tb.Helper()
	commands, err := Commands(o.Tags)
	require.NoError(tb, err)
	s := &Server{Listen: relaytest.FreeAddress(tb), HTTP: relaytest.FreeAddress(tb)}
	advertised, peers := s.Listen, s.Listen
	var etcd []string
	for _, m := range members {
		if o.Direct {
			etcd = append(etcd, m.URL)

			continue
		}
		relay := relaytest.New(tb, m.host)
		s.Etcd = append(s.Etcd, relay)
		etcd = append(etcd, "http://"+relay.Address())
	}
	if !o.Direct {
		s.Clients, s.Peers = relaytest.New(tb, s.Listen), relaytest.New(tb, s.Listen)
		advertised, peers = s.Clients.Address(), s.Peers.Address()
	}
	s.Process = newProcess(tb, fmt.Sprint("server ", number), append([]string{
		filepath.Join(commands, "tenure"), "serve", "--etcd", strings.Join(etcd, ","), "--listen", s.Listen,
		"--advertise", "grpc://" + advertised, "--peer-address", peers, "--http", s.HTTP,
	}, o.ServerFlags...), append([]string{
		"HOME=" + tb.TempDir(), "PATH=" + os.Getenv("PATH"), "TENURE_CONFIG=/dev/null",
		"GORACE=halt_on_error=1 atexit_sleep_ms=0",
	}, o.ServerEnv...))

	return s
}

// DSN returns the address of this server alone. A client that asks for all servers learns the others.
func (s *Server) DSN() string {
	if s.Clients == nil {
		return "grpc://" + s.Listen + "/local"
	}

	return "grpc://" + s.Clients.Address() + "/local"
}

// front returns the connections to the server.
func (s *Server) front() Edges {
	if s.Clients == nil {
		return nil
	}

	return Edges{s.Clients, s.Peers}
}

// Kill kills the server with SIGKILL, and waits until it has ended. Connections to it are then refused.
func (s *Server) Kill() {
	s.t.Helper()
	s.Process.Kill()
	s.front().Cut()
}

// Terminate ends the server with SIGTERM, waits until it has ended, and returns its exit code. Connections to it are
// then refused.
func (s *Server) Terminate() int {
	s.t.Helper()
	code := s.Process.Terminate()
	s.front().Cut()

	return code
}

// Restart starts the server and waits until it is ready.
func (s *Server) Restart() {
	s.t.Helper()
	s.front().Heal()
	ready := []byte("grpc://")
	before := bytes.Count(s.Printed(), ready)
	s.Start()
	until(s.t, s.Name+" is ready", func() bool {
		return bytes.Count(s.Printed(), ready) > before || !s.Running()
	})
	require.True(s.t, s.Running(), "%s runs", s.Name)
}

// Ready reports whether /readyz says that the server is ready.
func (s *Server) Ready() bool {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.HTTP+"/readyz", http.NoBody)
	require.NoError(s.t, err)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return false
	}
	defer resp.Body.Close()

	return resp.StatusCode == http.StatusOK
}

var connected = regexp.MustCompile(`msg="connected to etcd".* server=(\w+)`)

// ids returns the ids that the server has had, the last one at the end.
func (s *Server) ids() (ids []string) {
	for _, m := range connected.FindAllSubmatch(s.Printed(), -1) {
		ids = append(ids, string(m[1]))
	}

	return ids
}

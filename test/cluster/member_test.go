package cluster_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"tenure/internal/relaytest"
	"tenure/test/cluster/clustertest"
)

// stages is the number of tests at the same time. Most of the time, they wait for a timeout.
const stages = 6

func TestMain(m *testing.M) {
	if record := os.Getenv(recordVariable); record != "" {
		if err := perform(record); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	flag.Parse()
	if err := flag.Set("test.parallel", strconv.Itoa(stages)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(clustertest.Main(m))
}

// member is an etcd process, which is a cluster of its own.
type member struct {
	*testing.T
	url     string
	dir     string
	process *exec.Cmd
	spaces  atomic.Int64 // counts prefixes
	tls     *tls.Config  // of clients; nil: clear text
}

func startMember(t *testing.T, flags ...string) *member {
	t.Helper()

	return startSecureMember(t, nil, flags...)
}

// startSecureMember starts a member whose clients use TLS, if the configuration is not nil.
func startSecureMember(t *testing.T, config *tls.Config, flags ...string) *member {
	t.Helper()
	m := &member{T: t, url: "http://" + relaytest.FreeAddress(t), dir: t.TempDir(), tls: config}
	if config != nil {
		m.url = "https" + strings.TrimPrefix(m.url, "http")
	}
	peer := "http://" + relaytest.FreeAddress(t)
	args := append([]string{
		"--data-dir", m.dir, "--listen-client-urls", m.url, "--advertise-client-urls", m.url,
		"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "default=" + peer,
		"--log-level", "fatal", "--unsafe-no-fsync",
	}, flags...)
	program, err := clustertest.EtcdProgram()
	require.NoError(t, err)
	m.process = exec.Command(program, args...)
	m.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	require.NoError(t, err)
	m.process.Stdout, m.process.Stderr = log, log
	require.NoError(t, m.process.Start())
	t.Cleanup(func() {
		_ = m.process.Process.Kill()
		_ = m.process.Wait()
		if t.Failed() {
			out, _ := os.ReadFile(log.Name())
			t.Logf("etcd: %s", out)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c := m.client()
	for {
		_, err := c.Get(ctx, "a key")
		if err == nil {
			return m
		}
		require.NoError(t, ctx.Err(), "etcd does not answer: %v", err)
	}
}

// client returns a new client of the member.
func (m *member) client() *clientv3.Client {
	m.Helper()
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{m.url}, TLS: m.tls, Logger: zap.NewNop()})
	require.NoError(m, err)
	m.Cleanup(func() { _ = c.Close() })

	return c
}

// prefix returns a prefix that no other test uses.
func (m *member) prefix() string { return fmt.Sprintf("/%d/", m.spaces.Add(1)) }

func (m *member) signal(s os.Signal) {
	m.Helper()
	require.NoError(m, m.process.Process.Signal(s))
	if s == syscall.SIGSTOP { // its threads stop one by one
		require.Eventually(m, m.stopped, time.Minute, time.Millisecond)
	}
}

func (m *member) stopped() bool {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", m.process.Process.Pid))
	require.NoError(m, err)
	for _, file := range threads {
		if stat, err := os.ReadFile(file); err == nil && !bytes.Contains(stat, []byte(") T ")) {
			return false
		}
	}

	return true
}

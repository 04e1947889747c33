package lockcmd

import (
	"io"
	"net"
	"net/http"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/cli/clitest"
	"tenure/internal/relaytest"
	"tenure/tenuretest"
)

// The metrics say whether the lock is held, until when, how long the wait took, and why it was lost.
func TestMetrics(t *testing.T) {
	t.Parallel()
	srv := tenuretest.NewServer(t)
	address := relaytest.FreeAddress(t)

	p := clitest.Start(t, Command, "--ydb", srv.DSN(), "--metrics", address, "deploy")
	p.Until(t, "starting work")
	require.Regexp(t, `tenure_lock_held\{semaphore="deploy"\} 1\n`, scrape(t, address))
	require.Regexp(t, `tenure_lock_acquire_seconds_count\{semaphore="deploy"\} 1\n`, scrape(t, address))
	deadline := regexp.MustCompile(`tenure_lock_deadline_seconds\{semaphore="deploy"\} 1\.\d+e\+09\n`)
	require.Regexp(t, deadline, scrape(t, address))

	srv.ExpireSessions()
	p.Until(t, "the lock is acquired")
	require.Regexp(t, `tenure_lock_losses_total\{cause="expired",semaphore="deploy"\} 1\n`, scrape(t, address))
	p.Interrupt()
	_, code := p.Wait(t)
	require.Zero(t, code)
	_, err := net.Dial("tcp", address)
	require.Error(t, err)
}

func scrape(t *testing.T, address string) string {
	t.Helper()
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get("http://" + address + "/metrics")
	require.NoError(t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)

	return string(text)
}

package doctor_test

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-sdk/v3"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"go.uber.org/goleak"

	"tenure"
	"tenure/internal/access"
	"tenure/internal/clock"
	"tenure/internal/doctor"
	"tenure/internal/serverconfig"
	"tenure/server"
	"tenure/tenuretest"
)

func TestMain(m *testing.M) {
	_, _ = x509.SystemCertPool() // the SDK loads it, which takes seconds under the race detector
	goleak.VerifyTestMain(m)
}

// patient returns a patient whose user has the rights on /local/node. If the node is missing, it is not created.
func patient(t *testing.T, rights string, missing bool) *doctor.Patient {
	t.Helper()
	ann, hash := access.NewToken()
	root, rootHash := access.NewToken()
	file := filepath.Join(t.TempDir(), "tokens")
	require.NoError(t, os.WriteFile(file, []byte("user ann token="+hash+"\ngrant ann /local/node "+rights+"\n"+
		"user root token="+rootHash+"\ngrant root / full\n"), 0o600))
	srv := tenuretest.NewServer(t, server.WithTokensFile(file))
	as := func(token string) *tenure.Client {
		c, err := tenure.Open(t.Context(), srv.DSN(), tenure.WithDriverOptions(ydb.WithAccessTokenCredentials(token)))
		require.NoError(t, err)
		t.Cleanup(func() { _ = c.Close(context.WithoutCancel(t.Context())) })

		return c
	}
	if !missing {
		require.NoError(t, as(root).CreateNode(t.Context(), "/local/node", coordination.NodeConfig{}))
	}

	return &doctor.Patient{Client: as(ann), Path: "/local/node", User: "ann", Limit: 10 * time.Second}
}

// Each missing right is named, with the line for the tokens file.
func TestPatient_Rights(t *testing.T) {
	t.Parallel()
	for rights, want := range map[string]struct {
		line   doctor.Line
		usable bool
	}{
		"use": {doctor.Line{
			Check: "rights", Result: doctor.OK, Found: "user ann may acquire and renew locks on /local/node",
		}, true},
		"read list": {missing("write"), false}, "write list": {missing("read"), false}, "list": {missing("use"), false},
		"read write": {missing("list"), true},
		"write": {doctor.Line{
			Check: "rights", Result: doctor.Bad, Found: "user ann has not the right to list and to read on /local/node",
			Do: `add to the server's tokens file: "grant ann /local/node list read"`,
		}, false},
	} {
		t.Run(rights, func(t *testing.T) {
			t.Parallel()
			lines, usable, done := patient(t, rights, false).Rights(t.Context())
			require.Equal(t, []doctor.Line{want.line}, lines)
			require.Equal(t, want.usable, usable)
			require.Empty(t, done())
		})
	}
}

func missing(right string) doctor.Line {
	return doctor.Line{
		Check: "rights", Result: doctor.Bad, Found: "user ann has not the right to " + right + " on /local/node",
		Do: `add to the server's tokens file: "grant ann /local/node ` + right + `"`,
	}
}

// A node of doctor's own stands for a node that is missing. It is removed, and the missing one stays missing.
func TestPatient_RightsWithoutNode(t *testing.T) {
	t.Parallel()
	p := patient(t, "full\ngrant ann /local full", true)
	lines, usable, done := p.Rights(t.Context())
	require.True(t, usable)
	require.Equal(t, "/local/node does not exist yet: lock creates it", lines[0].Found)
	require.Regexp(t, `^user ann may acquire and renew locks on /local/\.doctor-[0-9a-f]{12}$`, lines[1].Found)
	var own string
	_, err := fmt.Sscanf(lines[1].Found, "user ann may acquire and renew locks on %s", &own)
	require.NoError(t, err)
	_, _, err = p.Client.DescribeNode(t.Context(), own)
	require.NoError(t, err)
	require.Empty(t, done())
	for _, path := range []string{own, "/local/node"} {
		_, _, err = p.Client.DescribeNode(t.Context(), path)
		require.Error(t, err, path)
	}

	lines, usable, _ = patient(t, "list", true).Rights(t.Context())
	require.False(t, usable)
	require.Equal(t, []doctor.Line{{
		Check: "node", Result: doctor.Bad,
		Found: "/local/node does not exist, and user ann may not create nodes in /local, so its rights cannot be tried",
		Do: `create the node with "tenure node create /local/node", or add to the server's tokens file: ` +
			`"grant ann /local create"`,
	}}, lines)
}

// The times of a real server are compared with the timeout.
func TestPatient_Speed(t *testing.T) {
	t.Parallel()
	p := patient(t, "use", false)
	_, usable, _ := p.Rights(t.Context())
	require.True(t, usable)
	speeds, err := p.Speed(t.Context(), clock.System())
	require.NoError(t, err)
	require.Len(t, speeds.Trips, 50)
	require.Len(t, speeds.Commits, 100)
	for timeout, want := range map[time.Duration]doctor.Result{
		time.Hour: doctor.OK, 10 * speeds.Trip(): doctor.Warn, time.Microsecond: doctor.Bad,
	} {
		line := speeds.Lines(timeout)[0]
		require.Equal(t, want, line.Result, line)
		require.Equal(t, want == doctor.OK, line.Do == "", line)
	}
}

// A server whose clock runs at a wrong rate is noticed.
func TestPatient_Rate(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		factor float64
		want   doctor.Result
	}{
		"the server is faster": {4, doctor.Bad},
		"the server is slower": {0.7, doctor.Warn},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := skewed(t, test.factor)
			_, usable, done := p.Rights(t.Context())
			require.True(t, usable)
			rate, err := p.Rate(t.Context(), clock.System(), time.Millisecond)
			require.NoError(t, err)
			line := rate.Line()
			require.Equal(t, test.want, line.Result, line)
			require.NotEmpty(t, line.Do)
			require.Empty(t, done())
		})
	}
}

func TestRate_Line(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	for _, test := range []struct {
		here, uncertain time.Duration
		want            doctor.Result
	}{
		{4500 * ms, 10 * ms, doctor.OK},
		{4460 * ms, 10 * ms, doctor.OK},
		{4540 * ms, 10 * ms, doctor.OK},
		{4440 * ms, 10 * ms, doctor.Bad},
		{4560 * ms, 10 * ms, doctor.Warn},
		{4500 * ms, 100 * ms, doctor.Warn},
	} {
		line := doctor.Rate{Server: 4500 * ms, Here: test.here, Error: test.uncertain}.Line()
		require.Equal(t, test.want, line.Result, line)
	}
}

// A step of the date is noticed.
func TestLocalRate(t *testing.T) {
	t.Parallel()
	clk, date := clock.System(), time.Now()
	rate := doctor.LocalRate(clk, func() time.Time { date = date.Add(time.Minute); return date }, func() {})
	require.Equal(t, doctor.Warn, rate.LocalLine().Result)
	rate = doctor.LocalRate(clk, func() time.Time { return clk.Time(clk.Now()) }, func() {})
	require.Equal(t, doctor.OK, rate.LocalLine().Result)
}

// skewed returns a patient whose server has a clock that runs at another rate.
func skewed(t *testing.T, factor float64) *doctor.Patient {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	srv, err := server.New(func(c *serverconfig.Config) { c.Clock = wrongClock{clock.System(), factor} })
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(lis) }()
	c, err := tenure.Open(t.Context(), "grpc://"+lis.Addr().String()+"/local")
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		_ = c.Close(ctx)
		require.NoError(t, srv.Stop(ctx))
		require.NoError(t, <-served)
	})

	return &doctor.Patient{Client: c, Path: "/local/node", Limit: 10 * time.Second}
}

// A wrongClock runs faster than another clock by a factor.
type wrongClock struct {
	clock.Clock

	factor float64
}

func (w wrongClock) Now() clock.Instant { return clock.Instant(float64(w.Clock.Now()) * w.factor) }

func (w wrongClock) Time(i clock.Instant) time.Time {
	return w.Clock.Time(clock.Instant(float64(i) / w.factor))
}

func (w wrongClock) NewTimer() clock.Timer { return wrongTimer{w.Clock.NewTimer(), w.factor} }

func (w wrongClock) NewAlarm(ring func()) clock.Timer {
	return wrongTimer{w.Clock.NewAlarm(ring), w.factor}
}

type wrongTimer struct {
	clock.Timer

	factor float64
}

func (w wrongTimer) Set(now, at clock.Instant) {
	w.Timer.Set(clock.Instant(float64(now)/w.factor), clock.Instant(float64(at)/w.factor))
}

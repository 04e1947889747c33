package doctor_test

import (
	"crypto/x509"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/cli"
	"tenure/internal/doctor"
)

// The exit code is that of the worst line.
func TestReport_Code(t *testing.T) {
	t.Parallel()
	for want, results := range [][]doctor.Result{
		{doctor.OK}, {doctor.OK, doctor.Warn, doctor.OK}, {doctor.Warn, doctor.Bad, doctor.Warn},
	} {
		n := 0
		r := doctor.Report{Print: func(doctor.Line) { n++ }}
		for _, result := range results {
			r.Add(doctor.Line{Result: result})
		}
		require.Equal(t, want, r.Code())
		require.Len(t, results, n)
	}
}

func TestFailed(t *testing.T) {
	t.Parallel()
	require.Equal(t, doctor.Line{Check: "x", Result: doctor.Bad, Found: "a: b", Do: "do c"},
		doctor.Failed("x", errors.New("a: b: do c")))
}

func TestVariables(t *testing.T) {
	t.Parallel()
	known := []string{"TENURE_DSN", "TENURE_DIR", "TENURE_TIMEOUT"}
	require.Equal(t, []doctor.Line{
		{"variables", doctor.Warn, "no command knows the variable TENURE_NOTHING, so it has no effect", "unset it"},
		{
			"variables", doctor.Warn, "no command knows the variable TENURE_TIMEOT, so it has no effect",
			"write TENURE_TIMEOUT, or unset it",
		},
		{
			"variables", doctor.Warn, "no command knows the variable tenure_dsn, so it has no effect",
			"write TENURE_DSN, or unset it",
		},
	}, doctor.Variables([]string{
		"TENURE_TIMEOT", "tenure_dsn", "TENURE_DIR", "PATH", "TENURE_NOTHING",
	}, known, cli.Closest))
	require.Equal(t, []doctor.Line{
		{"variables", doctor.OK, "the environment has 1 variable of tenure, and none that is unknown", ""},
	}, doctor.Variables([]string{"TENURE_DSN", "HOME"}, known, cli.Closest))
}

func TestFiles(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		limit  uint64
		serves bool
		want   doctor.Result
	}{
		{0, true, doctor.OK},
		{127, false, doctor.Bad},
		{128, false, doctor.OK},
		{10_255, true, doctor.Warn},
		{10_256, true, doctor.OK},
		{1024, false, doctor.OK},
		{1024, true, doctor.Warn},
		{1 << 20, true, doctor.OK},
	} {
		line := doctor.Files(test.limit, test.serves)
		require.Equal(t, test.want, line.Result)
		require.Equal(t, test.want == doctor.OK, line.Do == "")
	}
	require.Contains(t, doctor.Files(1024, true).Found, "accepts only 768 connections")
	require.Positive(t, doctor.OpenFiles())
}

// A certificate that ends within two weeks, or another one of the chain, is found.
func TestCertificate(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 2, 0, 0, 0, time.UTC)
	const day = 24 * time.Hour
	for _, test := range []struct {
		left, issuer time.Duration
		want         doctor.Result
		found        string
	}{
		{14 * day, 15 * day, doctor.OK, "until 2026-03-15 02:00 UTC (14 days left)"},
		{14*day - 1, 15 * day, doctor.Warn, "(13 days left)"},
		{15 * day, 25 * time.Hour, doctor.Warn, "until 2026-03-02 03:00 UTC (1 day left)"},
		{0, 15 * day, doctor.Bad, "(expired)"},
	} {
		chain := []*x509.Certificate{
			{NotAfter: now.Add(test.left), DNSNames: []string{"locks.example"}}, {NotAfter: now.Add(test.issuer)},
		}
		line := doctor.Certificate(chain, now)
		require.Equal(t, test.want, line.Result, line)
		require.Contains(t, line.Found, "it is for locks.example, and valid ")
		require.Contains(t, line.Found, test.found)
		require.Equal(t, test.want == doctor.OK, line.Do == "")
	}
	require.Equal(t, doctor.Bad, doctor.Certificate(nil, now).Result)
}

// The slowest percent of the requests does not count. A twentieth of the timeout is long, and a quarter too long.
func TestSpeeds_Lines(t *testing.T) {
	t.Parallel()
	times := func(usual time.Duration) []time.Duration {
		return append(slices.Repeat([]time.Duration{usual}, 99), time.Hour)
	}
	speeds := doctor.Speeds{Trips: times(10 * time.Millisecond), Commits: times(100 * time.Millisecond)}
	require.Equal(t, time.Hour, speeds.Trip())
	for timeout, want := range map[time.Duration][]doctor.Result{
		2001 * time.Millisecond: {doctor.OK, doctor.OK},
		2 * time.Second:         {doctor.OK, doctor.Warn},
		401 * time.Millisecond:  {doctor.OK, doctor.Warn},
		400 * time.Millisecond:  {doctor.OK, doctor.Bad},
		200 * time.Millisecond:  {doctor.Warn, doctor.Bad},
		40 * time.Millisecond:   {doctor.Bad, doctor.Bad},
	} {
		for i, line := range speeds.Lines(timeout) {
			require.Equal(t, want[i], line.Result, line)
		}
	}
	require.Contains(t, speeds.Lines(time.Second)[1].Do, "a --timeout of at least 2s")
}

func TestVersions(t *testing.T) {
	t.Parallel()
	require.Equal(t, doctor.OK, doctor.Versions("v1", "").Result)
	require.Equal(t, doctor.OK, doctor.Versions("v1", "v1").Result)
	require.Equal(t, doctor.Line{
		"version", doctor.Warn, "this is tenure v1, and the server is tenure v2", "update the older of the two",
	}, doctor.Versions("v1", "v2"))
}

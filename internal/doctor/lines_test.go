package doctor_test

import (
	"errors"
	"testing"

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
		{"variables", doctor.OK, "1 variables of tenure are set, and a command knows each of them", ""},
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
		{64, false, doctor.Bad},
		{1024, false, doctor.OK},
		{1024, true, doctor.Warn},
		{1 << 20, true, doctor.OK},
	} {
		line := doctor.Files(test.limit, test.serves)
		require.Equal(t, test.want, line.Result)
		require.Equal(t, test.want == doctor.OK, line.Do == "")
	}
	require.Positive(t, doctor.OpenFiles())
}

func TestVersions(t *testing.T) {
	t.Parallel()
	require.Equal(t, doctor.OK, doctor.Versions("v1", "").Result)
	require.Equal(t, doctor.OK, doctor.Versions("v1", "v1").Result)
	require.Equal(t, doctor.Line{
		"version", doctor.Warn, "this is tenure v1, and the server is tenure v2", "update the older of the two",
	}, doctor.Versions("v1", "v2"))
}

package main

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPlan_Names(t *testing.T) {
	t.Parallel()
	f := &serveFlags{listen: "0.0.0.0:2136"}
	f.http = "Metrics.Example.:8136"
	names := (&plan{advertise: "grpc://locks.example:443"}).names(t.Context(), f)
	host, err := os.Hostname()
	require.NoError(t, err)
	require.Subset(t, names, []string{"metrics.example", "locks.example", strings.ToLower(host)})
	require.NotContains(t, names, "0.0.0.0")
}

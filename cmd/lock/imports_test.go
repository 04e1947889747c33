package main

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Each start of lock initialises its packages twice, because the guard is a second process. So lock does not import
// packages that only other programs need.
func TestImports(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	require.NoError(t, err)
	imported := strings.Fields(string(out))
	require.Contains(t, string(out), "/internal/lockcmd\n")
	for _, heavy := range []string{
		"github.com/cockroachdb/",
		"github.com/cpuguy83/go-md2man", // only "tenure man" writes manual pages
		"github.com/prometheus/",
		"github.com/russross/blackfriday",
		"go.etcd.io/",
		"go.opentelemetry.io/",
		"go.yaml.in/",
		"google.golang.org/grpc/reflection",
		"google.golang.org/protobuf/reflect/protodesc",
		"testing",
	} {
		for _, path := range imported {
			require.False(t, path == heavy || strings.HasPrefix(path, heavy), path)
		}
	}
}

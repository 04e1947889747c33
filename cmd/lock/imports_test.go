package main

import (
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// dependencies returns the packages that a package imports, directly or not.
func dependencies(t *testing.T, of string) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", of).Output()
	require.NoError(t, err)

	return strings.Fields(string(out))
}

// Each start of lock initialises its packages. So lock does not import packages that only other programs need.
func TestImports(t *testing.T) {
	t.Parallel()
	imported := dependencies(t, ".")
	require.True(t, slices.ContainsFunc(imported, func(path string) bool {
		return strings.HasSuffix(path, "/internal/lockcmd") // the module may have another path
	}))
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

// The guard begins before most packages are initialised, as long as it does not import these: see package watchman.
func TestImports_Guard(t *testing.T) {
	t.Parallel()
	imported := dependencies(t, "../../internal/watchman")
	require.Contains(t, imported, "os/signal")
	require.NotContains(t, imported, "fmt")
	if runtime.GOOS == "linux" {
		require.NotContains(t, imported, "unicode")
	}
}

// Each package that names the driver of ydb-go-sdk takes a third of a second longer to compile: see dsn.Option.
func TestImports_Driver(t *testing.T) {
	t.Parallel()
	const format = `{{range .Imports}}{{if eq . "github.com/ydb-platform/ydb-go-sdk/v3"}}{{$.ImportPath}}{{end}}{{end}}`
	module, err := exec.CommandContext(t.Context(), "go", "list", "-m").Output()
	require.NoError(t, err)
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", format, ".").Output()
	require.NoError(t, err)
	var ours []string
	for path := range strings.FieldsSeq(string(out)) {
		if rest, ok := strings.CutPrefix(path, strings.TrimSpace(string(module))); ok {
			ours = append(ours, rest)
		}
	}
	require.ElementsMatch(t, []string{"", "/internal/clientauth", "/internal/dsn"}, ours)
}

// A package compiles the generic code behind each type that its own types refer to, however far away. So types that
// others use do not refer to all of gRPC or to a server: see clientconfig.Driver.
func TestImports_Generic(t *testing.T) {
	t.Parallel()
	for path, foreign := range map[string][]string{
		"../..":                  {"HashTrieMap"},
		"../../internal/cli":     {"HashTrieMap", "grpc/internal/buffer"},
		"../../internal/command": {"HashTrieMap", "grpc/internal/buffer"},
		"../../internal/lockcmd": {"HashTrieMap", "grpc/internal/buffer"},
	} {
		compiled, err := exec.CommandContext(t.Context(), "go", "list", "-export", "-f", "{{.Export}}", path).Output()
		require.NoError(t, err)
		symbols, err := exec.CommandContext(t.Context(), "go", "tool", "nm", strings.TrimSpace(string(compiled))).Output()
		require.NoError(t, err)
		for _, name := range foreign {
			require.NotContains(t, string(symbols), name, path)
		}
	}
}

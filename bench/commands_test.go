package bench

import (
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/bench/benchtest"
)

// programs is the directory of the programs that this run has built. TestMain sets dir and removes it.
var programs struct {
	dir   string
	mu    sync.Mutex // guards sizes
	sizes map[string]int64
}

// build returns the path of a program that is built from a package of the module in a directory, and its size.
func build(b *testing.B, module, pkg string) (path string, size int64) {
	b.Helper()
	programs.mu.Lock()
	defer programs.mu.Unlock()
	path = filepath.Join(programs.dir, filepath.Base(filepath.Dir(pkg))+"-"+filepath.Base(pkg))
	if size := programs.sizes[path]; size > 0 {
		return path, size
	}
	size, err := benchtest.Build(module, pkg, path)
	require.NoError(b, err)
	if programs.sizes == nil {
		programs.sizes = map[string]int64{}
	}
	programs.sizes[path] = size

	return path, size
}

func program(b *testing.B, module, pkg string) string {
	b.Helper()
	path, _ := build(b, module, pkg)

	return path
}

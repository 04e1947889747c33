package clustertest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"tenure/internal/programs"
)

// scratch is the directory for programs. It exists while Main runs.
var scratch string

// Main runs the tests of a package, and returns the exit code. Start needs it.
func Main(m *testing.M) int {
	dir, err := os.MkdirTemp("", "tenure-cluster")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)

		return 1
	}
	defer os.RemoveAll(dir)
	scratch = dir

	return m.Run()
}

// EtcdProgram returns the path of etcd. The first call builds it if need be.
var EtcdProgram = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("TENURE_ETCD_PROGRAM"); path != "" {
		return path, nil
	}
	path := filepath.Join(scratch, "etcd")
	out, err := exec.Command("go", "build", "-o", path, "go.etcd.io/etcd/server/v3").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build etcd: %w: %s", err, out)
	}

	return path, nil
})

var (
	built   = make(map[string]string) // directories of commands, by build tags
	buildMu sync.Mutex                // guards built
)

// Commands returns a directory with the commands lock and tenure, built with the tags.
func Commands(tags string) (string, error) {
	buildMu.Lock()
	defer buildMu.Unlock()
	if dir, ok := built[tags]; ok {
		return dir, nil
	}
	root, err := exec.CommandContext(context.Background(), "go", "list", "-m", "-f", "{{.Dir}}", "tenure").Output()
	if err != nil {
		return "", fmt.Errorf("find the module tenure: %w", err)
	}
	dir, err := os.MkdirTemp(scratch, "commands")
	if err != nil {
		return "", err
	}
	how := programs.How{Raced: programs.Raced(), Tags: tags, Dir: strings.TrimSpace(string(root))}
	if err := how.ForTest(dir, programs.Lock, programs.Tenure); err != nil {
		return "", err
	}
	built[tags] = dir

	return dir, nil
}

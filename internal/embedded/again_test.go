//go:build unix

package embedded

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Again runs the test that calls it once more, in a process of its own with the attributes, and passes on what comes of
// it. In that process it returns true. If the system does not allow the attributes, the test is skipped.
func Again(t *testing.T, attr *syscall.SysProcAttr) (here bool) {
	t.Helper()
	const name = "TENURE_TEST_AGAIN"
	if os.Getenv(name) == t.Name() {
		return true
	}
	// By this name another user can start it too: the directory in which a test is built is its builder's alone.
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=1m")
	cmd.Env = append(os.Environ(), name+"="+t.Name(), "TMPDIR=/tmp", noRest)
	cmd.SysProcAttr = attr
	out, err := cmd.CombinedOutput()
	switch {
	case refused(err):
		t.Skipf("the system allows no such process: %v", err)
	case err != nil:
		require.NoError(t, err, "in a process of its own: %s", out)
	case strings.Contains(string(out), "--- SKIP: "+t.Name()):
		t.Skip(string(out))
	default:
		require.Contains(t, string(out), "--- PASS: "+t.Name())
	}

	return false
}

// noRest keeps the race detector, if it is on, from a second's rest at the end of a process.
const noRest = "GORACE=atexit_sleep_ms=0"

// refused says whether the system does not let us have a process with namespaces of its own.
func refused(err error) bool {
	for _, e := range []error{syscall.EPERM, syscall.EACCES, syscall.EINVAL, syscall.ENOSYS, syscall.ENOSPC} {
		if errors.Is(err, e) {
			return true
		}
	}

	return false
}

// soon is the most that anything takes that is awaited here.
const soon = 20 * time.Second

// await waits until the condition holds.
func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, soon, time.Millisecond, what)
}

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

// Again runs the calling test a second time, in a separate process with the attributes, and returns false after the
// test has passed there. In the separate process it returns true. It fails the calling test if the test fails there,
// and skips it if the system does not allow the attributes.
func Again(t *testing.T, attr *syscall.SysProcAttr) (here bool) {
	t.Helper()
	const name = "TENURE_TEST_AGAIN"
	if os.Getenv(name) == t.Name() {
		return true
	}
	// Another user can execute this path too, which is not true of a path in the user's build directory.
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=5m")
	cmd.Env = append(os.Environ(), name+"="+t.Name(), "TMPDIR=/tmp", noRest)
	cmd.SysProcAttr = attr
	out, err := cmd.CombinedOutput()
	switch {
	case refused(err):
		t.Skipf("the system does not allow such a process: %v", err)
	case err != nil:
		require.NoError(t, err, "in a separate process: %s", out)
	case strings.Contains(string(out), "--- SKIP: "+t.Name()):
		t.Skip(string(out))
	default:
		require.Contains(t, string(out), "--- PASS: "+t.Name())
	}

	return false
}

// noRest prevents the race detector, if it is enabled, from sleeping for a second when a process exits.
const noRest = "GORACE=atexit_sleep_ms=0"

// refused reports whether err means that the system does not allow a process with its own namespaces.
func refused(err error) bool {
	for _, e := range []error{syscall.EPERM, syscall.EACCES, syscall.EINVAL, syscall.ENOSYS, syscall.ENOSPC} {
		if errors.Is(err, e) {
			return true
		}
	}

	return false
}

// soon is the time limit for everything that the tests wait for.
const soon = time.Minute

// await waits until the condition holds.
func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, soon, time.Millisecond, what)
}

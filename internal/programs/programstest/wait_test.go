//go:build unix

package programstest

import (
	"fmt"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// failing records the failure of a test.
type failing struct {
	testing.TB

	said string
}

func (f *failing) Errorf(format string, args ...any) { f.said = fmt.Sprintf(format, args...) }

func TestWait(t *testing.T) {
	t.Parallel()
	quick := exec.Command("true")
	require.NoError(t, quick.Start())
	require.NoError(t, Wait(t, quick))

	stuck := exec.Command("sleep", "1000")
	require.NoError(t, stuck.Start())
	f := &failing{TB: t}
	require.EqualError(t, wait(f, stuck, 10*time.Millisecond), "signal: aborted")
	require.Contains(t, f.said, `["sleep" "1000"], has not ended within 10ms`)
}

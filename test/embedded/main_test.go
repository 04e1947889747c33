//go:build unix

package embedded

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if code, is := Main(); is {
		os.Exit(code)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if commands != "" {
			_ = os.RemoveAll(commands)
		}
		os.Exit(code)
	}))
}

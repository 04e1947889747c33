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
	goleak.VerifyTestMain(m)
}

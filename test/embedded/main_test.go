//go:build unix

package embedded

import (
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	if code, is := Main(); is {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

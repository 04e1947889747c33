package lockcmd

import (
	"os"
	"testing"

	"tenure/internal/guard"
)

func TestMain(m *testing.M) {
	if guard.Selected() {
		os.Exit(guard.Main())
	}
	os.Exit(m.Run())
}

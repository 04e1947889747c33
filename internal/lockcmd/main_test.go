package lockcmd

import (
	"os"
	"testing"

	"tenure/internal/guard"
)

func TestMain(m *testing.M) {
	switch {
	case guard.Selected():
		os.Exit(guard.Main())
	case guard.WatcherSelected():
		os.Exit(guard.WatcherMain())
	}
	os.Exit(m.Run())
}

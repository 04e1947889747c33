package main

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"tenure/internal/cli"
	"tenure/internal/guard"
	"tenure/internal/workerscmd"
	"tenure/tenuretest"
)

func TestMain(m *testing.M) {
	if guard.Selected() {
		os.Exit(guard.Main())
	}
	testscript.Main(m, map[string]func(){"workers": func() { os.Exit(cli.Main(workerscmd.Command)) }})
}

// TestScripts runs what a person types.
func TestScripts(t *testing.T) {
	t.Parallel()
	dsn := tenuretest.NewServer(t).DSN()
	testscript.Run(t, testscript.Params{
		Dir: "testdata", RequireExplicitExec: true, RequireUniqueNames: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("SERVER", dsn)
			env.Setenv("TENURE_TIMEOUT", "1m") // so that no lease ends because the machine is busy
			env.Setenv("TENURE_CONNECT_TIMEOUT", "1m")
			env.Setenv("GORACE", "halt_on_error=1 atexit_sleep_ms=0") // otherwise each process sleeps for a second at its end

			return nil
		},
	})
}

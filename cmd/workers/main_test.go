package main

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"tenure/internal/cli"
	"tenure/internal/workerscmd"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"workers": func() { os.Exit(cli.Main(workerscmd.Command)) }})
}

// TestScripts runs what a person types.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{Dir: "testdata", RequireExplicitExec: true, RequireUniqueNames: true})
}

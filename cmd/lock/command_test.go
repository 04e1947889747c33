package main

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"tenure/internal/cli"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"lock": func() { os.Exit(cli.Main(command)) }})
}

// TestScripts runs what a person types.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{Dir: "testdata", RequireExplicitExec: true, RequireUniqueNames: true})
}

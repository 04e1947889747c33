// Command rename changes the path of the module, for example to that of a fork:
//
//	go run ./tools/rename example.com/you/tenure
//
// It runs in the module's root directory. It rewrites the imports, the go.mod files of the module and of the modules
// below it, and the import paths in documents, scripts and the linter's configuration. In a git work tree, it refuses
// to run while there are uncommitted changes, so that "git restore ." can undo its changes. Running it again with the
// same path changes nothing.
package main

import (
	"fmt"
	"io"
	"os"

	"tenure/internal/printable"
)

func main() {
	if err := run(".", os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "rename:", err)
		os.Exit(1)
	}
}

func run(dir string, args []string, out io.Writer) error {
	if len(args) != 1 {
		return fmt.Errorf("got %d arguments: pass the new module path, e.g. example.com/you/tenure", len(args))
	}
	from, changed, err := rename(dir, args[0])
	switch {
	case err != nil:
		return err
	case from == args[0]:
		fmt.Fprintf(out, "the module path is %s already\n", from)
	default:
		fmt.Fprintf(out, "moved the module from %s to %s, changing %s; next: go vet ./...\n", from, args[0],
			printable.Count(changed, "file", "files"))
	}

	return nil
}

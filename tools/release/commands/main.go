// Command commands is lock, or workers if that is its name. Packages contain it under both names.
package main

import (
	"os"

	"tenure/internal/cli"
	"tenure/internal/lockcmd"
	"tenure/internal/workerscmd"
)

func main() { os.Exit(cli.Main(program(os.Args[0]))) }

func program(argv0 string) cli.Builder {
	return cli.Choose(argv0, map[string]cli.Builder{"workers": workerscmd.Command}, lockcmd.Command)
}

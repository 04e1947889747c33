// Command lock runs a command while it holds a lock.
package main

import (
	"os"

	"tenure/internal/cli"
	"tenure/internal/lockcmd"
)

func main() { os.Exit(cli.Main(lockcmd.Command)) }

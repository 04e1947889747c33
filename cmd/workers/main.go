// Command workers runs a share of the tasks that several processes have in common.
package main

import (
	"os"

	"tenure/internal/cli"
)

func main() { os.Exit(cli.Main(command)) }

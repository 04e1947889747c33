// Command workers runs its share of a set of tasks that several processes divide among themselves.
package main

import (
	"os"

	"tenure/internal/cli"
)

func main() { os.Exit(cli.Main(command)) }

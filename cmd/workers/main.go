// Command workers runs its share of a set of tasks that several processes divide among themselves.
package main

import (
	"os"

	"tenure/internal/cli"
	"tenure/internal/workerscmd"
)

func main() { os.Exit(cli.Main(workerscmd.Command)) }

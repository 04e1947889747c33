//go:build unix

// Command job is the COMMAND of the tasks in the tests of the command workers.
package main

import (
	"os"

	"tenure/test/workers"
)

func main() {
	os.Exit(workers.Main(os.Args[1])) //nolint:forbidigo // this is a main function
}

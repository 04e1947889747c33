// Command lock holds a lock of a coordination node, and does its work only while it does.
package main

import (
	"os"

	"tenure/internal/cli"
)

func main() { os.Exit(cli.Main(build)) }

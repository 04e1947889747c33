// Command none is a program without a log, for BenchmarkSize.
package main

import (
	"fmt"
	"os"
)

func main() { fmt.Fprintln(os.Stdout, "none") }

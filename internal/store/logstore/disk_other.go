//go:build !linux

package logstore

import (
	"math"
	"os"
)

// osFile is a file of the operating system.
type osFile struct{ *os.File }

// freeSpace is not known.
func freeSpace(string) (int64, error) { return math.MaxInt64, nil }

//go:build !linux

package pebblestore

import (
	"os"

	"github.com/cockroachdb/pebble/v2/vfs"
)

func preallocate(f vfs.File, offset, length int64) error { return f.Preallocate(offset, length) }

// syncData makes the data of the file durable.
func syncData(f *os.File) error { return f.Sync() }

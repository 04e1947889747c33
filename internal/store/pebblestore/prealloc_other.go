//go:build !linux

package pebblestore

import "github.com/cockroachdb/pebble/v2/vfs"

func preallocate(f vfs.File, offset, length int64) error { return f.Preallocate(offset, length) }

//go:build !linux

package logstore

import "os"

// osFile is a file of the operating system.
type osFile struct{ *os.File }

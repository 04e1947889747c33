//go:build !unix

package workers

import "os"

// flock does nothing on systems without inheritable locks.
func flock(*os.File) (locked bool, err error) { return true, nil }

//go:build !unix

package embedded

import (
	"errors"
	"os"
)

func tryLock(*os.File) (bool, error) { return false, errors.ErrUnsupported }

func lockError(path string, err error) error { return dirError(path, err) }

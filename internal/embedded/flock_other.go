//go:build !unix

package embedded

import (
	"errors"
	"os"
)

func tryLock(*os.File) (bool, error) { return false, errors.ErrUnsupported }

func (d *directory) lockError(err error) error { return d.fault(err) }

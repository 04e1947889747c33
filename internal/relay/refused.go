package relay

import (
	"errors"
	"syscall"
)

// Refused reports whether an error of a dial means that nobody listens at the address, on a machine that runs.
func Refused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }

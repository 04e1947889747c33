package dsn

import (
	"errors"
	"io"
	"net"
	"syscall"

	"tenure/internal/ydberr"
)

// Transient reports whether an error of [Address.Open] may pass without a change of the settings: the server is down or
// restarts, or the network does not reach it now. A host name that does not exist is not transient.
func Transient(err error) bool {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return !dns.IsNotFound
	}
	if _, late := errors.AsType[connectLimit](err); late {
		return true
	}
	for _, errno := range []syscall.Errno{
		syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EPIPE, syscall.EHOSTUNREACH, syscall.ENETUNREACH,
		syscall.ENETDOWN, syscall.ETIMEDOUT,
	} {
		if errors.Is(err, errno) {
			return true
		}
	}

	return errors.Is(err, io.EOF) || ydberr.Unreachable(err) || ydberr.Silent(err)
}

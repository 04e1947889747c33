package main

import (
	"fmt"
	"net"
	"slices"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/spf13/cobra"

	"tenure/internal/cli"
)

// passedListeners are sockets that the service manager has opened. It keeps them open while the server restarts, so
// that no connection is refused. Each replaces the address of the flag with its name.
type passedListeners struct {
	listen, socket, http []net.Listener
}

// httpName is the name of a socket for HTTP (FileDescriptorName= in a socket unit).
const httpName = "http"

// takePassed takes the sockets that the service manager has passed, and sets the addresses of the flags.
func (f *serveFlags) takePassed(cmd *cobra.Command) (errs []error) {
	for _, file := range activation.Files(true) {
		lis, err := net.FileListener(file)
		if err != nil {
			errs = append(errs, fmt.Errorf("the socket %q of the service manager does not listen: use ListenStream= and "+
				"Accept=no in its unit", file.Name()))

			continue
		}
		_ = file.Close() // lis has a duplicate
		tcp := lis.Addr().Network() == "tcp"
		switch {
		case tcp && file.Name() == httpName:
			f.passed.http = append(f.passed.http, lis)
		case tcp:
			f.passed.listen = append(f.passed.listen, lis)
		default:
			f.passed.socket = append(f.passed.socket, lis)
		}
	}
	if len(f.passed.http) > 1 {
		errs = append(errs, fmt.Errorf("the service manager passes %d sockets named %s: pass one",
			len(f.passed.http), httpName))
	}
	for _, flag := range []struct {
		name   string
		value  *string
		passed []net.Listener
	}{
		{"listen", &f.listen, f.passed.listen}, {"http", &f.http, f.passed.http}, {"socket", &f.socket, f.passed.socket},
	} {
		if len(flag.passed) == 0 {
			continue
		}
		address := flag.passed[0].Addr().String()
		if cli.Given(cmd, flag.name) && *flag.value != address {
			errs = append(errs, fmt.Errorf("%s=%q, but the service manager listens on %s: leave %s out, or change "+
				"ListenStream= in the socket unit", cli.Setting(cmd, flag.name), *flag.value, address, flag.name))
		}
		*flag.value = address
	}

	return errs
}

// checkPassed returns what is wrong with the addresses that the service manager has passed.
func (f *serveFlags) checkPassed() (errs []error) {
	for _, lis := range slices.Concat(f.passed.listen, f.passed.http) {
		if err := f.checkAddress("ListenStream", lis.Addr().String()); err != nil {
			errs = append(errs, err)
		}
	}

	return errs
}

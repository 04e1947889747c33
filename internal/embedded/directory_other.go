//go:build !unix

package embedded

import "errors"

// checkOurs refuses every directory, because this system cannot tell who may use it, or whether a process is alive.
func (*directory) checkOurs() error {
	return errors.New(`this system has no embedded server: run "tenure serve", and connect to the address that it prints`)
}

func (*directory) checkParent() error { return nil }

func (*directory) checkPath() error { return nil }

func foreignParent(string) (uid int, ok bool) { return 0, false }

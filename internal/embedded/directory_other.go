//go:build !unix

package embedded

import "errors"

// checkOurs refuses every directory: who may use it, and whether a process lives, can't be told here.
func checkOurs(string) error {
	return errors.New("there is no embedded server on this system: run \"tenure serve\", and name it with -ydb")
}

// Package bubbletest runs tests in virtual time.
package bubbletest

import (
	"testing"
	"testing/synctest"
)

// Test runs f in a bubble of package synctest, as synctest.Test does. The tests of this module call it instead of
// synctest.Test, because the race detector of some versions of Go cannot watch bubbles on several processors: see
// oneProcessor. Tests may run in parallel.
func Test(t *testing.T, f func(*testing.T)) {
	t.Helper()
	defer oneProcessor()()
	synctest.Test(t, f)
}

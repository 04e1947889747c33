package term

import (
	"fmt"

	"tenure/internal/limit"
)

// A Named is an error that says what it concerns, such as a lock, a task or a pool.
type Named struct {
	What string // such as "lock"
	Name string
	Err  error
}

func (n *Named) Error() string { return fmt.Sprintf("%s %s: %v", n.What, limit.Quote(n.Name), n.Err) }

// Unwrap returns Err.
func (n *Named) Unwrap() error { return n.Err }

// Bare returns err without the name if err is a Named. It is for callers whose user knows the name.
func Bare(err error) error {
	if n, ok := err.(*Named); ok { //nolint:errorlint // an error that wraps a Named has a text of its own
		return n.Err
	}

	return err
}

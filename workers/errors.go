package workers

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"tenure/internal/term"
)

// The cause ([context.Cause]) of the end of a task's context is or wraps one of these errors, or it is the cause of the
// end of Run's context, or an error that the result of Run wraps.
var (
	// ErrLost means that the task was lost: the worker's session has ended, or could not be kept alive. The text of the
	// cause names the task.
	ErrLost = term.ErrLost

	// ErrMoved means that another worker has more room for the task.
	ErrMoved = errors.New("the task moves to another worker")

	// ErrRemoved means that the task is no longer in the list.
	ErrRemoved = errors.New("the task was removed from the list")
)

// A StuckError is the result of [Run] if functions have not returned within the time that [WithDrain] allows.
type StuckError struct {
	Tasks []string      // their tasks, by name
	After time.Duration // the time that they had
}

func (e *StuckError) Error() string {
	return fmt.Sprintf("%s did not stop within %v", quoted(e.Tasks), e.After)
}

// A FailedError is the result of [Run] with [WithOnce] if some tasks have failed for good, and all others are done.
type FailedError struct {
	Tasks []string // by name
}

func (e *FailedError) Error() string {
	return fmt.Sprintf("%d failed for good: %s", len(e.Tasks), quoted(e.Tasks))
}

// shown is how many names a message lists.
const shown = 10

// quoted returns the names for a message. It cuts long lists.
func quoted(names []string) string {
	var parts []string
	for _, name := range names[:min(shown, len(names))] {
		parts = append(parts, fmt.Sprintf("%q", name))
	}
	text := "task "
	if len(names) > 1 {
		text = "tasks "
	}
	text += strings.Join(parts, ", ")
	if more := len(names) - shown; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}

	return text
}

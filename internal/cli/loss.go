package cli

import (
	"errors"

	"tenure"
)

// LossCause returns the value of the label "cause" of metrics that count lost leases.
func LossCause(cause error) string {
	switch {
	case errors.Is(cause, tenure.ErrSemaphoreDeleted):
		return "deleted"
	case errors.Is(cause, tenure.ErrSessionExpired):
		return "expired"
	}

	return "no_answer"
}

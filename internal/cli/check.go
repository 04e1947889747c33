package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// NotNegative returns a check of a flag for a duration of 0 or more.
func NotNegative(d *time.Duration) func() error {
	return func() error {
		if *d < 0 {
			return errors.New("is out of range: must be 0s or more")
		}

		return nil
	}
}

// Positive returns a check of a flag for a duration above 0.
func Positive(d *time.Duration) func() error {
	return func() error {
		if *d <= 0 {
			return errors.New("is out of range: must be above 0s")
		}

		return nil
	}
}

// AtLeastOne returns a check of a flag for a number of 1 or more.
func AtLeastOne(n *uint64) func() error {
	return func() error {
		if *n == 0 {
			return errors.New("is out of range: must be 1 or more")
		}

		return nil
	}
}

// OneOf returns a check of a flag for one of these values.
func OneOf(value *string, values ...string) func() error {
	return func() error {
		if slices.Contains(values, *value) {
			return nil
		}

		return fmt.Errorf("must be %s", strings.Join(values, " or "))
	}
}

// Formats are the values of --output and --log-format.
var Formats = []string{"text", "json"}

// Format returns a check of a flag for one of the [Formats].
func Format(value *string) func() error {
	return func() error {
		if slices.Contains(Formats, *value) {
			return nil
		}

		return fmt.Errorf("is not a format: write %s", strings.Join(Formats, " or "))
	}
}

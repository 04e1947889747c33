package cli

import (
	"fmt"
	"strings"
	"time"
)

// Quoted lists names for a message: "a", "b" and "c".
func Quoted(names []string) string {
	list := make([]string, len(names))
	for i, name := range names {
		list[i] = fmt.Sprintf("%q", name)
	}
	if len(list) < 2 {
		return strings.Join(list, "")
	}

	return strings.Join(list[:len(list)-1], ", ") + " and " + list[len(list)-1]
}

const day = 24 * time.Hour

// Elapsed returns how long something has lasted, as people say it: with one unit, or two if the first is small. It
// leaves out what is below the smallest unit that it shows, so it never states more than d.
func Elapsed(d time.Duration) string {
	switch d = max(0, d).Truncate(time.Second); {
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < 10*time.Minute && d%time.Minute != 0:
		return fmt.Sprintf("%dm%ds", d/time.Minute, d%time.Minute/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < day:
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	}

	return fmt.Sprintf("%dd%dh", d/day, d%day/time.Hour)
}

// Remaining returns how long something still takes, in the form of Elapsed. It never states less than d.
func Remaining(d time.Duration) string {
	unit := time.Hour
	switch {
	case d <= 10*time.Minute:
		unit = time.Second
	case d <= day:
		unit = time.Minute
	}

	return Elapsed(d + (unit-d%unit)%unit)
}

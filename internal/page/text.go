package page

import (
	"fmt"
	"math"
	"strings"
	"time"

	"tenure/internal/identity"
	"tenure/internal/printable"
	"tenure/server"
)

// problemBytes is how much of an error is shown.
const problemBytes = 1000

// shown returns text of users: its beginning, with visible control characters.
func shown(text string) string { return printable.Text(printable.Short(text)) }

// nameOf is shown for names, which must not be invisible.
func nameOf(name string) string {
	if strings.TrimSpace(name) == "" {
		return fmt.Sprintf("%q", shown(name))
	}

	return shown(name)
}

// problem returns an error as text. It is long enough for what an operator needs.
func problem(err error) string { return printable.Text(printable.Clip(err.Error(), problemBytes)) }

// who returns how a holder describes itself. What the commands add to that, such as since when, is shown elsewhere.
func who(h *server.HolderStatus) string {
	switch {
	case h.Data != "":
		card := identity.ReadCard([]byte(h.Data))
		card.Who = ""

		return shown(strings.TrimSuffix(h.Data, card.String()))
	case h.Description != "":
		return shown(h.Description)
	}

	return fmt.Sprintf("session %d", h.Session)
}

// short returns a duration with one unit, or two if the first is small. The script does the same.
func short(d time.Duration) string {
	const day = 24 * time.Hour
	two := func(a, b time.Duration, units string) string {
		if d%a/b == 0 {
			return fmt.Sprintf("%d%c", d/a, units[0])
		}

		return fmt.Sprintf("%d%c\u00a0%d%c", d/a, units[0], d%a/b, units[1])
	}
	switch d = max(0, d).Truncate(time.Second); {
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return two(time.Minute, time.Second, "ms")
	case d < day:
		return two(time.Hour, time.Minute, "hm")
	}

	return two(day, time.Hour, "dh")
}

// seconds returns a duration with two digits, for example "4.1 ms".
func seconds(d time.Duration) string {
	unit, v := "ms", float64(d)/float64(time.Millisecond)
	switch {
	case d == 0:
		return "0\u00a0ms"
	case v >= 1000:
		unit, v = "s", v/1000
	case v < 1:
		unit, v = "µs", v*1000
	}
	if v < 10 {
		return fmt.Sprintf("%.1f\u00a0%s", v, unit)
	}

	return fmt.Sprintf("%.0f\u00a0%s", twoDigits(v), unit)
}

// twoDigits rounds v to two digits, so that a number that is only estimated does not change all the time.
func twoDigits(v float64) float64 {
	scale := math.Pow(10, math.Floor(math.Log10(v))-1)

	return math.Round(v/scale) * scale
}

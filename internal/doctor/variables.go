package doctor

import (
	"fmt"
	"slices"
	"strings"

	"tenure/internal/printable"
)

// Variables checks the names of the variables in the environment. Those that begin with TENURE_ and that no command
// knows have no effect: they are most likely mistyped. Closest returns the name that somebody most likely meant, or "".
func Variables(set, known []string, closest func(name string, names []string) string) []Line {
	const check, prefix = "variables", "TENURE_"
	var lines []Line
	n := 0
	for _, name := range slices.Sorted(slices.Values(set)) {
		switch {
		case !strings.HasPrefix(strings.ToUpper(name), prefix):
		case slices.Contains(known, name):
			n++
		default:
			do := "unset it"
			if meant := closest(strings.ToUpper(name), known); meant != "" {
				do = fmt.Sprintf("write %s, or unset it", meant)
			}
			lines = append(lines, Line{
				Check: check, Result: Warn, Do: do,
				Found: fmt.Sprintf("no command knows the variable %s, so it has no effect", printable.Text(name)),
			})
		}
	}
	if len(lines) == 0 {
		lines = append(lines, ok(check, "the environment has %s of tenure, and none that is unknown",
			printable.Count(n, "variable", "variables")))
	}

	return lines
}

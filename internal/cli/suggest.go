package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// suggestFlag returns advice for a flag that cmd does not have: the one that the user most likely meant, or the help.
func suggestFlag(cmd *cobra.Command, typed string) string {
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, f.Name)
		}
		if s := settingOf(f); s != nil {
			names = append(names, s.row.Aliases...)
		}
	})
	if name := Closest(typed, names); name != "" {
		return fmt.Sprintf("did you mean --%s?", name)
	}

	return see(cmd)
}

// suggestCommand returns advice for a subcommand that cmd does not have.
func suggestCommand(cmd *cobra.Command, typed string) string {
	var names []string
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	if name := Closest(typed, names); name != "" {
		return fmt.Sprintf("did you mean %q?", name)
	}

	return see(cmd)
}

// Closest returns the name that the text most likely stands for: it begins with the text, or differs by few typing
// errors. It returns "" if there is none.
func Closest(text string, names []string) string {
	const shortest = 3 // of a beginning that says enough
	best, least := "", len(text)/3+1
	if len(text) < shortest {
		least = 1
	}
	for _, name := range names {
		n := typos(text, name)
		if len(text) >= shortest && strings.HasPrefix(name, text) {
			n = 1
		}
		if n <= least && (best == "" || n < typos(text, best)) {
			best = name
		}
	}

	return best
}

// typos returns the number of typing errors that make b of a: letters that are missing, added or replaced, and
// neighbours that are swapped.
func typos(a, b string) int {
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			replaced := last[j-1]
			if a[i-1] != b[j-1] {
				replaced++
			}
			row[j] = min(replaced, last[j]+1, row[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}

	return last[len(b)]
}

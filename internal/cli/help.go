package cli

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// help returns the help of cmd: examples, what it does, usage, subcommands and the table of flags.
func help(cmd *cobra.Command) string {
	var b strings.Builder
	about := cmd.Long
	if about == "" {
		about = cmd.Short
	}
	for _, part := range []string{indent(cmd.Example), strings.TrimSpace(about), usage(cmd), commands(cmd), table(cmd)} {
		if part == "" {
			continue
		}
		if b.Len() > 0 {
			b.WriteString("\n")
		}
		b.WriteString(part + "\n")
	}
	if hasSettings(cmd) && cmd.Flags().Lookup("print-config") != nil {
		b.WriteString("\n" + configHelp)
	}

	return b.String()
}

// indent puts two blanks before every line of the text.
func indent(text string) string {
	var lines []string
	for line := range strings.Lines(strings.Trim(text, "\n")) {
		lines = append(lines, "  "+strings.TrimSpace(line))
	}

	return strings.Join(lines, "\n")
}

func usage(cmd *cobra.Command) string {
	if cmd.HasAvailableSubCommands() {
		return "Usage: " + cmd.CommandPath() + " COMMAND [flags]"
	}

	return "Usage: " + cmd.UseLine()
}

func commands(cmd *cobra.Command) string {
	return aligned("Commands:", func(w *tabwriter.Writer) {
		for _, sub := range cmd.Commands() {
			if sub.IsAvailableCommand() {
				fmt.Fprintf(w, "  %s\t%s\n", sub.Name(), sub.Short)
			}
		}
	})
}

// helpWidth is the longest line of a table of flags.
const helpWidth = 100

const annotationGroups = "tenure_groups"

// Groups declares the titles of the groups of flags in the help of cmd, in their order. Flags that name none of them
// belong to the last group. The help of a command without groups has one table, with a column for the variables. With
// groups, a sentence below the tables explains the variables, so that each flag fits on one line.
func Groups(cmd *cobra.Command, titles ...string) {
	annotate(cmd, annotationGroups, strings.Join(titles, "\n"))
}

// table returns the flags in their order, by group: spelling, meaning, default, variable.
func table(cmd *cobra.Command) string {
	titles := strings.Split(cmd.Annotations[annotationGroups], "\n")
	groups := make([][]*pflag.Flag, len(titles))
	column, variables := 0, false // the width of the spellings
	visibleFlags(cmd, func(f *pflag.Flag) {
		variables = variables || settingOf(f) != nil
		group := groupOf(f, titles)
		groups[group] = append(groups[group], f)
		column = max(column, len(spelling(f)))
	})
	var parts []string
	for i, flags := range groups {
		if len(flags) == 0 {
			continue
		}
		title := titles[i]
		if title == "" {
			title = "Flags"
		}
		if len(titles) == 1 && variables {
			title += ", each with its variable"
		}
		parts = append(parts, title+":\n"+strings.Join(rows(flags, column, len(titles) == 1), "\n"))
	}
	if len(titles) > 1 && variables {
		parts = append(parts, variablesHelp(cmd))
	}

	return strings.Join(parts, "\n\n")
}

// groupOf returns the index of the title of the flag's group.
func groupOf(f *pflag.Flag, titles []string) int {
	if s := settingOf(f); s != nil {
		if i := slices.Index(titles, s.row.Group); i >= 0 {
			return i
		}
	}

	return len(titles) - 1
}

// variablesHelp explains the variables of the flags, and names those that do not follow the rule.
func variablesHelp(cmd *cobra.Command) string {
	text := "Every flag has a variable: TENURE_ and the name of the flag, as in TENURE_NO_CREATE."
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if s := settingOf(f); s != nil && s.row.Env != variable(f.Name) {
			text += fmt.Sprintf(" That of --%s is %s.", f.Name, s.row.Env)
		}
	})

	return strings.Join(wrap(text, helpWidth), "\n")
}

// rows returns the lines for the flags. If variables is set, the variable stands at the right edge, below the meaning
// if it has no room.
func rows(flags []*pflag.Flag, column int, variables bool) []string {
	const indent, gap = 2, 3
	width := helpWidth - indent - column - gap
	var lines []string
	for _, f := range flags {
		variable := ""
		if s := settingOf(f); s != nil && variables {
			variable = s.row.Env
		}
		texts := wrap(meaning(f), width)
		switch end := len(texts) - 1; {
		case variable == "":
		case width-len(texts[end]) > len(variable):
			texts[end] += fmt.Sprintf("%*s", width-len(texts[end]), variable)
		default:
			texts = append(texts, fmt.Sprintf("%*s", width, variable))
		}
		first := spelling(f)
		for _, text := range texts {
			lines = append(lines, fmt.Sprintf("%*s%-*s%*s%s", indent, "", column, first, gap, "", text))
			first = ""
		}
	}

	return lines
}

// wrap breaks text at blanks into lines of at most width characters; a longer word has a line of its own.
func wrap(text string, width int) []string {
	lines := []string{""}
	for word := range strings.FieldsSeq(text) {
		last := &lines[len(lines)-1]
		switch {
		case *last == "":
			*last = word
		case len(*last)+1+len(word) <= width:
			*last += " " + word
		default:
			lines = append(lines, word)
		}
	}

	return lines
}

func spelling(f *pflag.Flag) string {
	s := "--" + f.Name
	if f.Shorthand != "" {
		s = "-" + f.Shorthand + ", " + s
	}
	if set := settingOf(f); set != nil {
		for _, alias := range set.row.Aliases {
			s += ", --" + alias
		}
		if set.row.Arg != "" {
			s += " " + set.row.Arg
		}
	}

	return s
}

func meaning(f *pflag.Flag) string {
	if f.DefValue == "" || f.DefValue == "false" || strings.Contains(f.Usage, "(default") {
		return f.Usage
	}

	return f.Usage + " (default " + f.DefValue + ")"
}

// aligned returns rows in aligned columns, below a title unless that is empty. It returns "" if there is no row.
func aligned(title string, rows func(*tabwriter.Writer)) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 3, ' ', tabwriter.StripEscape)
	rows(w)
	_ = w.Flush() // a strings.Builder takes everything
	if b.Len() == 0 {
		return ""
	}
	var lines []string
	for line := range strings.Lines(b.String()) {
		lines = append(lines, strings.TrimRight(line, " \n"))
	}

	if title != "" {
		title += "\n"
	}

	return title + strings.Join(lines, "\n")
}

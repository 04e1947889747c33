package cli

import (
	"fmt"
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

// table returns the flags in their order: spelling, meaning, default, variable.
func table(cmd *cobra.Command) string {
	cmd.Flags().SortFlags = false
	title := "Flags:"
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if settingOf(f) != nil {
			title = "Flags, each with its variable:"
		}
	})

	return aligned(title, func(w *tabwriter.Writer) {
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if !f.Hidden {
				variable := ""
				if s := settingOf(f); s != nil {
					variable = s.row.Env
				}
				fmt.Fprintf(w, "  %s\t%s\t%s\n", spelling(f), meaning(f), variable)
			}
		})
	})
}

func spelling(f *pflag.Flag) string {
	s := "--" + f.Name
	if f.Shorthand != "" {
		s = "-" + f.Shorthand + ", " + s
	}
	if set := settingOf(f); set != nil && set.row.Arg != "" {
		s += " " + set.row.Arg
	}

	return s
}

func meaning(f *pflag.Flag) string {
	if f.DefValue == "" || f.DefValue == "false" {
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

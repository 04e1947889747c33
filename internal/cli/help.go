package cli

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// help prints all about cmd: examples first, then what it does, its subcommands and the table of its flags.
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

// indent sets every line of text in by two blanks.
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

// table prints the flags in their order: spelling, meaning, default, variable.
func table(cmd *cobra.Command) string {
	cmd.Flags().SortFlags = false

	return aligned("Flags, with one dash or two:", func(w *tabwriter.Writer) {
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if !f.Hidden {
				fmt.Fprintf(w, "  %s\t%s\t%s\n", spelling(f), meaning(f), annotation(f, annotationEnv))
			}
		})
	})
}

func spelling(f *pflag.Flag) string {
	s := "--" + f.Name
	if f.Shorthand != "" {
		s = "-" + f.Shorthand + ", " + s
	}
	if arg := annotation(f, annotationArg); arg != "" {
		s += " " + arg
	}

	return s
}

func meaning(f *pflag.Flag) string {
	if f.DefValue == "" || f.DefValue == "false" {
		return f.Usage
	}

	return f.Usage + " (default " + f.DefValue + ")"
}

// aligned prints rows of columns under a title; nothing if there is no row.
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

	return title + "\n" + strings.Join(lines, "\n")
}

package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// A Render function converts a manual page from the Markdown of md2man. It is md2man.Render, which only the program
// that writes manual pages has to link.
type Render func(page []byte) []byte

// ManCommand returns the command that writes the manual pages of root, of its subcommands, and of other programs.
func ManCommand(env *Env, render Render, root *cobra.Command, others ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "man DIR",
		Short: "write the manual pages to a directory",
		Example: root.Name() + " man ~/.local/share/man/man1\n" +
			root.Name() + " man /usr/local/share/man/man1",
		Long: root.Name() + ` man writes a manual page for each command to DIR, which it creates if necessary, and prints the
names of the files. The pages say what --help says, and more.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 || args[0] == "" {
				return fmt.Errorf("name one directory: write e.g. %s man ~/.local/share/man/man1", root.Name())
			}

			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return err
			}
			if err := writePages(env, render, args[0], root); err != nil {
				return err
			}
			for _, program := range others {
				prepare(program, env)
				if err := writePages(env, render, args[0], program); err != nil {
					return err
				}
			}

			return nil
		},
	}
	withoutSettings(cmd)

	return cmd
}

const annotationManual = "tenure_manual"

// Manual adds sections to the manual page of cmd that its help has no room for. They have the form of a long
// description.
func Manual(cmd *cobra.Command, text string) { annotate(cmd, annotationManual, text) }

// writePages writes the pages of cmd and of its subcommands.
func writePages(env *Env, render Render, dir string, cmd *cobra.Command) error {
	path := filepath.Join(dir, pageName(cmd)+".1")
	if err := os.WriteFile(path, render([]byte(manPage(cmd))), 0o644); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(env.Data, path); err != nil {
		return err
	}
	for _, sub := range cmd.Commands() {
		if !sub.IsAvailableCommand() || sub.Name() == "help" {
			continue
		}
		if err := writePages(env, render, dir, sub); err != nil {
			return err
		}
	}

	return nil
}

func pageName(cmd *cobra.Command) string { return strings.ReplaceAll(cmd.CommandPath(), " ", "-") }

// manPage returns the page of cmd in the Markdown of md2man.
func manPage(cmd *cobra.Command) string {
	var b strings.Builder
	short := cmd.Short
	if short == "" {
		short, _, _ = strings.Cut(strings.Join(strings.Fields(cmd.Long), " "), ". ")
		short = strings.TrimPrefix(short, cmd.Name()+" ")
	}
	fmt.Fprintf(&b, "%% %q \"1\" \"\" %q \"User Commands\"\n", strings.ToUpper(pageName(cmd)), "tenure "+Version())
	fmt.Fprintf(&b, "# NAME\n%s - %s\n\n", pageName(cmd), escaped(strings.TrimSuffix(short, ".")))
	fmt.Fprintf(&b, "# SYNOPSIS\n%s\n\n", escaped(strings.TrimPrefix(usage(cmd), "Usage: ")))
	fmt.Fprintf(&b, "# DESCRIPTION\n%s\n", description(cmd.Long))
	if manual := cmd.Annotations[annotationManual]; manual != "" {
		b.WriteString(description(manual) + "\n")
	}
	if list := manCommands(cmd); list != "" {
		fmt.Fprintf(&b, "# COMMANDS\n%s\n", list)
	}
	b.WriteString(manFlags(cmd))
	if cmd.Example != "" {
		b.WriteString("# EXAMPLES\n\n")
		for line := range strings.Lines(indent(cmd.Example)) {
			b.WriteString("  " + line)
		}
		b.WriteString("\n\n")
	}
	if hasSettings(cmd) && cmd.Flags().Lookup("print-config") != nil {
		fmt.Fprintf(&b, "# FILES\n%s\n", escaped(configHelp))
	}
	var also []string
	if cmd.HasParent() {
		also = append(also, pageName(cmd.Parent())+"(1)")
	}
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() && sub.Name() != "help" {
			also = append(also, pageName(sub)+"(1)")
		}
	}
	if len(also) > 0 {
		fmt.Fprintf(&b, "# SEE ALSO\n%s\n", strings.Join(also, ", "))
	}

	return b.String()
}

// section matches the title of a section in a long description: "Exit code:".
var section = regexp.MustCompile(`^[A-Z][^:]*:$`)

// description returns a long description with the titles of its sections as headings. Indented lines below a title are
// paragraphs, and lines that are indented further are examples.
func description(long string) string {
	var b strings.Builder
	within, listing := false, false // a section, a list
	for line := range strings.Lines(strings.TrimSpace(long)) {
		line = strings.TrimRight(line, " \n")
		text := strings.TrimLeft(line, " ")
		depth := len(line) - len(text)
		item := within && depth > 2
		if item != listing {
			listing = item
			b.WriteString("\n") // Markdown wants it around a list
		}
		switch {
		case section.MatchString(line):
			within = true
			fmt.Fprintf(&b, "# %s\n", strings.ToUpper(strings.TrimSuffix(line, ":")))
		case text == "":
			b.WriteString("\n")
		case item:
			fmt.Fprintf(&b, "* %s\n", escaped(text))
		default:
			b.WriteString(escaped(text) + "\n")
		}
	}

	return b.String()
}

func manCommands(cmd *cobra.Command) string {
	var b strings.Builder
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() && sub.Name() != "help" {
			fmt.Fprintf(&b, "**%s**\n: %s\n\n", sub.Name(), escaped(sub.Short))
		}
	}

	return b.String()
}

// manFlags returns the flags of cmd by group, each with its variable.
func manFlags(cmd *cobra.Command) string {
	titles := strings.Split(cmd.Annotations[annotationGroups], "\n")
	groups := make([]strings.Builder, len(titles))
	visibleFlags(cmd, func(f *pflag.Flag) {
		text := escaped(meaning(f))
		if s := settingOf(f); s != nil {
			text += ". Variable " + s.row.Env
		}
		fmt.Fprintf(&groups[groupOf(f, titles)], "**%s**\n: %s.\n\n", escaped(spelling(f)), text)
	})
	var b strings.Builder
	b.WriteString("# OPTIONS\n")
	for i := range groups {
		if groups[i].Len() == 0 {
			continue
		}
		if titles[i] != "" {
			fmt.Fprintf(&b, "### %s\n", titles[i])
		}
		b.WriteString(groups[i].String())
	}

	return b.String()
}

// escaped returns text that Markdown leaves as it is.
func escaped(text string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `_`, `\_`, "`", "\\`", `<`, `\<`, `[`, `\[`).Replace(text)
}

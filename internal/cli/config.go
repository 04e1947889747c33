package cli

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"tenure/internal/printable"
)

// generalFlags adds the flags that all commands have. printConfig is set by its flag.
func generalFlags(cmd *cobra.Command, env *Env) (printConfig *bool) {
	printConfig = new(bool)
	AddFlags(cmd,
		Flag{Name: "verbose", Short: "v", Usage: "report more on standard error", Value: &env.Verbose},
		Flag{Name: "print-config", Usage: "print every setting and where it comes from, and exit", Value: printConfig},
	)

	return printConfig
}

// config prints a table of all settings of cmd: the flag, its value, and where that comes from.
func config(w io.Writer, cmd *cobra.Command) error {
	var failed error
	table := aligned("", func(w *tabwriter.Writer) {
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			s := settingOf(f)
			if s == nil || f.Name == "print-config" {
				return
			}
			value, source, err := s.effective(f)
			if err != nil && failed == nil {
				failed = err
			}
			values := []string{value}
			if list, ok := s.row.Value.(*[]string); ok && len(*list) > 0 {
				values = *list
			}
			for _, value := range values {
				fmt.Fprintf(w, "--%s\t%s\t%s\n", f.Name, printable.Text(redacted(value)), source)
			}
		})
	})
	if failed != nil {
		return failed
	}
	_, err := io.WriteString(w, table+"\n")

	return err
}

// effective returns the value that the command uses and where it comes from.
func (s *setting) effective(f *pflag.Flag) (value, source string, err error) {
	switch {
	case s.variable != "":
		return s.String(), s.variable, nil
	case s.entry != nil:
		return s.String(), s.entry.file + ": " + s.entry.path(), nil
	case f.Changed:
		return s.String(), "command line", nil
	case s.row.Default != nil:
		return s.row.Default()
	}

	return s.String(), "default", nil
}

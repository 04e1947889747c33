package cli

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// A Flag is one row of a command's table of flags. On the command line it may be written with one dash or two; else
// its variable counts, if that is set and not empty; else the default.
type Flag struct {
	Name  string // long name
	Short string // letter, optional
	Arg   string // what stands for the value in the help, e.g. DSN; empty for a switch
	Env   string // variable; empty: TENURE_ and the name in capitals
	Usage string // a few words, lower case
	Value any    // *string, *bool, *int or *time.Duration; what it points to is the default
}

const (
	annotationArg = "tenure_arg"
	annotationEnv = "tenure_env"
)

// AddFlags adds rows to the table of flags of cmd; they are parsed into the rows' values before cmd runs.
func AddFlags(cmd *cobra.Command, rows ...Flag) {
	set := cmd.Flags()
	set.SortFlags = false // the table's order is the help's
	for _, row := range rows {
		switch p := row.Value.(type) {
		case *string:
			set.StringVarP(p, row.Name, row.Short, *p, row.Usage)
		case *bool:
			set.BoolVarP(p, row.Name, row.Short, *p, row.Usage)
		case *int:
			set.IntVarP(p, row.Name, row.Short, *p, row.Usage)
		case *time.Duration:
			set.DurationVarP(p, row.Name, row.Short, *p, row.Usage)
		default:
			panic(fmt.Sprintf("cli: flag %q: no support for %T", row.Name, row.Value))
		}
		if row.Env == "" {
			row.Env = "TENURE_" + strings.ToUpper(strings.ReplaceAll(row.Name, "-", "_"))
		}
		set.Lookup(row.Name).Annotations = map[string][]string{annotationArg: {row.Arg}, annotationEnv: {row.Env}}
	}
}

// annotation returns what AddFlags noted about f, or "".
func annotation(f *pflag.Flag, key string) string {
	if values := f.Annotations[key]; len(values) > 0 {
		return values[0]
	}

	return ""
}

// setFromEnv gives the flags that the command line did not set their variables' values.
func setFromEnv(cmd *cobra.Command, lookup func(string) (string, bool)) error {
	var errs []error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		name := annotation(f, annotationEnv)
		if name == "" || f.Changed {
			return
		}
		if text, ok := lookup(name); ok && text != "" {
			if err := f.Value.Set(text); err != nil {
				errs = append(errs, fmt.Errorf("%s=%q is not %s", name, text, wanted(f)))
			}
		}
	})
	if len(errs) > 0 {
		return errs[0]
	}

	return nil
}

// flagError words what pflag found wrong with the command line.
func flagError(cmd *cobra.Command, err error) error {
	var (
		unknown   *pflag.NotExistError
		valueless *pflag.ValueRequiredError
		invalid   *pflag.InvalidValueError
	)
	see := "see " + cmd.CommandPath() + " --help"
	switch {
	case errors.As(err, &unknown):
		name := unknown.GetSpecifiedName()
		if cluster := unknown.GetSpecifiedShortnames(); cluster != "" {
			name = cluster
		}

		return fmt.Errorf("there is no flag -%s: %s", name, see)
	case errors.As(err, &valueless):
		f := valueless.GetFlag()

		return fmt.Errorf("-%s needs a value: -%s %s", f.Name, f.Name, annotation(f, annotationArg))
	case errors.As(err, &invalid):
		f := invalid.GetFlag()

		return fmt.Errorf("-%s=%q is not %s", f.Name, invalid.GetValue(), wanted(f))
	}

	return fmt.Errorf("%w: %s", err, see)
}

// wanted says what a value of f looks like.
func wanted(f *pflag.Flag) string {
	switch f.Value.Type() {
	case "duration":
		return "a duration: write e.g. 10s, 500ms or 1m30s"
	case "int":
		return "a whole number"
	case "bool":
		return "true or false"
	}

	return "a " + f.Value.Type()
}

// noArgs is what a command without arguments of its own does with them.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if cmd.HasAvailableSubCommands() {
		return fmt.Errorf("there is no command %q: see %s --help", args[0], cmd.CommandPath())
	}

	return fmt.Errorf("argument %q is one too many: see %s --help", args[0], cmd.CommandPath())
}

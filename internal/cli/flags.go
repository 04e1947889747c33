package cli

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// A Flag is one row of a command's table of flags. The command line decides its value, then its variable, then the
// configuration file, then the default. A flag, a variable or a key that is set but empty is an error, whatever its
// type: only one that is not given means the default.
type Flag struct {
	Name    string   // long name
	Short   string   // letter, optional
	Aliases []string // other long names, which other programs have for the same flag
	Group   string   // title in the help, one of those that the command gives to [Groups]
	Values  []string // all values of a text, for completion; empty: it offers files for FILE and directories for DIR
	Arg     string   // what stands for the value in the help, e.g. DSN; empty for a switch
	Example string   // a value for messages; empty: Arg
	Env     string   // variable; empty: TENURE_ and the name in capitals
	Usage   string   // a few words, lower case; the help adds the default unless the text contains "(default"

	// Value is a *string, *bool, *int, *uint64, *float64, *time.Duration or *[]string. What it points to is the default.
	// A flag with a *[]string may be given several times, and its variable has one value in each line.
	Value any

	// Check, if it is not nil, checks the value of a flag that is given, after all flags have their values. It says what
	// is wrong: "is out of range: must be between 1 and 255". The error names the flag or the variable, and the value.
	Check func() error

	// Default, if it is not nil, is called by --print-config for a flag that is not given. It returns the value that the
	// command chooses and what decided it, such as the name of a variable. The help does not show the default of such
	// a flag, so its Usage has to describe it.
	Default func() (value, source string, err error)

	// IgnoreEnv, if it is not nil, reports that the variable does not count in this run.
	IgnoreEnv func() bool
}

// A setting is the value of a flag with its row.
type setting struct {
	pflag.Value

	row      Flag
	variable string // the variable that the value came from
	entry    *entry // what the value came from in the configuration file
}

var errEmpty = errors.New("empty value")

// Set refuses an empty value for flags of all types. It is most likely the value of a variable that is not set, as in
// --ydb "$SERVER".
func (s *setting) Set(text string) error {
	if text == "" {
		return errEmpty
	}

	return s.Value.Set(text)
}

// values returns the values in the text of a variable: the lines for a flag that may be given several times.
func (s *setting) values(text string) []string {
	if s.Type() != "stringArray" {
		return []string{text}
	}

	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}

// settingOf returns the setting of a flag; nil for flags of cobra's own.
func settingOf(f *pflag.Flag) *setting {
	if f == nil {
		return nil
	}
	s, _ := f.Value.(*setting)

	return s
}

// AddFlags adds rows to the table of flags of cmd; they are parsed into the rows' values before cmd runs.
func AddFlags(cmd *cobra.Command, rows ...Flag) {
	set := cmd.Flags()
	set.SortFlags = false // the help keeps the order of the table
	for _, row := range rows {
		switch p := row.Value.(type) {
		case *string:
			set.StringVarP(p, row.Name, row.Short, *p, row.Usage)
		case *bool:
			set.BoolVarP(p, row.Name, row.Short, *p, row.Usage)
		case *int:
			set.IntVarP(p, row.Name, row.Short, *p, row.Usage)
		case *uint64:
			set.Uint64VarP(p, row.Name, row.Short, *p, row.Usage)
		case *float64:
			set.Float64VarP(p, row.Name, row.Short, *p, row.Usage)
		case *time.Duration:
			set.DurationVarP(p, row.Name, row.Short, *p, row.Usage)
		case *[]string:
			set.StringArrayVarP(p, row.Name, row.Short, *p, row.Usage)
		default:
			panic(fmt.Sprintf("cli: flag %q: no support for %T", row.Name, row.Value))
		}
		if row.Env == "" {
			row.Env = variable(row.Name)
		}
		f := set.Lookup(row.Name)
		f.Value = &setting{Value: f.Value, row: row}
		if row.Default != nil || f.DefValue == "[]" {
			f.DefValue = ""
		}
		addAliases(set, row)
		completeValues(cmd, row)
	}
}

// Describe changes the group and the usage of a flag of cmd, for a flag that several commands have and that means
// something else for each of them.
func Describe(cmd *cobra.Command, flag, group, usage string) {
	f := cmd.Flags().Lookup(flag)
	s := settingOf(f)
	s.row.Group, s.row.Usage, f.Usage = group, usage, usage
}

// variable returns the variable of the flag with this name, unless its row has another one.
func variable(flag string) string {
	return "TENURE_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// addAliases makes the other names of a flag mean the flag.
func addAliases(set *pflag.FlagSet, row Flag) {
	if len(row.Aliases) == 0 {
		return
	}
	before := set.GetNormalizeFunc()
	set.SetNormalizeFunc(func(set *pflag.FlagSet, name string) pflag.NormalizedName {
		if slices.Contains(row.Aliases, name) {
			name = row.Name
		}

		return before(set, name)
	})
}

// checkFlags calls the checks of the flags that are given, in the order of the table.
func checkFlags(cmd *cobra.Command) error {
	var first error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		s := settingOf(f)
		if first != nil || s == nil || s.row.Check == nil || !Given(cmd, f.Name) {
			return
		}
		err := s.row.Check()
		if err == nil {
			return
		}
		switch name, value := Setting(cmd, f.Name), redacted(s.String()); s.Type() {
		case "string":
			first = fmt.Errorf("%s=%q %w", name, value, err)
		case "stringArray":
			first = fmt.Errorf("%s: %w", name, err)
		default:
			first = fmt.Errorf("%s=%s %w", name, value, err)
		}
	})

	return first
}

// Given reports whether the command line, a variable or the configuration file sets the flag.
func Given(cmd *cobra.Command, flag string) bool {
	f := cmd.Flags().Lookup(flag)
	s := settingOf(f)

	return s != nil && (f.Changed || s.variable != "" || s.entry != nil)
}

// OnLine reports whether the command line sets the flag.
func OnLine(cmd *cobra.Command, flag string) bool { return cmd.Flags().Changed(flag) }

// Setting returns the name that messages use for where the flag's value comes from: its variable or its place in the
// configuration file if that set it, otherwise the flag, such as "TENURE_DSN" or "--ydb".
func Setting(cmd *cobra.Command, flag string) string {
	switch s := settingOf(cmd.Flags().Lookup(flag)); {
	case s != nil && s.variable != "":
		return s.variable
	case s != nil && s.entry != nil:
		return s.entry.String()
	}

	return "--" + flag
}

// setFromEnv sets the flags that are not on the command line from their variables.
func setFromEnv(cmd *cobra.Command, lookup func(string) (string, bool)) error {
	var first error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		s := settingOf(f)
		if s == nil || f.Changed || s.row.IgnoreEnv != nil && s.row.IgnoreEnv() {
			return
		}
		text, ok := lookup(s.row.Env)
		if !ok {
			return
		}
		s.variable = s.row.Env
		for _, value := range s.values(text) {
			if err := s.Set(value); err != nil && first == nil {
				first = badValue(s, s.row.Env, value)
			}
		}
	})

	return first
}

// badValue describes a value that the flag or the variable cannot have.
func badValue(s *setting, from, text string) error {
	if text != "" {
		return fmt.Errorf("%s=%q is not %s", from, redacted(text), wanted(s))
	}
	example := s.row.Example
	if example == "" {
		example = s.row.Arg
	}
	switch {
	case from == s.row.Env:
		if s.row.Arg == "" {
			example = "true"
		}

		return fmt.Errorf("%s is empty: write %s=%s, or unset the variable", from, from, example)
	case s.row.Arg == "":
		return fmt.Errorf("%s is empty: write %s alone, or leave the flag out", from, from)
	}

	return fmt.Errorf("%s is empty: write %s %s, or leave the flag out", from, from, example)
}

// flagError words what pflag found wrong with the command line.
func flagError(env *Env, cmd *cobra.Command, err error) error {
	if names, ok := takesCommand(cmd); ok && cmd.Flags().NArg() > names {
		return Unexpected(env, cmd, cmd.Flags().Arg(names)) // the flag is COMMAND's
	}
	var (
		unknown   *pflag.NotExistError
		valueless *pflag.ValueRequiredError
		invalid   *pflag.InvalidValueError
	)
	switch {
	case errors.As(err, &unknown):
		if letters := unknown.GetSpecifiedShortnames(); letters != "" {
			return fmt.Errorf("unknown flag -%s: %s", unknown.GetSpecifiedName(), see(cmd))
		}

		return fmt.Errorf("unknown flag --%s: %s", unknown.GetSpecifiedName(), suggestFlag(cmd, unknown.GetSpecifiedName()))
	case errors.As(err, &valueless):
		f := valueless.GetFlag()

		return fmt.Errorf("--%s needs a value: write --%s %s", f.Name, f.Name, settingOf(f).row.Arg)
	case errors.As(err, &invalid):
		if s := settingOf(invalid.GetFlag()); s != nil {
			return badValue(s, "--"+s.row.Name, invalid.GetValue())
		}
	}

	return fmt.Errorf("%w: %s", err, see(cmd))
}

func see(cmd *cobra.Command) string { return "see " + cmd.CommandPath() + " --help" }

// wanted says what a value of the flag looks like.
func wanted(s *setting) string {
	switch s.Type() {
	case "duration":
		return "a duration: write e.g. 10s, 500ms or 1m30s"
	case "int":
		return "a whole number"
	case "uint64":
		return "a whole number that is not negative"
	case "float64":
		return "a number"
	case "bool":
		return "true or false"
	}

	return "a " + s.Type()
}

// noArgs refuses arguments of a command that takes none.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if cmd.HasAvailableSubCommands() {
		return fmt.Errorf("unknown command %q: %s", args[0], suggestCommand(cmd, args[0]))
	}

	return fmt.Errorf("unexpected argument %q: %s", args[0], see(cmd))
}

// Passwords in the text of a URL, as url.Parse finds them, and as they may be in one that it refuses.
var (
	password      = regexp.MustCompile(`(://[^:@/]*):[^/?#]*@`)
	maybePassword = regexp.MustCompile(`(://[^:@/]*):.*@`)
)

// redacted returns the text without the password that it has if it is a DSN.
func redacted(text string) string {
	pattern := password
	if _, err := url.Parse(text[strings.IndexByte(text, '=')+1:]); err != nil {
		pattern = maybePassword
	}

	return pattern.ReplaceAllString(text, "$1:xxxxx@")
}

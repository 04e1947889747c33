// Package cli contains what the commands of the project share: how they start and end, their flags and variables, their
// help and their error lines.
//
// A command is a function that builds a cobra.Command for an [Env]. [Main] runs it as the process, and tests run it
// with [Run]. Each flag is a row of a table ([Flag]). Parsing, environment variables, --print-config and the help all
// use that table.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	"google.golang.org/grpc/grpclog"

	"tenure/internal/guard"
	"tenure/internal/output"
	"tenure/internal/printable"
	"tenure/internal/version"
)

// Exit codes of all commands. The help of a command lists those that it adds.
const (
	ExitOK      = 0
	ExitFailure = 125 // the command itself failed, or was called wrongly
)

// An Env is the environment of a command.
type Env struct {
	Args      []string                    // without the command's own name
	LookupEnv func(string) (string, bool) // os.LookupEnv, or a function like it
	Stdin     io.Reader
	Environ   func() []string // os.Environ, or a function like it; nil: no variables are listed

	// While the command runs, these take messages: one Write is one message. They are safe for concurrent use. A reader
	// that is slow, stuck or gone delays nobody, and a message that it does not take is dropped. See package output.
	Stdout, Stderr io.Writer

	// Data is for data that the user asks for, on standard output. A Write waits for the reader. It fails when ctx of
	// the command ends, and then so does the command.
	Data io.Writer

	Verbose bool // set by --verbose before the command runs

	inherited struct{ stdout, stderr io.Writer }
}

// Inherited returns the standard output and the standard error that the command was started with, for a program that it
// runs. They are files if the command was started with files.
func (e *Env) Inherited() (stdout, stderr io.Writer) { return e.inherited.stdout, e.inherited.stderr }

// Names returns the names of the variables that are set, as far as they are known.
func (e *Env) Names() []string {
	if e.Environ == nil {
		return nil
	}
	var names []string
	for _, variable := range e.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		names = append(names, name)
	}

	return names
}

// Style returns the style of text on standard output: with colours if that is a terminal that has them.
func (e *Env) Style() printable.Style {
	file, ok := e.inherited.stdout.(*os.File)

	return printable.NewStyle(ok && term.IsTerminal(int(file.Fd())), e.LookupEnv)
}

// An ExitError ends the command with its exit code.
type ExitError struct {
	Code int
	Err  error // Run prints it as one line; nil: Run prints nothing
}

func (e *ExitError) Error() string {
	if e.Err == nil {
		return "exit"
	}

	return e.Err.Error()
}

func (e *ExitError) Unwrap() error { return e.Err }

// Main runs a command as the process and returns its exit code. The first of the [Interrupts] ends the context of the
// command, so that it shuts down gracefully. The second one ends the process immediately, unless [TakeInterrupts] takes
// it. In a process that was started as a guard, Main is the guard instead.
//
// The process ignores SIGPIPE: a write to a pipe without a reader fails. Programs that it starts do not inherit that.
func Main(build func(*Env) *cobra.Command) int {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) // signal.Ignore would be inherited
	if guard.Selected() {
		return guard.Main()
	}
	ctx := interruptible(context.Background())
	guard.Own(ctx)

	out := output.New(os.Stdout, os.Stderr)
	if _, debugging := os.LookupEnv("GRPC_GO_LOG_SEVERITY_LEVEL"); !debugging { // else grpc writes to os.Stderr itself
		grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, out.Stderr))
	}
	env := &Env{Args: os.Args[1:], LookupEnv: os.LookupEnv, Environ: os.Environ, Stdin: os.Stdin}
	env.inherited.stdout, env.inherited.stderr = os.Stdout, os.Stderr

	return run(ctx, build, env, out)
}

// Run runs a command in env until it returns, and returns its exit code. It prints an error as one line on env.Stderr.
func Run(ctx context.Context, build func(*Env) *cobra.Command, env *Env) int {
	shared := *env
	stdout, stderr := locked(env.Stdout, env.Stderr)
	shared.inherited.stdout, shared.inherited.stderr = stdout, stderr

	return run(ctx, build, &shared, output.New(stdout, stderr))
}

// run runs a command that prints to out, and closes out.
func run(ctx context.Context, build func(*Env) *cobra.Command, env *Env, out *output.Output) int {
	defer out.Close()
	data := out.Stdout.Data(ctx)
	env.Stdout, env.Stderr, env.Data = out.Stdout, out.Stderr, data

	root := build(env)
	prepare(root, env)
	root.SetIn(env.Stdin)
	root.SetOut(env.Data)
	root.SetErr(env.Stderr)
	args := env.Args
	if !isCompleting(env) {
		var positions []int
		args, positions = doubleDash(root, args)
		reserve(args, positions)
	}
	root.SetArgs(args)
	name := root.Name()
	if cmd, _, err := root.Find(args); err == nil {
		name = ProgramName(cmd)
	}
	out.Name = name

	err := root.ExecuteContext(ctx)
	if data.Err() != nil {
		err = dataError(data.Err())
	}
	code := ExitOK
	if err != nil {
		code = ExitFailure
	}
	if exit, ok := errors.AsType[*ExitError](err); ok {
		code, err = exit.Code, exit.Err
	}
	if err != nil {
		Complain(env, name, err)
	}

	return code
}

// dataError returns the result of a command that could not write its data. It is that of a command that a signal has
// ended if the reader has gone, or if a signal has interrupted the wait for the reader.
func dataError(err error) error {
	const signalled = 128 // plus the number of the signal
	if errors.Is(err, syscall.EPIPE) {
		return &ExitError{Code: signalled + int(syscall.SIGPIPE)}
	}
	if interrupt, ok := errors.AsType[*Interrupt](err); ok {
		return &ExitError{Code: signalled + int(interrupt.Signal)}
	}

	return fmt.Errorf("cannot write to standard output: %w", err)
}

// Complain prints err as one line, "name: text", on env.Stderr.
func Complain(env *Env, name string, err error) {
	_, _ = io.WriteString(env.Stderr, name+": "+oneLine(err.Error())+"\n")
}

// prepare sets up what a command and its subcommands have in common with all others.
func prepare(cmd *cobra.Command, env *Env) {
	cmd.SilenceErrors, cmd.SilenceUsage = true, true // Run prints the one line
	cmd.DisableSuggestions = true                    // they take several lines; noArgs makes a suggestion
	cmd.CompletionOptions.DisableDefaultCmd = true   // it would hide a lock with its name
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return flagError(env, cmd, err) })
	cmd.SetHelpFunc(func(cmd *cobra.Command, _ []string) { _, _ = io.WriteString(env.Data, help(cmd)) })
	var printConfig *bool
	if cmd.Runnable() && hasSettings(cmd) {
		printConfig = generalFlags(cmd, env)
	}
	var version *bool
	cmd.InitDefaultHelpFlag()
	cmd.Flags().Lookup("help").Usage = "print this text"
	if !cmd.HasParent() || isProgram(cmd) {
		version = cmd.Flags().Bool("version", false, "print the version")
	}
	if cmd.Args == nil {
		cmd.Args = noArgs
	}
	cmd.Args = unreserved(cmd.Args)
	completeArgs(cmd)
	if run := cmd.RunE; run != nil && hasSettings(cmd) {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			if err := setFromEnv(cmd, env.LookupEnv); err != nil {
				return err
			}
			if err := setFromConfig(cmd, env.LookupEnv); err != nil {
				return err
			}
			if *printConfig {
				return config(env.Data, cmd)
			}
			if err := checkFlags(cmd); err != nil {
				return err
			}

			return run(cmd, args)
		}
	} else if run == nil {
		cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	}
	if version != nil {
		printVersion(cmd, env, version)
	}
	for _, sub := range cmd.Commands() {
		prepare(sub, env)
	}
}

// printVersion makes cmd print the version, and do nothing else, if the flag is set. The version of cobra.Command is
// not used, because its template keeps the linker from removing the methods that no code calls, a third of the binary.
func printVersion(cmd *cobra.Command, env *Env, flag *bool) {
	check, run := cmd.Args, cmd.RunE
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if *flag {
			return nil
		}

		return check(cmd, args)
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *flag {
			_, err := fmt.Fprintln(env.Data, cmd.Name(), Version())

			return err
		}

		return run(cmd, args)
	}
}

// Version returns the version that this binary was built from.
func Version() string { return version.String() }

// oneLine joins the lines of text with blanks, and escapes what is not printable.
func oneLine(text string) string { return printable.Text(strings.Join(strings.Fields(text), " ")) }

// locked returns writers that several goroutines may use. A file already is such a writer, and stays a file so that
// other processes can inherit it.
func locked(stdout, stderr io.Writer) (out, errs io.Writer) {
	lock := func(w io.Writer) io.Writer {
		if file, ok := w.(*os.File); ok {
			return file
		}

		return &lockedWriter{w: w}
	}
	out = lock(stdout)
	if output.Same(stdout, stderr) {
		return out, out
	}

	return out, lock(stderr)
}

// A lockedWriter makes one Write at a time.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()

	return l.w.Write(p)
}

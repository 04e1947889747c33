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
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"

	"github.com/spf13/cobra"

	"tenure/internal/version"
)

// Exit codes of all commands. The help of a command lists those that it adds.
const (
	ExitOK      = 0
	ExitFailure = 125 // the command itself failed, or was called wrongly
)

// An Env is the environment of a command.
type Env struct {
	Args           []string                    // without the command's own name
	LookupEnv      func(string) (string, bool) // os.LookupEnv, or a function like it
	Stdin          io.Reader
	Stdout, Stderr io.Writer // Run makes them safe for use by several goroutines, one Write at a time
	Verbose        bool      // set by --verbose before the command runs
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

// An Interrupt is the cause with which the context of a command ends when a signal asks the process to end.
type Interrupt struct{ Signal syscall.Signal }

func (i *Interrupt) Error() string { return i.Signal.String() }

// Is makes an Interrupt a [context.Canceled], like the cause of signal.NotifyContext.
func (i *Interrupt) Is(target error) bool { return target == context.Canceled }

// Interrupts returns the signals that ask the process to end: SIGINT, SIGTERM and, unless nohup runs it, SIGHUP.
func Interrupts() []os.Signal {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}

	return signals
}

// Main runs a command as the process and returns its exit code. The first of the [Interrupts] ends the context of the
// command, so that it shuts down gracefully. The second one ends the process immediately.
func Main(build func(*Env) *cobra.Command) int {
	ctx, end := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, Interrupts()...)
	go func() { // ends with the process
		sig := <-signals
		signal.Stop(signals) // restores the default action, which ends the process
		end(&Interrupt{sig.(syscall.Signal)})
	}()

	return Run(ctx, build, &Env{
		Args:      os.Args[1:],
		LookupEnv: os.LookupEnv,
		Stdin:     os.Stdin,
		Stdout:    os.Stdout,
		Stderr:    os.Stderr,
	})
}

// Run runs a command in env until it returns, and returns its exit code. It prints an error as one line on env.Stderr.
func Run(ctx context.Context, build func(*Env) *cobra.Command, env *Env) int {
	shared := *env
	shared.Stdout, shared.Stderr = locked(env.Stdout), locked(env.Stderr)
	env = &shared

	root := build(env)
	prepare(root, env)
	root.SetIn(env.Stdin)
	root.SetOut(env.Stdout)
	root.SetErr(env.Stderr)
	args, _ := doubleDash(root, env.Args)
	root.SetArgs(args)

	err := root.ExecuteContext(ctx)
	code := ExitOK
	if err != nil {
		code = ExitFailure
	}
	if exit, ok := errors.AsType[*ExitError](err); ok {
		code, err = exit.Code, exit.Err
	}
	if err != nil {
		Complain(env, root.Name(), err)
	}

	return code
}

// Complain prints err as one line, "name: text", on env.Stderr.
func Complain(env *Env, name string, err error) {
	_, _ = io.WriteString(env.Stderr, name+": "+oneLine(err.Error())+"\n")
}

// prepare sets up what a command and its subcommands have in common with all others.
func prepare(cmd *cobra.Command, env *Env) {
	cmd.SilenceErrors, cmd.SilenceUsage = true, true // Run prints the one line
	cmd.DisableSuggestions = true                    // they take several lines; noArgs makes a suggestion
	cmd.CompletionOptions.HiddenDefaultCmd = true
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return flagError(env, cmd, err) })
	cmd.SetHelpFunc(func(cmd *cobra.Command, _ []string) { _, _ = io.WriteString(env.Stdout, help(cmd)) })
	var printConfig *bool
	if cmd.Runnable() {
		printConfig = generalFlags(cmd, env)
	}
	cmd.InitDefaultHelpFlag()
	cmd.Flags().Lookup("help").Usage = "print this text"
	if !cmd.HasParent() {
		cmd.Version = Version()
		cmd.SetVersionTemplate(cmd.Name() + " {{.Version}}\n")
		cmd.Flags().Bool("version", false, "print the version") // otherwise cobra adds the letter -v for it
	}
	if cmd.Args == nil {
		cmd.Args = noArgs
	}
	if run := cmd.RunE; run != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			if err := setFromEnv(cmd, env.LookupEnv); err != nil {
				return err
			}
			if *printConfig {
				return config(env.Stdout, cmd)
			}
			if err := checkFlags(cmd); err != nil {
				return err
			}

			return run(cmd, args)
		}
	} else {
		cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	}
	for _, sub := range cmd.Commands() {
		prepare(sub, env)
	}
}

// Version returns the version that this binary was built from.
func Version() string { return version.String() }

// oneLine joins the lines of text with blanks.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// locked returns a writer that several goroutines may use. A file already is such a writer, and stays a file so that
// other processes can inherit it.
func locked(w io.Writer) io.Writer {
	if file, ok := w.(*os.File); ok {
		return file
	}

	return &lockedWriter{w: w}
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

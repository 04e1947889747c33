// Package cli is what the commands of the project share: how they start and end, their flags and variables, their help
// and their error lines.
//
// A command is a function that builds a cobra.Command over an [Env]. Main runs it as the process; tests call [Run] with
// an Env of their own. Flags are declared as rows of a table ([Flag]), from which parsing, environment variables and
// help are all made.
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

// Exit codes of all commands; what a command adds to them stands in its help.
const (
	ExitOK      = 0
	ExitFailure = 125 // the command itself failed, wrong usage included
)

// Env is what a command gets from the world around it.
type Env struct {
	Args           []string                    // without the command's own name
	LookupEnv      func(string) (string, bool) // as os.LookupEnv
	Stdin          io.Reader
	Stdout, Stderr io.Writer // Run makes them safe for use by several goroutines, a Write at a time
}

// ExitError ends the command with an exit code of its own.
type ExitError struct {
	Code int
	Err  error // printed as one line; nil: nothing is printed
}

func (e *ExitError) Error() string {
	if e.Err == nil {
		return "exit"
	}

	return e.Err.Error()
}

func (e *ExitError) Unwrap() error { return e.Err }

// An Interrupt is the cause of the end of a command's context: a signal has asked the process to end.
type Interrupt struct{ Signal syscall.Signal }

func (i *Interrupt) Error() string { return i.Signal.String() }

// Is makes it a cancellation, as the cause of signal.NotifyContext is.
func (i *Interrupt) Is(target error) bool { return target == context.Canceled }

// Interrupts returns the signals that ask the process to end: SIGINT, SIGTERM and, unless it is run by nohup, SIGHUP.
func Interrupts() []os.Signal {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}

	return signals
}

// Main runs a command as the process and returns its exit code. The first of the [Interrupts] ends the context of the
// command, which then puts things in order; the second one ends the process at once.
func Main(build func(*Env) *cobra.Command) int {
	ctx, end := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, Interrupts()...)
	go func() { // ends with the process
		sig := <-signals
		signal.Stop(signals) // gives them back to the system, whose action ends the process
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

// Run runs a command in env until it returns, and returns its exit code. An error is one line on env.Stderr.
func Run(ctx context.Context, build func(*Env) *cobra.Command, env *Env) int {
	shared := *env
	shared.Stdout, shared.Stderr = locked(env.Stdout), locked(env.Stderr)
	env = &shared

	root := build(env)
	prepare(root, env)
	root.SetIn(env.Stdin)
	root.SetOut(env.Stdout)
	root.SetErr(env.Stderr)
	root.SetArgs(doubleDash(root, env.Args))

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

// prepare gives a command and its subcommands the manners that all of them share.
func prepare(cmd *cobra.Command, env *Env) {
	cmd.SilenceErrors, cmd.SilenceUsage = true, true // Run prints the one line
	cmd.DisableSuggestions = true                    // they are many lines
	cmd.CompletionOptions.HiddenDefaultCmd = true
	cmd.SetFlagErrorFunc(flagError)
	cmd.SetHelpFunc(func(cmd *cobra.Command, _ []string) { _, _ = io.WriteString(env.Stdout, help(cmd)) })
	cmd.InitDefaultHelpFlag()
	cmd.Flags().Lookup("help").Usage = "this text"
	if !cmd.HasParent() {
		cmd.Version = Version()
		cmd.SetVersionTemplate(cmd.Name() + " {{.Version}}\n")
		cmd.Flags().Bool("version", false, "the version of "+cmd.Name()) // ours, lest cobra take -v for it
	}
	if !cmd.Runnable() {
		cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	}
	if cmd.Args == nil {
		cmd.Args = noArgs
	}
	if run := cmd.RunE; run != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			if err := setFromEnv(cmd, env.LookupEnv); err != nil {
				return err
			}

			return run(cmd, args)
		}
	}
	for _, sub := range cmd.Commands() {
		prepare(sub, env)
	}
}

// Version returns the version that this binary was built from.
func Version() string { return version.String() }

// oneLine joins the lines of text by blanks.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// locked returns a writer that several goroutines may use. A file is one, and is to be handed on to other processes as
// it is.
func locked(w io.Writer) io.Writer {
	if file, ok := w.(*os.File); ok {
		return file
	}

	return &lockedWriter{w: w}
}

// A lockedWriter lets several goroutines write whole lines.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()

	return l.w.Write(p)
}

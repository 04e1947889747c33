package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"tenure/internal/access"
	"tenure/internal/cli"
	"tenure/internal/tty"
)

func tokenHashCommand(env *cli.Env) *cobra.Command {
	password := false
	cmd := &cobra.Command{
		Use:     "hash [flags]",
		Short:   "hash a token or a password for the tokens file",
		Example: "tenure token hash < token\ntenure token hash --password",
		Long: `tenure token hash reads a token from standard input and prints the value of token= for the tokens file. With
--password it reads a password and prints the value of password=. At a terminal it asks, and the terminal does not show
what is typed.`,
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		what := "token"
		if password {
			what = "password"
		}
		secret, err := readSecret(cmd.Context(), env, what, password)
		if err != nil {
			return err
		}
		hash, err := hashSecret(env, secret, password, access.DefaultCost)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(env.Data, hash)

		return err
	}
	cli.AddFlags(cmd, cli.Flag{
		Name: "password", Env: "TENURE_HASH_PASSWORD", Usage: "hash a password", Value: &password,
	})

	return cmd
}

// shortToken is the length of a token that can hardly be guessed.
const shortToken = 20

func hashSecret(env *cli.Env, secret string, password bool, cost int) (string, error) {
	if password {
		return access.HashPassword(secret, cost)
	}
	switch {
	case access.Mistyped(secret):
		return "", errors.New("the token is mistyped or incomplete: copy it again, or make another one with tenure token new")
	case len(secret) < shortToken:
		cli.Complain(env, "tenure", fmt.Errorf("warning: the token has only %d characters, so it may be guessed: "+
			"make one with tenure token new", len(secret)))
	}

	return access.HashToken(secret), nil
}

// maxSecret is the length of the longest token that is read.
const maxSecret = 16 << 10

// readSecret reads a token or a password from the terminal, if standard input is one, and otherwise from there.
func readSecret(ctx context.Context, env *cli.Env, what string, twice bool) (string, error) {
	var secret string
	var err error
	if in, ok := env.Stdin.(*os.File); ok && term.IsTerminal(int(in.Fd())) {
		secret, err = askSecret(ctx, what, twice)
	} else {
		secret, err = readLine(ctx, env.Stdin, what)
	}
	if interrupt, ok := errors.AsType[*cli.Interrupt](context.Cause(ctx)); ok {
		return "", &cli.ExitError{Code: 128 + int(interrupt.Signal)}
	}
	if err != nil {
		return "", err
	}
	if what == "token" {
		secret = access.Bare(secret)
	}
	switch {
	case secret == "":
		return "", fmt.Errorf("the %s is empty: write it on standard input", what)
	case strings.ContainsFunc(secret, unicode.IsControl):
		return "", fmt.Errorf("the %s contains control characters or several lines: write it alone on one line", what)
	}

	return secret, nil
}

func askSecret(ctx context.Context, what string, twice bool) (string, error) {
	secret, err := tty.ReadSecret(ctx, "The "+what+": ")
	if err != nil || !twice || secret == "" {
		return secret, err
	}
	again, err := tty.ReadSecret(ctx, "The "+what+" again: ")
	if err == nil && again != secret {
		err = fmt.Errorf("the two %ss differ: try again", what)
	}

	return secret, err
}

// readLine reads everything until the end, which must be one line.
func readLine(ctx context.Context, in io.Reader, what string) (string, error) {
	type result struct {
		text []byte
		err  error
	}
	read := make(chan result, 1)
	go func() { // ends with the input, or with the process
		text, err := io.ReadAll(io.LimitReader(in, maxSecret+1))
		read <- result{text, err}
	}()
	select {
	case <-ctx.Done():
		return "", context.Cause(ctx)
	case r := <-read:
		switch {
		case r.err != nil:
			return "", fmt.Errorf("read the %s from standard input: %w", what, r.err)
		case len(r.text) > maxSecret:
			return "", fmt.Errorf("the %s has more than %d bytes: write it alone on one line", what, maxSecret)
		}

		return strings.TrimSuffix(strings.TrimSuffix(string(r.text), "\n"), "\r"), nil
	}
}

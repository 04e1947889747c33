package main

import (
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"tenure/internal/admin"
	"tenure/internal/cli"
	"tenure/internal/look"
)

func releaseCommand(env *cli.Env) *cobra.Command {
	var token uint64
	cmd := &cobra.Command{
		Use:     "release [flags] NAME",
		Short:   "take a semaphore away from its holder",
		Example: "tenure release deploy\ntenure release --token 812 deploy",
		Long: `tenure release ends the session of the holder of NAME, as if its timeout had passed. The next waiter gets the
semaphore immediately. The holder notices it when its client hears from the server, and may still be running: make sure
that it is dead or harmless. The session also loses everything else that it holds.

With --token, it does nothing unless that token holds the semaphore. If there are several holders, --token is needed.

It works with the embedded server and with the admin address of "tenure serve": the protocol has no such request.

Exit code:
  0 the session is ended; 1 nobody holds it, or not with that token; 125 failed`,
	}
	l := newLooker(env, cmd, nameArgument, "output")
	cli.Groups(cmd, "Release", cli.GroupWhere, groupOther)
	cli.AddFlags(cmd, cli.Flag{
		Name: "token", Arg: "N", Example: "812", Env: "TENURE_RELEASE_TOKEN", Value: &token, Group: "Release",
		Usage: "only if this token holds it", Check: cli.AtLeastOne(&token),
		Default: func() (value, source string, err error) { return "", "not given", nil },
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := l.Check(); err != nil {
			return err
		}
		if _, err := l.adminClient(); err != nil && !l.Embedded() {
			return err
		}
		s, err := l.semaphore(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		h, err := victim(s, token)
		if err != nil {
			return err
		}
		switch err := l.endSession(cmd.Context(), l.Path, h.Session, h.Token); {
		case errors.Is(err, admin.ErrNoSession):
			return &cli.ExitError{Code: exitRefused, Err: fmt.Errorf("%s has just released %q", h.Name(), args[0])}
		case err != nil:
			return err
		}
		l.complain(fmt.Sprintf("%s has lost %q, token %d, with its session %d, and may still be running", h.Name(), args[0],
			h.Token, h.Session))

		return nil
	}

	return cmd
}

// victim returns the holder with the token, or the only holder if the token is 0.
func victim(s look.Semaphore, token uint64) (look.Holder, error) {
	refuse := func(format string, args ...any) (look.Holder, error) {
		return look.Holder{}, &cli.ExitError{Code: exitRefused, Err: fmt.Errorf(format, args...)}
	}
	switch i := slices.IndexFunc(s.Holders, func(h look.Holder) bool { return h.Token == token }); {
	case !s.Held:
		return refuse("%q is free", s.Name)
	case i >= 0:
		return s.Holders[i], nil
	case token != 0:
		return refuse("token %d does not hold %q: tenure who %s shows which does", token, s.Name, s.Name)
	case len(s.Holders) > 1:
		return refuse("%q has %d holders: choose one with --token", s.Name, len(s.Holders))
	}

	return s.Holders[0], nil
}

package main

import (
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"tenure/internal/cli"
	"tenure/internal/look"
)

// Exit codes of check.
const (
	exitOlder   = 1
	exitUnknown = 2
)

// A checked is what check prints.
type checked struct {
	Name    string        `json:"name"`
	Token   uint64        `json:"token"`
	State   string        `json:"state"` // held, older or unknown
	Holders []look.Holder `json:"holders"`
}

func checkCommand(env *cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "check [flags] NAME TOKEN",
		Short:   "say whether a fencing token holds a semaphore now",
		Example: "tenure check deploy 812",
		Long: `tenure check compares TOKEN, which lock passes to its COMMAND as TENURE_TOKEN, with the tokens of the holders
of NAME. The answer is about one moment: the lease may end before the caller acts on it. To make a write safe, send the
token with it, and have the storage reject older tokens.

Exit code:
  0 TOKEN holds the semaphore; 1 a newer token holds it, so TOKEN never will again; 2 unknown: the semaphore is free, or
  TOKEN is newer than its holders; 125 failed`,
	}
	l := newLooker(env, cmd, nameAndToken)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		token, err := parseToken("TOKEN", args[1])
		if err != nil {
			return err
		}
		if err := l.Check(); err != nil {
			return err
		}
		s, err := l.semaphore(cmd.Context(), args[0])
		if err != nil {
			return err
		}

		return l.judge(s, token)
	}

	return cmd
}

// parseToken returns the fencing token in the text.
func parseToken(setting, text string) (uint64, error) {
	token, err := strconv.ParseUint(text, 10, 64)
	if err != nil || token == 0 {
		return 0, fmt.Errorf("%s=%q is not a fencing token: write the number that TENURE_TOKEN contained", setting, text)
	}

	return token, nil
}

// judge prints what is known about the token of the semaphore. A holder's token is below those of all waiters (Q9), so
// a token below a holder's is neither waiting nor held.
func (l *looker) judge(s look.Semaphore, token uint64) error {
	c := checked{Name: s.Name, Token: token, State: "unknown", Holders: s.Holders}
	text, code := fmt.Sprintf("%q is free", s.Name), exitUnknown
	var newest look.Holder
	for _, h := range s.Holders {
		newest = h
		if h.Token == token {
			c.State = "held"
		}
	}
	switch {
	case c.State == "held":
		text, code = fmt.Sprintf("token %d holds %q", token, s.Name), cli.ExitOK
	case token < newest.Token:
		c.State, code = "older", exitOlder
		text = fmt.Sprintf("token %d does not hold %q: token %d does (%s)", token, s.Name, newest.Token, newest.Who)
	case s.Held:
		text = fmt.Sprintf("token %d does not hold %q yet: token %d does (%s)", token, s.Name, newest.Token, newest.Who)
	}
	if err := l.print(c, func() string { return text + "\n" }); err != nil || code == cli.ExitOK {
		return err
	}

	return &cli.ExitError{Code: code}
}

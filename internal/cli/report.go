package cli

import (
	"io"

	"tenure/internal/clock"
)

// ReportFlags returns the flags with which a command that runs COMMAND reports what it does.
func ReportFlags(output *string, quiet *bool, logFormat, metrics *string) []Flag {
	return []Flag{
		OutputFlag(output),
		{
			Name: "quiet", Short: "q", Value: quiet, Group: GroupLooking,
			Usage: "print nothing but the reason of a failure",
		},
		{
			Name: "log-format", Arg: "FORMAT", Example: "text", Values: Formats,
			Value: logFormat, Group: GroupLooking,
			Usage: "messages on standard error: text or json", Check: Format(logFormat),
		},
		{
			Name: "metrics", Arg: "ADDR", Example: "127.0.0.1:9100", Value: metrics, Group: GroupLooking,
			Usage: "serve Prometheus metrics at http://ADDR/metrics",
		},
	}
}

// OutputFlag is the row of --output.
func OutputFlag(output *string) Flag {
	return Flag{
		Name: "output", Short: "o", Arg: "FORMAT", Example: "json", Values: Formats,
		Value: output, Group: GroupLooking,
		Usage: "text, or json: one object per line", Check: Format(output),
	}
}

// RedirectLog makes messages on standard error JSON or drops them. It returns the writer as it was, for events. After
// restore, errors appear even if quiet is set.
func RedirectLog(env *Env, asJSON, quiet bool, clk clock.Clock) (stderr io.Writer, restore func()) {
	stderr = env.Stderr
	if asJSON {
		env.Stderr = JSONLines(stderr, clk)
	}
	restored := env.Stderr
	if quiet {
		env.Stderr = io.Discard
	}

	return stderr, func() { env.Stderr = restored }
}

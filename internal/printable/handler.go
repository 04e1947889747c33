package printable

import (
	"context"
	"fmt"
	"log/slog"
)

// stack is the key of an attribute that is long and is not chosen by anybody.
const stack = "stack"

// Handler returns a handler for a log that gets what somebody else has chosen, such as names. It passes at most the
// first 1,024 bytes of a value on, with an ellipsis if it is longer. The handlers of log/slog quote what is not
// printable.
func Handler(inner slog.Handler) slog.Handler { return limited{inner} }

type limited struct{ slog.Handler }

// Handle implements slog.Handler.
func (l limited) Handle(ctx context.Context, r slog.Record) error {
	out := slog.NewRecord(r.Time, r.Level, limit(r.Message, messageBytes), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		out.AddAttrs(limitAttr(a))

		return true
	})

	return l.Handler.Handle(ctx, out)
}

// WithAttrs implements slog.Handler.
func (l limited) WithAttrs(attrs []slog.Attr) slog.Handler {
	return limited{l.Handler.WithAttrs(limitAll(attrs))}
}

// WithGroup implements slog.Handler.
func (l limited) WithGroup(name string) slog.Handler { return limited{l.Handler.WithGroup(name)} }

func limitAll(attrs []slog.Attr) []slog.Attr {
	out := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		out[i] = limitAttr(a)
	}

	return out
}

func limitAttr(a slog.Attr) slog.Attr {
	if a.Key == stack {
		return a
	}
	a.Value = a.Value.Resolve()
	switch a.Value.Kind() {
	case slog.KindString:
		a.Value = slog.StringValue(limit(a.Value.String(), messageBytes))
	case slog.KindGroup:
		a.Value = slog.GroupValue(limitAll(a.Value.Group())...)
	case slog.KindAny: // an error, or a type that is a string; values of a bounded length keep their type
		if text := fmt.Sprint(a.Value.Any()); len(text) > messageBytes {
			a.Value = slog.StringValue(limit(text, messageBytes))
		}
	default: // numbers and times
	}

	return a
}

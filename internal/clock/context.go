package clock

import "context"

type contextKey struct{}

// NewContext returns a context that carries the clock.
func NewContext(ctx context.Context, c Clock) context.Context {
	return context.WithValue(ctx, contextKey{}, c)
}

// FromContext returns the clock that the context carries, or that of package time.
func FromContext(ctx context.Context) Clock {
	if c, ok := ctx.Value(contextKey{}).(Clock); ok {
		return c
	}

	return Go()
}

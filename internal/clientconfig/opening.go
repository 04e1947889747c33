package clientconfig

import (
	"context"
	"sync/atomic"
	"time"
)

// An opening is a call of Client.Session. Such a call tries again until its context ends, and returns only then why the
// last attempt has failed.
type opening struct{ last atomic.Pointer[func() error] }

type openingKey struct{}

// NewOpening returns a context for a call of Client.Session. Meanwhile, LastAttempt tells how the call gets on.
func NewOpening(ctx context.Context) context.Context {
	return context.WithValue(ctx, openingKey{}, &opening{})
}

// Follow notes how the client finds out why the newest attempt of a call of Session has failed. The context is that of
// the call.
func Follow(ctx context.Context, last func() error) {
	if o, ok := ctx.Value(openingKey{}).(*opening); ok {
		o.last.Store(&last)
	}
}

// LastAttempt returns why the newest attempt of the call with the context of NewOpening has failed, or nil if none has
// failed. Known is false if the client is not that of package tenure, or has not begun. LastAttempt may be called
// concurrently with the call.
func LastAttempt(ctx context.Context) (known bool, failed error) {
	o, ok := ctx.Value(openingKey{}).(*opening)
	if !ok {
		return false, nil
	}
	last := o.last.Load()
	if last == nil {
		return false, nil
	}

	return true, (*last)()
}

type limitKey struct{}

// LimitOpening returns a context for a call that opens a session. The call gives up after the limit, instead of after
// its own limit.
func LimitOpening(ctx context.Context, limit time.Duration) context.Context {
	return context.WithValue(ctx, limitKey{}, limit)
}

// OpeningLimit returns the limit that LimitOpening has set, or otherwise the usual one.
func OpeningLimit(ctx context.Context, usual time.Duration) time.Duration {
	if limit, ok := ctx.Value(limitKey{}).(time.Duration); ok {
		return limit
	}

	return usual
}

package store

import (
	"context"
	"time"
)

// Contact is implemented by a Store that servers share. Its methods are safe for concurrent use.
type Contact interface {
	// Silence returns how long ago the common store has last answered this server. The store is asked something at least
	// once a second.
	Silence() time.Duration

	// Reach returns nil when the common store has answered a question that it was asked during this call. It tries until
	// ctx ends.
	Reach(ctx context.Context) error
}

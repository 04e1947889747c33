// Package flight lets a caller of tenure's client acquire a semaphore and describe it in one round trip.
//
// coordination.Session has no such method. The context of AcquireSemaphore carries the wish, which other clients
// ignore.
package flight

import (
	"context"

	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
)

// A Look receives the description of a semaphore that the node has made immediately after it has processed an acquire.
// It is nil if the client does not support that, or if the acquire has waited in the queue. When the acquire returns,
// the caller may read it.
type Look struct {
	Description *coordination.SemaphoreDescription
}

type key struct{}

// New returns a context for one call of AcquireSemaphore, and the Look that the call fills in.
func New(ctx context.Context) (context.Context, *Look) {
	look := &Look{}

	return context.WithValue(ctx, key{}, look), look
}

// From returns the Look of the context, or nil. The context may be nil.
func From(ctx context.Context) *Look {
	if ctx == nil {
		return nil
	}
	look, _ := ctx.Value(key{}).(*Look)

	return look
}

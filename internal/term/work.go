package term

import (
	"context"

	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
)

// Under returns a context for what is done under a lease: it ends with ctx, and with the lease, and then has a cause
// that wraps ErrLost and is handed to observe at once. The caller calls end when the work has returned; it reports
// whether the lease was still held then, and returns after observe has.
func Under(
	ctx context.Context, lease coordination.Lease, observe func(cause error),
) (work context.Context, end func() (held bool)) {
	work, cancel := context.WithCancelCause(ctx)
	observed := make(chan struct{})
	stop := context.AfterFunc(lease.Context(), func() {
		defer close(observed)
		cause := lost(lease.Context())
		cancel(cause)
		observe(cause)
	})

	return work, func() bool {
		held := stop()
		if !held {
			<-observed
		}
		cancel(nil)

		return held
	}
}

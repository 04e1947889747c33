package store

import "context"

// Owners is implemented by a Store that servers share.
type Owners interface {
	// Owners returns the ids of the servers that own spaces at a moment during the call. Spaces without an owner are
	// missing. A server among them may be gone. It claims nothing.
	Owners(ctx context.Context) (map[Space]string, error)
}

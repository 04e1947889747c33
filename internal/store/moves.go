package store

import "context"

// Terms say which servers may have a space before the one that claims it. They matter only if no living server owns the
// space.
type Terms struct {
	// Target is the id of the server that should own the space; "": the one that claims it.
	Target string
	// Avoid lists the ids of servers that have not served the space when they were asked. It is not left to them.
	Avoid []string
}

// Moves is implemented by a Store that servers share and whose spaces move between them. Its methods are safe for
// concurrent use, except that callers must serialize their calls for the same space. Safety does not depend on any of
// them.
type Moves interface {
	// ClaimUnder is like Claim, but leaves the space to another server if the terms say so, or if the space was handed
	// over to it. Then it returns an *OwnedError with the id of that server.
	ClaimUnder(ctx context.Context, space Space, terms Terms) error

	// Release gives a claim up. Other servers leave the space to the server with the id to, unless that is not alive, or
	// does not serve the space; "": they leave it to nobody. It returns nil if this server no longer has the space. If ctx
	// ends, the outcome is unknown, and the claim is over.
	Release(ctx context.Context, space Space, to string) error

	// Leave makes this server a Member that is Leaving.
	Leave(ctx context.Context) error

	// Remove makes a server seem to be dead, so that others can claim what it owns. It is for a server that is known to be
	// dead. One that lives notices it, seems to be alive again, and has lost what others have claimed meanwhile. Remove
	// returns false if the server did not seem to be alive.
	Remove(ctx context.Context, id string) (bool, error)
}

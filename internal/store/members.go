package store

import (
	"cmp"
	"context"
)

// Member is a server that shares a store with others and seems to be alive.
type Member struct {
	ID      string `json:"-"`                 // of the process: a server that starts again has another one
	Address string `json:"address,omitempty"` // what it tells clients, such as "grpcs://a.example:2136"; may be empty
	Version string `json:"version,omitempty"`
	Leaving bool   `json:"leaving,omitempty"` // it stops soon, and wants to have no more spaces
	Peer    string `json:"peer,omitempty"`    // host:port at which other servers reach it; empty: that of Address
	Limits  string `json:"limits,omitempty"`  // a short hash of the limits that it was started with
	Since   uint64 `json:"since,omitempty"`   // when it has started, in ms since 1970 by its clock; 0: unknown
}

// At returns the address at which other servers reach the server: its Peer, or otherwise its Address. No two servers
// should have the same.
func (m Member) At() string { return cmp.Or(m.Peer, m.Address) }

// Members is implemented by a Store that servers share. Its methods are safe for concurrent use. What they say of other
// servers may be some time old, so it is good for finding a server, and for nothing on which safety depends.
type Members interface {
	// Self returns this server. Another server sees it as soon as it has been registered.
	Self() Member

	// Living returns the servers that seem to be alive, in the order of their ids. It waits for the first answer of the
	// common store, or until ctx ends.
	Living(ctx context.Context) ([]Member, error)

	// Member returns the server with the id, which is that of an OwnedError, or false if that server does not seem to be
	// alive. It asks the common store if Living does not return that server.
	Member(ctx context.Context, id string) (Member, bool, error)

	// Secret returns a random key that only those know who can read the common store. All servers have the same one.
	Secret() []byte
}

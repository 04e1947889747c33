package server

import (
	"context"
	"fmt"
	"iter"
	"time"

	"tenure/internal/node"
	"tenure/internal/quota"
)

// memoryFull is what a client is told that asks for something new when the nodes use all of their memory.
const memoryFull = "The server has no memory for more (see --max-memory)"

// diskFull is what a client is told that asks for something new when the disk is nearly full.
const diskFull = "The disk of the server is nearly full"

// fullDisk is implemented by stores that know how much space they have.
type fullDisk interface {
	// Full reports whether the space that is left should be kept for changes that make space. It is called often.
	Full() bool
}

// diskFull returns the text for a client that asks for something new, or "" if there is room.
func (env *ownerEnv) diskFull() string {
	if env.disk != nil && env.disk.Full() {
		return diskFull
	}

	return ""
}

// tooLargeError reports that a node needs more memory than is left for it.
type tooLargeError struct {
	path        string
	needed, max int64
}

func (e *tooLargeError) Error() string {
	return fmt.Sprintf("node %q is not loaded: it and the other nodes need more than %d bytes of memory, and the limit "+
		"is %d bytes: raise --max-memory, or drop a node", e.path, e.needed, e.max)
}

// loadPause is how long a node that is too large or damaged is refused without another attempt to load it.
const loadPause = 10 * time.Second

// loadLimit returns the limit for the records of nodes. It is a little higher than that for requests, because the
// estimate for a record is higher than that for what is made of it, and every node that has grown up to the limit must
// be able to load.
func loadLimit(memory int64) int64 { return memory + memory/8 }

// limited yields the records, and an error as soon as they need too much memory.
func (o *owner) limited(ctx context.Context) iter.Seq2[node.Record, error] {
	return func(yield func(node.Record, error) bool) {
		most := int64(o.env.limits.Memory)
		for r, err := range o.records(ctx) {
			if err == nil {
				size := int64(node.RecordFootprint(r))
				o.footprint += size
				if used := o.env.memory.Add(size); used > loadLimit(most) {
					yield(node.Record{}, &tooLargeError{o.path, used, most})

					return
				}
			}
			if !yield(r, err) {
				return
			}
		}
	}
}

// countSessions updates what the server counts for the node's sessions, and for their users.
func (o *owner) countSessions() {
	for _, r := range o.next.fx.Changes {
		if id, ok := node.DeletedSession(r); ok && o.users[id] != nil {
			o.users[id].Keep(-1)
			delete(o.users, id)
		}
	}
	if n := o.node.Sessions(); n != o.sessions {
		o.env.quota.Keep(n - o.sessions)
		o.sessions = n
	}
}

// began counts a session for the user of the stream that has attached to it.
func (o *owner) began(s *stream) {
	if use := s.entrance.use; s.pass.caller.name() != "" && o.users[s.session] != use {
		if before := o.users[s.session]; before != nil {
			before.Keep(-1)
		}
		if o.users == nil {
			o.users = make(map[uint64]*quota.Use)
		}
		o.users[s.session] = use
		use.Keep(1)
	}
	s.unreserve()
}

// forgetSessions ends the counting of the node's sessions.
func (o *owner) forgetSessions() {
	for _, use := range o.users {
		use.Keep(-1)
	}
	o.env.quota.Keep(-o.sessions)
	o.users, o.sessions = nil, 0
}

// account updates the memory that the server counts for the node, and what the node refuses because of that. It also
// counts the requests that the node has refused.
func (o *owner) account() {
	footprint := int64(o.node.Footprint())
	if footprint != o.footprint {
		o.env.memory.Add(footprint - o.footprint)
		o.footprint = footprint
	}
	full := memoryFull
	if o.env.memory.Load() <= int64(o.env.limits.Memory) {
		full = o.env.diskFull()
	}
	o.node.SetFull(full)
	for n := o.node.Refusals(); o.refusals < n; o.refusals++ {
		o.env.refusals.add("node", "node", o.path)
	}
}

package server

import (
	"context"
	"fmt"
	"iter"
	"time"

	"tenure/internal/node"
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

// tooLargeError reports that a node needs more memory than is left for it.
type tooLargeError struct {
	path        string
	needed, max int64
}

func (e *tooLargeError) Error() string {
	return fmt.Sprintf("node %q is not loaded: it and the other nodes need more than %d bytes of memory, and the limit "+
		"is %d bytes: raise --max-memory, or drop a node", e.path, e.needed, e.max)
}

// tooLargePause is how long a node that was too large is refused without another attempt to load it.
const tooLargePause = 10 * time.Second

// limited yields the records, and an error as soon as they need too much memory. The limit is a little higher than that
// for requests, because the estimate for a record is higher than that for what is made of it, and every node that has
// grown up to the limit must be able to load.
func (o *owner) limited(ctx context.Context) iter.Seq2[node.Record, error] {
	return func(yield func(node.Record, error) bool) {
		most := int64(o.env.limits.Memory)
		for r, err := range o.records(ctx) {
			if err == nil {
				size := int64(node.RecordFootprint(r))
				o.footprint += size
				if used := o.env.memory.Add(size); used > most+most/8 {
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

// account updates the memory that the server counts for the node, and what the node refuses because of that. It also
// counts the requests that the node has refused.
func (o *owner) account() {
	footprint := int64(o.node.Footprint())
	if footprint != o.footprint {
		o.env.memory.Add(footprint - o.footprint)
		o.footprint = footprint
	}
	full := ""
	if o.env.memory.Load() > int64(o.env.limits.Memory) {
		full = memoryFull
	} else if o.env.disk != nil && o.env.disk.Full() {
		full = diskFull
	}
	o.node.SetFull(full)
	for n := o.node.Refusals(); o.refusals < n; o.refusals++ {
		o.env.refusals.add("node", "node", o.path)
	}
}

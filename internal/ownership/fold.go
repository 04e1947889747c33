package ownership

import (
	"maps"
	"slices"
)

// folder writes what has changed to the records of the space, so that the journal can be cut off. Commits go on
// meanwhile. A fold takes several steps. A reader that finds some of them done replays all entries above the old mark,
// whose changes are absolute, and gets the same records.
type folder struct {
	request

	changed        changes // by the entries after those that are being folded
	entries, bytes int     // of these entries
	mark           uint64  // the mark in etcd
	seen           int64   // its modification revision; 0: there is none

	steps   [][]Op // of the fold that is in progress, without the marks; the first one is being carried out
	upTo    uint64 // the number of the last entry that is being folded
	count   uint64 // of the steps of this core
	written mark   // by the step that is being carried out
}

func (c *Core) markKey() string { return markKey(c.cfg.Space) }

// fold starts a fold if one is due.
func (c *Core) fold(fx *Effects) {
	f := &c.folder
	if c.phase != owning || len(f.steps) > 0 || f.entries < c.cfg.FoldEntries && f.bytes < c.cfg.FoldBytes {
		return
	}
	f.steps = c.plan(f.changed)
	f.upTo = c.next - 1
	f.changed, f.entries, f.bytes = make(changes), 0, 0
	c.step(fx)
}

// plan divides the changes into steps, and leaves room for the operations that step adds.
func (c *Core) plan(changed changes) [][]Op {
	steps := [][]Op{nil}
	size := 0
	for _, key := range slices.Sorted(maps.Keys(changed)) {
		value := changed[key]
		at, cost := len(steps)-1, len(key)+len(value)
		if n := len(steps[at]); n > 0 && (n+2 >= c.cfg.FoldOps || size+cost > c.cfg.PartBytes) {
			steps, size = append(steps, nil), 0
			at++
		}
		op := Op{Kind: Delete, Key: recordKey(c.cfg.Space, key)}
		if value != nil {
			op = put(op.Key, value)
		}
		steps[at] = append(steps[at], op)
		size += cost
	}

	return steps
}

// step carries out the first of the remaining steps. It compares and changes the mark, so that a step which is carried
// out again after later ones does not bring back old values (O4). The last step moves the mark, and deletes the entries
// up to it.
//
// etcd walks over all keys of the range, also over those that were deleted since it was last compacted, and does
// nothing else meanwhile. So the range begins behind the entries that earlier folds have deleted. If etcd carries out a
// commit again after its entry was deleted, the entry stays there without effect until the space is dropped.
func (c *Core) step(fx *Effects) {
	f := &c.folder
	f.count++
	f.written = mark{number: f.mark, epoch: c.owner.Epoch, step: f.count}
	ops := slices.Clone(f.steps[0])
	if len(f.steps) == 1 {
		f.written.number = f.upTo
		ops = append(ops, Op{
			Kind: Delete, Key: entryPrefix(c.cfg.Space, f.mark+1), End: entryPrefix(c.cfg.Space, f.upTo+1),
		})
	}
	c.send(&f.request, Txn{
		If:   append(c.owns(), modIs(c.markKey(), f.seen)),
		Then: append(ops, put(c.markKey(), f.written.encode())),
		Else: []Op{get(c.ownerKey()), get(c.markKey())},
	}, fx)
}

// folded takes the result of a step. The claim ends if another server has the space, which a commit or a proof would
// find out too.
func (c *Core) folded(r Result, fx *Effects) {
	f := &c.folder
	f.request = request{}
	f.seen = r.Revision
	if !r.Succeeded {
		if own, _ := only(r.Gets[0]); !c.isOurs(own) {
			c.end(fenced(own), fx)

			return
		}
		m, err := decodeMark(r.Gets[1])
		if err != nil || m != f.written {
			c.end(damaged("the mark of space %d is not the one that was written", c.cfg.Space), fx)

			return
		}
		f.seen = r.Gets[1][0].Mod // an earlier attempt was carried out
	}
	f.mark = f.written.number
	f.steps = f.steps[1:]
	if len(f.steps) > 0 {
		c.step(fx)

		return
	}
	f.steps = nil
	c.fold(fx)
}

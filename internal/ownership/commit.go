package ownership

import (
	"fmt"
	"slices"

	"tenure/internal/store"
)

// commit is the batch that is being committed.
type commit struct {
	drop    []store.Space
	content []byte // all of it; the records of changed share its memory
	sent    int    // bytes of it in parts that are durable
	part    int    // the part that is being written
	written int    // bytes of the parts
}

// Check returns an error if a Core cannot commit the batch.
func Check(b store.Batch) error {
	if len(b.Drop) > MaxDrops {
		return fmt.Errorf("commit to space %d: the batch drops %d spaces: one batch can drop at most %d",
			b.Space, len(b.Drop), MaxDrops)
	}
	if slices.Contains(b.Drop, store.Catalog) {
		return fmt.Errorf("commit to space %d: the batch drops the catalog, which servers share", b.Space)
	}
	for _, r := range b.Changes {
		if n := len(r.Key) + len(r.Value); n > MaxRecord {
			return fmt.Errorf("commit to space %d: a record has %d bytes: it can have at most %d", b.Space, n, MaxRecord)
		}
	}

	return nil
}

// Commit writes the batch, which must be one for the space of the core that Check accepts. Committed or Over follows.
// It does not retain the batch's slices. Do not call it during another commit, or before Claimed.
func (c *Core) Commit(b store.Batch, fx *Effects) {
	if c.phase == over {
		return
	}
	c.mustBeIdle("Commit")
	c.commit = commit{drop: append([]store.Space(nil), b.Drop...), content: encodeChanges(b.Changes)}
	c.writePart(fx)
}

// writePart writes the next part of the batch. The last one makes it durable, and drops what the batch drops.
func (c *Core) writePart(fx *Effects) {
	m := &c.commit
	key := partKey(c.cfg.Space, c.next, m.part)
	end := min(m.sent+c.cfg.PartBytes, len(m.content))
	value := encodePart(key, c.owner.Epoch, m.content[m.sent:end], end == len(m.content))
	txn := Txn{
		If:   c.owns(),
		Then: []Op{put(key, value)},
		Else: []Op{get(c.ownerKey())},
	}
	if end == len(m.content) {
		txn.Then = append(txn.Then, drops(m.drop)...)
	}
	m.sent = end
	m.written += len(value)
	c.send(&c.main, txn, fx)
}

// drops returns the operations that drop the spaces.
func drops(spaces []store.Space) (ops []Op) {
	dropped := make(map[store.Space]bool)
	for _, s := range spaces {
		if !dropped[s] {
			ops = append(ops, put(OwnerKey(s), Owner{Dropped: true}.encode()), put(DroppedKey(s), nil))
			dropped[s] = true
		}
	}

	return ops
}

// written takes the result of a part. An earlier attempt may have been carried out too, which makes no difference: the
// key and its value are the same.
func (c *Core) written(r Result, fx *Effects) {
	if !r.Succeeded {
		own, _ := only(r.Gets[0])
		c.end(fenced(own), fx)

		return
	}
	m := &c.commit
	if m.sent < len(m.content) {
		m.part++
		c.writePart(fx)

		return
	}
	records, ok := decodeChanges(m.content)
	if !ok {
		panic("ownership: a batch does not decode")
	}
	c.folder.changed.add(records)
	c.folder.entries++
	c.folder.bytes += m.written
	c.next++
	c.commit = commit{}
	fx.do(Committed{})
	c.fold(fx)
}

// fenced returns why a key that another server has changed ends a claim.
func fenced(own KV) error {
	if o, err := DecodeOwner(own); err == nil && o.Dropped {
		return store.ErrDropped
	}

	return store.ErrFenced
}

package ownership

import (
	"bytes"
	"slices"

	"tenure/internal/store"
)

// Claim starts the claim. Claimed or Over follows. Call it once.
func (c *Core) Claim(fx *Effects) { c.look("", fx) }

// look reads who owns the space, and whether the other server is registered; "": none.
func (c *Core) look(other string, fx *Effects) {
	c.phase, c.fence, c.journal, c.other = looking, 0, nil, other
	reads := []Op{get(c.ownerKey()), get(ServerKey(c.cfg.Server))}
	if other != "" {
		reads = append(reads, get(ServerKey(other)))
	}
	c.send(&c.main, Txn{Then: reads}, fx)
}

func (c *Core) ownerKey() string { return OwnerKey(c.cfg.Space) }

// owns returns the comparisons that hold while nobody has changed the owner's key since the claim. The revision alone
// says that, unless etcd was put back to an earlier state, in which it counts on from an earlier revision.
func (c *Core) owns() []Compare {
	return []Compare{modIs(c.ownerKey(), c.fence), valueIs(c.ownerKey(), c.held)}
}

// isOurs reports the same of the owner's key as it was read.
func (c *Core) isOurs(own KV) bool {
	return own.Mod == c.fence && bytes.Equal(own.Value, c.held)
}

func (c *Core) looked(r Result, fx *Effects) {
	lives := len(r.Gets) > 2 && len(r.Gets[2]) > 0
	c.attempt(r.Gets[0], r.Gets[1], c.other, lives, fx)
}

// attempt claims the space from the owner that was read, unless that is known to be in vain, or another server should
// do it. The registration of the other server was read too; "": of none.
func (c *Core) attempt(own, registration []KV, other string, lives bool, fx *Effects) {
	var old Owner
	seen, exists := only(own)
	if exists {
		var err error
		if old, err = DecodeOwner(seen); err != nil {
			c.end(err, fx)

			return
		}
	}
	me, registered := only(registration)
	free := old.Server == "" || old.Server == c.cfg.Server
	first := old.Server // who may have the space before this server
	if old.Server == "" && c.elsewhere(old.Target) {
		first = old.Target
	} else if free {
		first = ""
	}
	switch {
	case old.Dropped:
		c.end(store.ErrDropped, fx)
	case !registered || me.Create != c.cfg.Registration:
		c.end(ErrUnregistered, fx)
	case first != "" && first != other:
		c.look(first, fx)
	case first != "" && lives:
		c.end(&store.OwnedError{Server: first}, fx)
	case old.Server != c.cfg.Server && c.elsewhere(c.cfg.Target):
		c.end(&store.OwnedError{Server: c.cfg.Target}, fx)
	case !free && !c.cfg.Settled && !slices.Contains(c.cfg.Gone, old.Server):
		c.end(&store.OwnedError{Server: old.Server}, fx)
	default:
		c.claim(old, seen.Mod, free, fx)
	}
}

// elsewhere reports whether this server leaves a free space to that one.
func (c *Core) elsewhere(server string) bool {
	return server != "" && server != c.cfg.Server && !slices.Contains(c.cfg.Avoid, server)
}

// claim sends the claim. Only this server can write the owner that it writes: an earlier attempt of it, or an earlier
// Core of this process, which is gone (O1). In both cases, the key stands for a claim of this Core once it has been
// seen there.
func (c *Core) claim(old Owner, seen int64, free bool, fx *Effects) {
	c.phase = claiming
	c.owner = Owner{Server: c.cfg.Server, Epoch: old.Epoch + 1}
	c.held = c.owner.encode()
	key, me := c.ownerKey(), ServerKey(c.cfg.Server)
	txn := Txn{
		If:   []Compare{modIs(key, seen), bornAt(me, c.cfg.Registration)},
		Then: []Op{put(key, c.held), get(c.markKey())},
		Else: []Op{get(key), get(me), get(c.markKey())},
	}
	if !free {
		txn.If = append(txn.If, bornAt(ServerKey(old.Server), 0))
	}
	c.send(&c.main, txn, fx)
}

func (c *Core) claimed(r Result, fx *Effects) {
	if r.Succeeded {
		c.fence = r.Revision
		c.start(r.Gets[0], r.Revision, fx)

		return
	}
	if own, ok := c.ours(r.Gets[0]); ok { // an earlier attempt was carried out
		c.fence = own.Mod
		c.start(r.Gets[2], r.Revision, fx)

		return
	}
	c.attempt(r.Gets[0], r.Gets[1], "", false, fx)
}

// ours returns the owner's key if its value is the one that this Core writes.
func (c *Core) ours(own []KV) (KV, bool) {
	kv, ok := only(own)
	if !ok {
		return kv, false
	}
	o, err := DecodeOwner(kv)

	return kv, err == nil && o == c.owner
}

// start reads the journal as it was at the revision. Since the claim, nobody else can have changed it.
func (c *Core) start(marks []KV, revision int64, fx *Effects) {
	c.phase = reading
	m, err := decodeMark(marks)
	if err != nil {
		c.end(err, fx)

		return
	}
	if kv, ok := only(marks); ok {
		c.folder.seen = kv.Mod
	}
	c.folder.mark = m.number
	c.journal = newJournal(c.cfg.Space, m, revision)
	c.send(&c.main, Txn{Then: []Op{c.journal.page()}}, fx)
}

func (c *Core) read(r Result, fx *Effects) {
	if err := c.journal.take(r.Gets[0]); err != nil {
		c.end(err, fx)

		return
	}
	if !c.journal.done() {
		c.send(&c.main, Txn{Then: []Op{c.journal.page()}}, fx)

		return
	}
	c.own(fx)
}

func (c *Core) own(fx *Effects) {
	c.phase, c.next = owning, c.journal.number+1
	c.folder.changed, c.folder.entries, c.folder.bytes = c.journal.changed, c.journal.count, c.journal.bytes
	c.journal = nil
	fx.do(Claimed{})
	c.fold(fx)
}

// Release gives the space up. If to is not empty, other servers leave the space to that server as long as it is
// registered (O8). Over with ErrReleased or another cause follows. Do not call it during a commit, or before Claimed.
func (c *Core) Release(to string, fx *Effects) {
	if c.phase == over {
		return
	}
	c.mustBeIdle("Release")
	c.phase = releasing
	c.owner = Owner{Target: to, Epoch: c.owner.Epoch + 1}
	c.send(&c.main, Txn{
		If:   c.owns(),
		Then: []Op{put(c.ownerKey(), c.owner.encode())},
		Else: []Op{get(c.ownerKey())},
	}, fx)
}

func (c *Core) released(r Result, fx *Effects) {
	cause := ErrReleased
	if !r.Succeeded {
		if _, ok := c.ours(r.Gets[0]); !ok {
			cause = store.ErrFenced
		}
	}
	c.end(cause, fx)
}

func (c *Core) mustBeIdle(method string) {
	if c.phase != owning || c.main.id != 0 {
		panic("ownership: " + method + " is called before Claimed, or during another call")
	}
}

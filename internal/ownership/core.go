package ownership

import (
	"errors"

	"tenure/internal/store"
)

// Config holds the settings of a Core. Limits that are zero have default values.
type Config struct {
	Server       string // the id of this process, which no other process ever has
	Registration int64  // the create revision of its ServerKey
	// Settled reports that the server has been registered for as long as the registration of another one lasts. Until
	// then it claims nothing from a server that seems to be gone. Otherwise, when all servers return after an outage of
	// etcd, the first would claim everything.
	Settled bool
	Gone    []string // servers that are known to be dead, from which it claims before that
	Space   store.Space

	// Target is the server that should have the space; "": this one. A space that no living server owns is left to it, and
	// the claim ends with a *store.OwnedError that names it.
	Target string
	// Avoid lists servers that have not served the space when they were asked. It is not left to them.
	Avoid []string

	PartBytes   int // most bytes of a journal entry's part, and of a step of a fold; default 1 MiB
	FoldEntries int // a fold begins after so many entries; default 1,000
	FoldBytes   int // or so many bytes; default 4 MiB
	FoldOps     int // most operations of a step; default 100
}

// MaxDrops is the highest number of spaces that a batch can drop, because etcd limits the operations of a transaction.
const MaxDrops = 60

// MaxRecord is the most bytes that a record's key and value can have, because a request to etcd can have 1.5 MiB.
const MaxRecord = 1<<20 + 256<<10

type phase uint8

const (
	idle     phase = iota
	looking        // the owner's key is being read, and registrations
	claiming       // the claim has been sent
	reading        // the journal is being read
	owning
	releasing // the hand-over has been sent
	over
)

// request is a transaction whose result is awaited. A slot of the core has at most one.
type request struct {
	id      RequestID // of the latest attempt; 0: there is no request
	txn     Txn
	attempt int
}

// Core is one server's claim to one space. A process has at most one Core for a space at a time, and calls nothing of
// an old one once it has a new one. A Core is not safe for concurrent use.
type Core struct {
	cfg    Config
	phase  phase
	cause  error // why the claim has ended
	lastID RequestID

	owner Owner  // that the owner's key has, or will have if the claim succeeds
	held  []byte // the value of the owner's key since the claim
	fence int64  // modification revision of the owner's key
	main  request
	other string // whose registration is being read; "": only that of this server

	journal *journal // while it is being read
	next    uint64   // the number of the next entry
	commit  commit
	prover  prover
	folder  folder
}

// New returns a Core that has not claimed anything.
func New(cfg Config) *Core {
	def := func(n *int, v int) {
		if *n == 0 {
			*n = v
		}
	}
	def(&cfg.PartBytes, 1<<20)
	def(&cfg.FoldEntries, 1_000)
	def(&cfg.FoldBytes, 4<<20)
	def(&cfg.FoldOps, 100)

	return &Core{cfg: cfg}
}

// Err returns why the claim has ended, or nil.
func (c *Core) Err() error { return c.cause }

// Fence returns the modification revision that the owner's key has as long as the claim holds, or 0 if there is none.
func (c *Core) Fence() int64 { return c.fence }

// Epoch returns the number of the claim. A later claim has a higher one.
func (c *Core) Epoch() uint64 { return c.owner.Epoch }

// Answer takes the result of a transaction.
func (c *Core) Answer(id RequestID, r Result, fx *Effects) {
	switch slot := c.slot(id); slot {
	case nil: // of an attempt that was given up, or after the end
	case &c.prover.request:
		c.proved(r, fx)
	case &c.folder.request:
		c.folded(r, fx)
	default:
		c.answered(r, fx)
	}
}

// answered takes the result of the main request.
func (c *Core) answered(r Result, fx *Effects) {
	c.main = request{}
	switch c.phase {
	case looking:
		c.looked(r, fx)
	case claiming:
		c.claimed(r, fx)
	case reading:
		c.read(r, fx)
	case owning:
		c.written(r, fx)
	case releasing:
		c.released(r, fx)
	case idle, over:
	}
}

// Unknown reports that the attempt has no result: it may or may not be carried out, now or later.
func (c *Core) Unknown(id RequestID, fx *Effects) {
	slot := c.slot(id)
	if slot == nil {
		return
	}
	if slot == &c.prover.request {
		c.prover.covers = c.prover.asked // the read begins again
	}
	c.transmit(slot, fx)
}

// Refused reports that etcd does not accept the transaction, so that it is of no use to send it again. That ends the
// claim, except that the claim begins again after ErrCompacted. An error that may pass is not for Refused, but Unknown.
func (c *Core) Refused(id RequestID, cause error, fx *Effects) {
	switch {
	case c.slot(id) == nil:
	case c.phase == reading && errors.Is(cause, ErrCompacted):
		c.look("", fx)
	default:
		c.end(cause, fx)
	}
}

// slot returns the request with that id, or nil.
func (c *Core) slot(id RequestID) *request {
	for _, r := range []*request{&c.main, &c.prover.request, &c.folder.request} {
		if id != 0 && r.id == id {
			return r
		}
	}

	return nil
}

func (c *Core) send(slot *request, txn Txn, fx *Effects) {
	slot.txn, slot.attempt = txn, 0
	c.transmit(slot, fx)
}

// transmit sends the transaction of the slot, perhaps again.
func (c *Core) transmit(slot *request, fx *Effects) {
	c.lastID++
	slot.id = c.lastID
	slot.attempt++
	fx.do(Send{ID: slot.id, Txn: slot.txn, Attempt: slot.attempt})
}

// end ends the claim. Results that are still to come are ignored.
func (c *Core) end(cause error, fx *Effects) {
	c.phase, c.cause = over, cause
	c.main, c.prover.request, c.folder.request = request{}, request{}, request{}
	c.commit, c.journal, c.folder.changed, c.folder.steps = commit{}, nil, nil, nil
	fx.do(Over{cause})
}

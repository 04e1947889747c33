package ownership

// prover obtains proofs. At most one read is in flight. All requests for a proof that arrive meanwhile share the next.
type prover struct {
	request

	asked  uint64 // the last ticket
	covers uint64 // the last ticket that was asked for before the read began
}

// Confirm asks for a proof of ownership that begins now or later. Confirmed for the ticket, or for a later one, or Over
// follows. Do not call it before Claimed.
func (c *Core) Confirm(fx *Effects) (ticket uint64) {
	c.prover.asked++
	if c.phase == owning && c.prover.id == 0 {
		c.prove(fx)
	}

	return c.prover.asked
}

func (c *Core) prove(fx *Effects) {
	c.prover.covers = c.prover.asked
	c.send(&c.prover.request, Txn{Then: []Op{get(c.ownerKey())}}, fx)
}

func (c *Core) proved(r Result, fx *Effects) {
	c.prover.request = request{}
	if own, _ := only(r.Gets[0]); !c.isOurs(own) {
		c.end(fenced(own), fx)

		return
	}
	fx.do(Confirmed{c.prover.covers})
	if c.prover.covers < c.prover.asked {
		c.prove(fx)
	}
}

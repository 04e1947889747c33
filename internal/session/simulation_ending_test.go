package session_test

import (
	"errors"
	"fmt"
	"time"

	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"

	"tenure/internal/session"
)

// endLater ends a session that the client has given up, as a shell does.
func (c *client) endLater() {
	if c.killed {
		return
	}
	if c.asleep {
		c.w.after(c.pause(), c.endLater)

		return
	}
	e := &client{
		w: c.w, number: c.number, bornAt: c.bornAt, rate: c.rate, cfg: c.cfg, latency: c.latency, dark: c.dark,
		id: c.id, epoch: c.epoch, opened: c.opened, over: true, ends: true, core: c.core.Ending(c.patience()),
	}
	if e.born = c.w.now; c.epoch == c.w.server.epoch && c.w.server.alive(c.id) {
		c.w.left++
	}
	c.w.clients = append(c.w.clients, e)
	e.do("starts to end session "+fmt.Sprint(e.id), e.core.Start)
}

// patience returns how long the ending of the client's session keeps trying while the server refuses it.
func (c *client) patience() time.Duration { return c.cfg.Timeout + grace }

// checkEnding checks that an ending has ended its session, unless another client has attached to it, or the server has
// refused for too long.
func (c *client) checkEnding(a session.Closed) {
	if a.Left && refuses(a.Cause) && c.w.now.Sub(c.born) > c.patience()*9/10 { // its clock may be fast
		return
	}
	if c.killed || a.Left {
		c.w.fail("%v: the ending of session %d has given up: %v", c, c.id, a.Cause)
	}
	refusal, _ := errors.AsType[*session.StatusError](a.Cause)
	if refusal.Status != Ydb.StatusIds_BAD_SESSION && c.epoch == c.w.server.epoch && c.w.server.alive(c.id) {
		c.w.fail("%v: session %d has not ended", c, c.id)
	}
}

// checkEndingLimit checks that an ending does not take long without faults: the server comes back, an attempt that it
// has missed comes to an end, and another one follows. The grace period is not part of it.
func (c *client) checkEndingLimit() {
	from := max(c.born, c.w.healed)
	if limit := 4*time.Second + 2*c.cfg.Timeout; c.w.now.Sub(from) > limit {
		c.w.fail("%v: session %d has not ended %v after the last fault", c, c.id, limit)
	}
}

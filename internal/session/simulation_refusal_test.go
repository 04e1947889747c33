package session_test

import (
	"errors"
	"slices"
	"time"

	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"tenure/internal/node"
	"tenure/internal/session"
)

// refuse withdraws the client's access for a while. The server ends the stream sooner or later, and refuses others.
func (c *client) refuse(d time.Duration) {
	c.w.log("%v: refused for %v", c, d)
	c.barred = c.w.now.Add(d)
	if s := c.stream(); s != nil && c.w.chance(0.8) {
		c.w.after(c.w.between(0, c.cfg.Timeout/4), func() { s.fail(node.Unauthorized) })
	}
}

// refuse answers an attach of a client whose access was withdrawn.
func (s *stream) refuse() {
	if s.w.chance(0.5) {
		s.end()
		s.tellEnd(status.Error(pick(s.w, codes.Unauthenticated, codes.PermissionDenied), "no"))

		return
	}
	s.fail(pick(s.w, node.Unauthorized, node.BadRequest, node.PreconditionFailed, 400070)) // SCHEME_ERROR
}

// refuses reports whether an ending has given up because of such an answer.
func refuses(cause error) bool {
	answer, answered := errors.AsType[*session.StatusError](cause)

	return answered && !slices.Contains(final, answer.Status) ||
		slices.Contains([]codes.Code{codes.Unauthenticated, codes.PermissionDenied}, status.Code(cause))
}

// checkCause checks V5 when the session ends.
func (c *client) checkCause(cause error) {
	refusal, refused := errors.AsType[*session.RefusedError](cause)
	answer, answered := errors.AsType[*session.StatusError](cause)
	early := c.local(c.w.now) < c.until
	switch {
	case refused:
		c.w.hit.Stay++
		if early || c.until == 0 || refusal != c.core.Refusal() {
			c.w.fail("V5: the session of %v has ended before its deadline: %v", c, cause)
		}
	case c.until == 0, errors.Is(cause, session.ErrClosed):
	case errors.Is(cause, session.ErrDeadline):
		if early || c.core.Refusal() != nil {
			c.w.fail("V5: the session of %v has ended before its deadline, or without the refusal: %v", c, cause)
		}
	case !answered || !slices.Contains(final, answer.Status):
		c.w.fail("V5: the session of %v has ended before its deadline: %v", c, cause)
	}
}

// final are the statuses after which a session that exists is over (docs/protocol.md, C2).
var final = []Ydb.StatusIds_StatusCode{
	Ydb.StatusIds_SESSION_EXPIRED, Ydb.StatusIds_NOT_FOUND, Ydb.StatusIds_BAD_SESSION,
}

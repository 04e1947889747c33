package server

import (
	"fmt"
	"math"
	"time"

	"tenure/internal/access"
	"tenure/internal/catalog"
	"tenure/internal/clock"
	"tenure/internal/node"
	"tenure/internal/printable"
	"tenure/internal/quota"
)

// attachBurst is the number of seconds whose new sessions may begin at the same time, because a whole fleet of clients
// may start at the same time.
const attachBurst = 10

// newQuota returns the quota of the server and of its users.
func (s *Server) newQuota() *quota.Server {
	l := s.limits

	return quota.New(s.clock.Now(), quota.Limits{
		Sessions: l.TotalSessions,
		Rate:     float64(l.RequestRate), RateBurst: l.RequestRate,
		Attaches: float64(l.AttachRate), AttachBurst: attachBurst * l.AttachRate,
	}, s.userLimits())
}

// userLimits returns the limits of users in the tokens file as it is now.
func (s *Server) userLimits() func(user string) quota.Limits {
	if s.access == nil {
		return func(string) quota.Limits { return quota.Limits{} }
	}
	policy := s.access.Policy()

	return func(user string) quota.Limits { return quotaOf(policy.Limits(user)) }
}

func quotaOf(l access.Limits) quota.Limits {
	return quota.Limits{
		Streams: l.Streams, Sessions: l.Sessions,
		Rate: l.Rate, RateBurst: l.RateBurst(),
		Attaches: l.Attaches, AttachBurst: l.AttachBurst(),
	}
}

// overloaded returns the text for a caller that has reached a limit.
func (s *Server) overloaded(limit quota.Limit, user string) string {
	switch limit {
	case quota.UserStreams:
		return fmt.Sprintf("User %s already has as many streams as allowed", user)
	case quota.UserSessions, quota.Sessions:
		return "Too many sessions already exist" // as in A5
	case quota.UserAttaches:
		return fmt.Sprintf("User %s starts too many sessions a second", user)
	case quota.Attaches:
		return "The server starts at most " + printable.Count(s.limits.AttachRate, "session", "sessions") + " a second"
	case quota.UserRate:
		return fmt.Sprintf("User %s sends too many requests a second", user)
	default:
		return "The server accepts at most " + printable.Count(s.limits.RequestRate, "request", "requests") + " a second"
	}
}

// exceeded counts and reports that a caller has reached a limit, and returns the text for the caller.
func (s *Server) exceeded(limit quota.Limit, user, peer string) string {
	s.refusals.add(string(limit), "user", user, "address", peer)

	return s.overloaded(limit, user)
}

// allowCall counts a unary call as a request. It returns an error if that is over the rate.
func (s *Server) allowCall(user, peer string) error {
	now := s.clock.Now()
	if limit := s.quota.User(now, user).Request(now); limit != "" {
		return &catalog.Error{Status: node.Overloaded, Issue: s.exceeded(limit, user, peer)}
	}

	return nil
}

// What a stream needs to keep its leases is not refused, whatever else its user sends: a client describes a semaphore
// in each quarter of the session timeout. These requests count, so other requests of the user pay for them.
const (
	assuredRenewals = 4                      // in each session timeout
	assuredBurst    = 2                      // at once, because an answer may be late
	shortestAssured = 100 * time.Millisecond // shorter timeouts count as this one
)

// allowance is what a stream may use. One goroutine at a time uses it.
type allowance struct {
	server   *Server
	use      *quota.Use
	existing bool          // the stream asks for a session that exists
	assured  *quota.Bucket // of renewals that are not refused; nil: full
}

// renews reports whether one more renewal is not refused, and counts it.
func (a *allowance) renews(now clock.Instant, timeoutMillis uint64) bool {
	if a.assured == nil {
		timeout := time.Duration(min(timeoutMillis, math.MaxInt32)) * time.Millisecond
		rate := assuredRenewals / max(timeout, shortestAssured).Seconds()
		a.assured = new(quota.NewBucket(rate, assuredBurst, now))
	}

	return a.assured.Take(now)
}

// overRate counts a request. It returns the text of the refusal if the request is over the rate. It refuses no Release
// and no Stop: they give something back.
func (s *stream) overRate(req node.Request) string {
	now := s.owner.env.clock.Now()
	switch req.(type) {
	case node.Release, node.Stop:
		s.entrance.use.Release(now)

		return ""
	}
	limit := s.entrance.use.Request(now)
	if limit == "" {
		return ""
	}
	if _, renewal := req.(node.Describe); renewal && s.entrance.renews(now, s.timeoutMillis) {
		s.entrance.use.Release(now)

		return ""
	}

	return s.entrance.server.exceeded(limit, s.pass.caller.name(), s.pass.peer)
}

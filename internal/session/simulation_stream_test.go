package session_test

import (
	"time"

	pb "github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"tenure/internal/clock"
	"tenure/internal/node"
	"tenure/internal/session"
	"tenure/internal/wire"
)

// passing are the statuses of Failures that do not end the session (docs/protocol.md, C2).
var passing = []node.Status{
	node.Unavailable, node.Timeout, node.Aborted, node.Undetermined, node.BadSession, node.PreconditionFailed,
	400060, // OVERLOADED
	400030, // INTERNAL_ERROR
	node.BadRequest, node.Unauthorized,
	400070, // SCHEME_ERROR
}

// stream is one stream between a client and the node, with the front server in between. The front server may be cut off
// from the node.
type stream struct {
	w    *world
	c    *client
	id   session.StreamID
	up   pipe // to the front server
	down pipe // to the client

	node     node.StreamID // 0: the stream has not asked the node to attach
	session  uint64
	epoch    uint64 // of the node at the time of the attach
	attached bool
	isolated bool            // the front server is cut off from the node
	ended    bool            // the stream has ended at the front server
	ping     uint64          // the ping that the client has not answered; 0: there is none
	period   time.Duration   // of the pings
	swallow  map[uint64]bool // requests that the front server has answered in place of the node
}

// pipe carries messages in one direction and in order, until it is dead.
type pipe struct {
	dead bool
	last clock.Instant
}

const (
	up = iota
	down
)

// carry calls f when a message that is sent now over the pipe arrives.
func (s *stream) carry(p *pipe, way int, f func()) {
	if p.dead {
		return
	}
	delay := s.c.latency
	if s.w.odds.Slow > 0 && s.w.chance(0.01) {
		s.w.hit.Slow++
		delay += s.w.between(0, 2*s.c.cfg.Timeout)
	}
	if delay > 0 && s.w.chance(0.3) {
		delay = time.Duration(s.w.rand.Int64N(int64(delay)))
	}
	at := max(s.w.now.Add(delay), p.last)
	if dark := s.c.dark[way]; s.w.now < dark {
		at = max(at, dark)
	}
	p.last = at
	s.w.at(at, func() {
		if !p.dead {
			f()
		}
	})
}

// send is called by the client. It sends a message to the front server.
func (s *stream) send(m *pb.SessionRequest) { s.carry(&s.up, up, func() { s.arrive(m) }) }

// drop is called by the client to leave the stream. The front server notices after the earlier messages, at some other
// time, or never.
func (s *stream) drop() {
	s.down.dead = true
	switch x := s.w.rand.Float64(); {
	case x < 0.6:
		s.carry(&s.up, up, s.end)
	case x < 0.8:
		s.up.dead = true
		s.w.after(s.w.between(0, s.c.cfg.Timeout), s.end)
	case x < 0.9:
		s.up.dead = true
	default: // the messages arrive, but the end of the stream does not
	}
}

// cut breaks the stream. Each end notices at a time of its own.
func (s *stream) cut() {
	s.w.log("%v: stream %d is cut", s.c, s.id)
	for _, p := range []*pipe{&s.up, &s.down} {
		if s.w.chance(0.5) {
			p.dead = true
		}
	}
	if s.w.chance(0.7) {
		s.w.after(s.w.between(0, s.c.cfg.Timeout), s.end)
	} else {
		s.end()
	}
	if s.w.chance(0.8) {
		s.tellEnd(status.Error(codes.Unavailable, "connection reset"))
	} else {
		s.down.dead = true
	}
}

// tellEnd lets the client notice that the stream has ended, after the messages that are under way if they still arrive.
func (s *stream) tellEnd(err error) {
	ended := func() { s.c.event(func() { s.c.ended(s, err) }) }
	if s.down.dead {
		s.w.after(s.w.between(0, s.c.cfg.Timeout), ended)

		return
	}
	s.carry(&s.down, down, ended)
}

// tell sends the client a message.
func (s *stream) tell(m *pb.SessionResponse) {
	s.carry(&s.down, down, func() { s.c.event(func() { s.c.received(s, m) }) })
}

// arrive handles a message from the client at the front server.
func (s *stream) arrive(m *pb.SessionRequest) {
	if s.ended {
		return
	}
	switch r := m.GetRequest().(type) {
	case *pb.SessionRequest_SessionStart_:
		s.start(r.SessionStart)
	case *pb.SessionRequest_Pong:
		if r.Pong.GetOpaque() != s.ping {
			s.fail(node.BadRequest) // P3
		}
		s.ping = 0
	default:
		s.forward(m)
	}
}

func (s *stream) start(m *pb.SessionRequest_SessionStart) {
	server := s.w.server
	switch {
	case s.w.now < s.c.barred:
		s.refuse()
	case !server.exists: // A3
		s.fail(node.NotFound)
	case server.node == nil:
		s.w.hit.Down++
		if s.w.chance(0.8) { // otherwise the client gets no answer
			s.end()
			s.tellEnd(status.Error(codes.Unavailable, "connection refused"))
		}
	default:
		server.last++
		s.node, s.epoch = server.last, server.epoch
		server.streams[s.node] = s
		s.w.log("%v: stream %d asks to attach to session %d as %d", s.c, s.id, m.GetSessionId(), s.node)
		server.apply(wire.Attach(s.node, m))
	}
}

// forward passes a request on to the node. Sometimes the front server answers in place of the node, with a status that
// does not say what the node has done.
func (s *stream) forward(m *pb.SessionRequest) {
	if d := m.GetDescribeSemaphore(); d != nil && s.w.now < s.c.denied { // Z2: also a front server that is cut off
		s.tell(wire.Response(node.Described{Result: node.Result{Req: d.GetReqId(), Status: node.Unauthorized}}))

		return
	}
	if s.isolated || !s.attached {
		return
	}
	if s.w.odds.Busy > 0 && s.w.chance(0.05) { // the request is not carried out (D6)
		if m := refused(wire.Request(node.From{}, m), 400060); m != nil {
			s.w.hit.Busy++
			s.tell(wire.Response(m))

			return
		}
	}
	a := m.GetAcquireSemaphore()
	r := m.GetReleaseSemaphore()
	if (a != nil || r != nil) && s.w.odds.FrontAnswers > 0 && s.w.chance(0.02) {
		s.w.hit.FrontAnswers++
		req := a.GetReqId() + r.GetReqId()
		s.swallow[req] = true
		result := node.Result{Req: req, Status: pick(s.w, node.Unavailable, node.Undetermined, node.Timeout)}
		if a != nil {
			s.tell(wire.Response(node.Acquired{Result: result}))
		} else {
			s.tell(wire.Response(node.Released{Result: result}))
		}
		if s.w.chance(0.5) {
			return
		}
	}
	s.w.server.apply(wire.Request(node.From{Stream: s.node, Session: s.session}, m))
}

// refused returns the result of a request, or nil if it has none.
func refused(req node.Request, code node.Status) node.Message {
	switch r := req.(type) {
	case node.Acquire:
		return node.Acquired{Result: node.Result{Req: r.Req, Status: code}}
	case node.Release:
		return node.Released{Result: node.Result{Req: r.Req, Status: code}}
	case node.Describe:
		return node.Described{Result: node.Result{Req: r.Req, Status: code}}
	default:
		return nil
	}
}

// reply handles a message from the node at the front server.
func (s *stream) reply(m node.Message) {
	if s.isolated || s.ended {
		return
	}
	switch m := m.(type) {
	case node.Attached:
		s.attached, s.session = true, m.Session
		s.period = min(max(time.Duration(m.TimeoutMillis)*time.Millisecond/3, 10*time.Millisecond), 5*time.Second)
		if s.w.seed%2 == 0 {
			m.TimeoutMillis = 0 // as YDB does (A7)
		}
		s.tell(wire.Response(m))
		s.tick()

		return
	case node.Acquired:
		if m.Status == node.Success && m.Acquired {
			s.c.granted(m.Req)
		}
		if s.swallow[m.Req] {
			return
		}
	case node.AcquirePending:
		if s.swallow[m.Req] {
			return
		}
	case node.Released:
		if s.swallow[m.Req] {
			return
		}
	}
	s.tell(wire.Response(m))
	switch m.(type) {
	case node.Failure, node.Stopped:
		s.tellEnd(nil)
		s.end()
	}
}

// tick sends the next ping, or fails the stream if the last one has not been answered (P1, P2).
func (s *stream) tick() {
	if s.ended {
		return
	}
	if s.ping != 0 {
		s.w.log("%v: stream %d: ping timeout", s.c, s.id)
		s.fail(node.Timeout)

		return
	}
	s.ping = 1 + s.w.rand.Uint64N(1<<62)
	s.tell(wire.Response(wire.Ping{Opaque: s.ping}))
	s.w.after(s.period, s.tick)
}

// fail ends the stream at the front server with a Failure (A2).
func (s *stream) fail(code node.Status) {
	if s.ended {
		return
	}
	s.w.log("%v: stream %d fails with %d", s.c, s.id, code)
	s.tell(wire.Response(node.Failure{Status: code}))
	s.tellEnd(nil)
	s.end()
}

// end ends the stream at the front server, which tells the node if it can.
func (s *stream) end() {
	if s.ended {
		return
	}
	s.ended, s.up.dead = true, true
	if !s.isolated {
		s.leave()
	}
}

// leave tells the node that the stream has ended (A10). It does so in a separate event, because the node may be in the
// middle of sending replies.
func (s *stream) leave() {
	at := s.w.server.node
	s.w.after(0, func() {
		if s.node != 0 && s.w.server.node == at {
			s.w.log("%v: stream %d (%d) detaches", s.c, s.id, s.node)
			s.w.server.apply(node.Detach{Stream: s.node})
			delete(s.w.server.streams, s.node)
		}
	})
}

// cutOff separates the front server from the node. The node learns that the stream has ended, while the front server
// keeps exchanging pings with the client until it notices.
func (s *stream) cutOff() {
	if s.isolated || s.ended {
		return
	}
	s.w.log("%v: stream %d: the front server is cut off from the node", s.c, s.id)
	s.isolated = true
	s.w.after(s.w.between(0, s.c.cfg.Timeout/2), s.leave)
	s.w.after(s.w.between(0, 3*s.c.cfg.Timeout), func() { s.fail(node.Unavailable) })
}

// orphan ends a stream whose node has crashed.
func (s *stream) orphan() {
	switch x := s.w.rand.Float64(); {
	case x < 0.4:
		s.end()
		s.tellEnd(status.Error(codes.Unavailable, "connection reset"))
	case x < 0.7:
		s.fail(node.Unavailable)
	default: // the front server survives the node
		s.isolated = true
		s.w.after(s.w.between(0, 3*s.c.cfg.Timeout), func() { s.fail(node.Unavailable) })
	}
}

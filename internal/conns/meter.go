package conns

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"

	"tenure/internal/clock"
	"tenure/internal/quota"
	"tenure/internal/turns"
)

// A connection may begin the calls of two seconds at the same time. More than that are answered with a refusal, which
// takes little work, and the client tries again later: a program that opens all its sessions at the same time repeats
// its attempts a few times. Only a connection that goes far beyond that is cut.
//
// If a connection from the same address was cut because of a rate in the last minute, a new one may do the same as any
// other, but much less of it at the same time: otherwise a client that connects again each time could do as much as it
// likes. The server reads from such a connection no faster than the rates allow. It does not cut the connection,
// because the connection may be that of an honest client which has the same address, as behind a proxy, and which
// attaches to thousands of sessions again. The pongs of that client wait too, but only for a few seconds: then the
// connection has used up what other connections may do at the same time, and is cut like these.
const (
	refusals      = 2 // calls are answered with a refusal up to this multiple of the rate; then the connection is cut
	burst         = 2 // seconds
	attempts      = 2 // for each call that a connection may have open, before the connection is cut because of the rate
	suspicion     = time.Minute
	suspectCalls  = 500 // at the same time
	suspectResets = 20
	suspectFrames = 200
	maxSuspects   = 10_000 // addresses
)

// earned is the number of other frames that may accompany each DATA frame. With each round trip, a client of gRPC sends
// a PING to measure the bandwidth. It also answers data with WINDOW_UPDATE frames. So a fast client would exceed any
// rate that stops a flood.
const earned = 3

// small is the length of a DATA frame below which a part of a message is too small to be useful.
const small = 256

// overhead is what a part of a message costs in addition to its bytes.
const overhead = 128

// prefixSize is the length of what precedes each message (a flag and the length).
const prefixSize = 5

// meter counts what a client sends on a connection. One goroutine reads from the connection and calls the methods of
// frameHandler. Another one, which writes, calls forget.
type meter struct {
	conn   *Conn
	limits *Limits

	// For the goroutine that reads.
	now           clock.Instant
	begins        quota.Bucket // calls that the server accepts
	calls, frames quota.Bucket
	resets        quota.Bucket // of streams that are younger than the marks
	newest        uint32       // stream
	begun         clock.Instant
	marks         [2]uint32 // newest at the last two times when marks were set; the first is old
	marked        clock.Instant
	credit        int    // resets of old streams that cost nothing: each belongs to a call that was counted
	body          int    // bytes of the DATA frame that belong to messages; -1: the length of the padding comes first
	exceeded      string // a limit

	bytes atomic.Int64 // of unfinished messages
	count atomic.Int64 // unfinished messages
	turn  atomic.Bool  // the connection has a turn of Limits.Turns

	mu         sync.Mutex // guards the rest
	unfinished map[uint32]*message
	alarm      clock.Timer // rings when a message should have arrived
	ended      bool
	woken      chan struct{} // ends a pause; nil: the connection does not wait
}

// message is a message of which a part has arrived.
type message struct {
	since  clock.Instant
	prefix [prefixSize]byte
	have   int // bytes, with the prefix
	need   int // bytes, with the prefix; 0: the prefix is not complete
	cost   int
}

func newMeter(c *Conn) *meter {
	l := c.set.limits
	now := l.Clock.Now()
	m := &meter{
		conn: c, limits: l, now: now,
		begins: quota.NewBucket(float64(l.CallRate), min(burst*l.CallRate, l.Calls), now),
		calls:  quota.NewBucket(float64(refusals*l.CallRate), attempts*l.Calls, now),
		resets: quota.NewBucket(float64(l.CallRate), l.CallRate, now),
		frames: quota.NewBucket(float64(l.FrameRate), l.FrameRate, now),
		begun:  now,
		marked: now,
	}
	if c.set.suspects(c.from, now) {
		m.calls.Spread(suspectCalls)
		m.resets.Spread(suspectResets)
		m.frames.Spread(suspectFrames)
	}

	return m
}

// begin implements frameHandler.
func (m *meter) begin(f frame) {
	switch {
	case f.kind == frameHeaders && f.stream > m.newest:
		m.mark()
		m.newest, m.begun = f.stream, m.now
		m.credit = min(m.credit+1, m.limits.Calls)
		m.take(&m.calls, limitCalls)
	case f.kind == frameReset:
		m.reset(f.stream)
	case f.kind == frameData && (f.length > 0 || f.flags&flagEndStream != 0):
		m.body = f.length
		if f.flags&flagPadded != 0 {
			m.body = -1
		}
	default:
		m.take(&m.frames, limitFrames)
	}
}

// old is the age of a stream from which a reset is not suspicious.
const old = time.Second

// mark notes which streams are old.
func (m *meter) mark() {
	switch {
	case m.now.Sub(m.begun) >= old:
		m.marks = [2]uint32{m.newest, m.newest}
		m.marked = m.now
	case m.now.Sub(m.marked) >= old:
		m.marks = [2]uint32{m.marks[1], m.newest}
		m.marked = m.now
	}
}

// reset counts a reset. A client that begins calls and resets them immediately does more harm than one that cancels
// calls later, as programs do when they end, or when a slow server has not answered many calls in time.
func (m *meter) reset(stream uint32) {
	m.mark()
	switch {
	case stream > m.marks[0]:
		m.take(&m.resets, limitResets)
	case m.credit > 0:
		m.credit--
	default:
		m.take(&m.frames, limitFrames)
	}
}

func (m *meter) take(b *quota.Bucket, limit string) {
	if !b.Take(m.now) {
		m.exceeded = limit
	}
}

// payload implements frameHandler.
func (m *meter) payload(f frame, part []byte) {
	if f.kind != frameData {
		return
	}
	if m.body < 0 {
		m.body = max(f.length-1-int(part[0]), 0)
		part = part[1:]
	}
	part = part[:min(len(part), m.body)]
	m.body -= len(part)
	if len(part) > 0 {
		m.receive(f.stream, part)
	}
}

// receive processes a part of the messages of a stream.
func (m *meter) receive(stream uint32, part []byte) {
	if m.count.Load() > 0 {
		part = m.resume(stream, part)
	}
	for len(part) >= prefixSize { // whole messages
		size := prefixSize + int(binary.BigEndian.Uint32(part[1:]))
		if len(part) < size {
			break
		}
		part = part[size:]
	}
	if len(part) > 0 {
		m.open(stream, part)
	}
}

// resume adds a part to the unfinished message of a stream, if there is one, and returns what does not belong to it.
func (m *meter) resume(stream uint32, part []byte) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	if begun := m.unfinished[stream]; begun != nil {
		return m.add(stream, begun, part)
	}

	return part
}

// open notes the beginning of a message.
func (m *meter) open(stream uint32, part []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ended {
		return
	}
	if m.unfinished == nil {
		m.unfinished = make(map[uint32]*message)
	}
	begun := &message{since: m.now}
	m.unfinished[stream] = begun
	if m.count.Add(1) == 1 {
		if m.alarm == nil {
			m.alarm = m.limits.Clock.NewAlarm(m.ring)
		}
		m.alarm.Set(m.now, m.now.Add(m.limits.Patience))
	}
	m.add(stream, begun, part)
}

// add adds a part to a message and returns what does not belong to it. It is called with mu held.
func (m *meter) add(stream uint32, begun *message, part []byte) []byte {
	if begun.have < prefixSize {
		n := copy(begun.prefix[begun.have:], part)
		begun.have += n
		m.charge(begun, n)
		if part = part[n:]; begun.have < prefixSize {
			return nil
		}
		begun.need = prefixSize + int(binary.BigEndian.Uint32(begun.prefix[1:]))
	}
	n := min(begun.need-begun.have, len(part))
	begun.have += n
	m.charge(begun, n)
	if begun.have == begun.need {
		m.drop(stream)
	}

	return part[n:]
}

func (m *meter) charge(begun *message, n int) {
	cost := n + overhead
	begun.cost += cost
	m.bytes.Add(int64(cost))
	m.conn.set.unfinished.Add(int64(cost))
}

// drop forgets a message. It is called with mu held.
func (m *meter) drop(stream uint32) {
	begun := m.unfinished[stream]
	if begun == nil {
		return
	}
	delete(m.unfinished, stream)
	m.bytes.Add(int64(-begun.cost))
	m.conn.set.unfinished.Add(int64(-begun.cost))
	if m.count.Add(-1) == 0 {
		m.alarm.Stop()
	}
}

// forget forgets a message of a stream that has ended.
func (m *meter) forget(stream uint32) {
	if m.count.Load() == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.drop(stream)
}

// end implements frameHandler.
func (m *meter) end(f frame) {
	switch {
	case f.kind == frameReset, f.kind == frameData && f.flags&flagEndStream != 0:
		m.forget(f.stream)
	case f.kind == frameData && f.length > 0 && f.length < small && m.count.Load() > 0 && m.partial(f.stream):
		m.take(&m.frames, limitFrames)
	case f.kind == frameData && f.length > 0:
		m.frames.Give(earned)
	}
}

func (m *meter) partial(stream uint32) bool {
	m.mu.Lock()
	defer m.mu.Unlock()

	return m.unfinished[stream] != nil
}

// check returns the limit that the connection has exceeded, or "".
func (m *meter) check() string {
	switch n := m.bytes.Load(); {
	case m.exceeded != "":
		return m.exceeded
	case n > int64(m.limits.Unfinished/4):
		return limitUnfinished
	case n > 0 && m.conn.set.unfinished.Load() > int64(m.limits.Unfinished):
		m.conn.set.cutLargest() // perhaps this one
	}

	return ""
}

// ring closes the connection if a message has not arrived in time.
func (m *meter) ring() {
	m.mu.Lock()
	now := m.limits.Clock.Now()
	oldest := now
	for _, begun := range m.unfinished {
		oldest = min(oldest, begun.since)
	}
	late := len(m.unfinished) > 0 && now.Sub(oldest) >= m.limits.Patience
	switch {
	case m.ended:
	case late, len(m.unfinished) == 0:
		m.alarm.Stop()
	default:
		m.alarm.Set(now, oldest.Add(m.limits.Patience))
	}
	cut := late && !m.ended
	m.mu.Unlock()
	if cut {
		m.conn.cut(limitPatience)
	}
}

// pause waits until the connection may do what it has sent, or is closed.
func (m *meter) pause() {
	debt := max(m.calls.Debt(m.now), m.resets.Debt(m.now), m.frames.Debt(m.now))
	if debt == 0 {
		return
	}
	m.mu.Lock()
	if m.ended || m.conn.set.hurried.Load() {
		m.mu.Unlock()

		return
	}
	woken := make(chan struct{})
	m.woken = woken
	m.mu.Unlock()
	timer := m.limits.Clock.NewTimer()
	defer timer.Stop()
	for until := m.now.Add(debt); m.now < until; m.now = m.limits.Clock.Now() {
		timer.Set(m.now, until)
		select {
		case <-timer.C():
		case <-woken:
			return
		}
	}
}

// takeTurn waits for the connection's turn if a large message is arriving, so that gRPC handles only what a few such
// connections have sent at the same time. The turn ends when gRPC reads again, or when the connection is closed.
func (m *meter) takeTurn() {
	if m.bytes.Load() < turns.Large || !m.limits.Turns.Take() {
		return
	}
	m.turn.Store(true)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ended {
		m.giveTurn()
	}
}

// giveTurn ends the connection's turn, if it has one.
func (m *meter) giveTurn() {
	if m.turn.CompareAndSwap(true, false) {
		m.limits.Turns.Give()
	}
}

// wake ends a pause. It is called with mu held.
func (m *meter) wake() {
	if m.woken != nil {
		close(m.woken)
		m.woken = nil
	}
}

// finish forgets all messages and ends a pause when the connection is closed. Calling it again is a no-op.
func (m *meter) finish() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.wake()
	m.ended = true
	m.giveTurn()
	for stream := range m.unfinished {
		m.drop(stream)
	}
}

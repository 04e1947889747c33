package node_test

import (
	"bytes"
	"slices"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tenure/internal/clock"
	"tenure/internal/node"
)

// TestNode_MatchesModel applies random operations, including restarts, to the node and to its model. The flags
// -rapid.checks and -rapid.steps make it run longer.
func TestNode_MatchesModel(t *testing.T) {
	t.Parallel()
	for i := range 3 { // each runs -rapid.checks times
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, matchModel)
		})
	}
}

// FuzzModel is TestNode_MatchesModel guided by the fuzzer: go test -run '^$' -fuzz FuzzModel ./internal/node.
func FuzzModel(f *testing.F) { f.Fuzz(rapid.MakeFuzz(matchModel)) }

func matchModel(t *rapid.T) {
	d := &drawer{pair: newPair(t)}
	d.date = firstDate
	d.begin(t)
	t.Repeat(map[string]func(*rapid.T){
		"attach":  func(t *rapid.T) { d.apply(d.attach(t)) },
		"end":     d.end,
		"advance": d.advance,
		"restart": d.lose,
		"batch":   d.batch,
		"queue":   d.batch, // repeated to make batches more frequent, so that queues grow
		"crowd":   d.batch,
		"":        func(*rapid.T) { d.requireSameState() },
	})
}

// drawer draws requests that a server may send, including late ones from streams that have ended.
type drawer struct {
	*pair
	last  node.StreamID
	froms []node.From // all streams that were ever attached
	req   uint64
}

var (
	tooLongString = string(bytes.Repeat([]byte("n"), longestName+1))
	tooLargeData  = make([]byte, largestData+1)
)

// begin creates the sessions and semaphores that most operations need.
func (d *drawer) begin(t *rapid.T) {
	for range 3 {
		d.last++
		d.froms = append(d.froms, node.From{Stream: d.last, Session: uint64(d.last)})
		d.apply(node.Attach{Stream: d.last, TimeoutMillis: pick[uint64](t, "timeout", 5, 1000)})
	}
	for _, name := range []string{"a", "b"} {
		d.apply(node.Create{From: d.froms[0], Semaphore: name, Limit: pick[uint64](t, "limit", 1, 2, 5)})
	}
}

// seldom is true once in 32.
func seldom(t *rapid.T, label string) bool { return rapid.IntRange(0, 31).Draw(t, label) == 31 }

func pick[T any](t *rapid.T, label string, of ...T) T { return rapid.SampledFrom(of).Draw(t, label) }

func (d *drawer) batch(t *rapid.T) {
	requests := make([]node.Request, rapid.IntRange(1, 8).Draw(t, "size"))
	for i := range requests {
		requests[i] = d.request(t)
	}
	d.apply(requests...)
}

func (d *drawer) request(t *rapid.T) node.Request {
	switch pick(t, "request", "acquire", "acquire", "acquire", "release", "release", "create", "create", "update",
		"delete", "describe", "describe", "tick") {
	case "acquire":
		return d.acquire(t)
	case "release":
		return node.Release{From: d.from(t), Req: d.nextReq(), Semaphore: d.semaphore(t)}
	case "create":
		return node.Create{
			From: d.from(t), Req: d.nextReq(), Semaphore: d.semaphore(t), Data: d.data(t),
			Limit: pick[uint64](t, "limit", 0, 1, 1, 2, 3, 5, 8, 1<<64-1),
		}
	case "update":
		return node.Update{From: d.from(t), Req: d.nextReq(), Semaphore: d.semaphore(t), Data: d.data(t)}
	case "delete":
		return node.Delete{
			From: d.from(t), Req: d.nextReq(), Semaphore: d.semaphore(t), Force: rapid.Bool().Draw(t, "force"),
		}
	case "describe":
		return node.Describe{
			From: d.from(t), Req: d.nextReq(), Semaphore: d.semaphore(t),
			IncludeOwners: rapid.Bool().Draw(t, "owners"), IncludeWaiters: rapid.Bool().Draw(t, "waiters"),
			WatchData: rapid.Bool().Draw(t, "watch data"), WatchOwners: rapid.Bool().Draw(t, "watch owners"),
		}
	default:
		return node.Tick{}
	}
}

func (d *drawer) acquire(t *rapid.T) node.Request {
	r := node.Acquire{
		From: d.from(t), Req: d.nextReq(), Semaphore: d.semaphore(t), Data: d.data(t),
		Count:         pick[uint64](t, "count", 1, 1, 1, 1, 2, 2, 3, 5, 1<<63, 1<<64-1),
		TimeoutMillis: pick[uint64](t, "timeout", 0, 0, 1, 5, 5, 5, 86_400_000, forever, forever),
	}
	r.Ephemeral = r.Semaphore == "e" || r.Semaphore == ""
	if seldom(t, "odd") {
		switch rapid.IntRange(0, 2).Draw(t, "oddity") {
		case 0:
			r.Count = 0
		case 1:
			r.TimeoutMillis = 86_400_001
		default:
			r.Ephemeral = !r.Ephemeral
		}
	}

	return r
}

func (d *drawer) attach(t *rapid.T) node.Request {
	d.last++
	r := node.Attach{
		Stream:        d.last,
		Session:       rapid.Uint64Range(0, d.model.lastIDs.session+1).Draw(t, "session"),
		Seq:           rapid.Uint64Range(0, 3).Draw(t, "seq"),
		TimeoutMillis: pick[uint64](t, "timeout", 0, 1, 5, 5, 5, 1000, 1000, 1_800_000),
		Description:   pick(t, "description", "", "d"),
	}
	if rapid.IntRange(0, 3).Draw(t, "keyed") == 3 {
		r.ProtectionKey = pick(t, "key", []byte("k"), []byte("0123456789abcdef"))
	}
	if len(d.model.sessions) < 4 && rapid.Bool().Draw(t, "new") {
		r.Session = 0
	}
	if s := d.model.session(r.Session); s != nil && rapid.IntRange(0, 3).Draw(t, "right") > 0 {
		r.Seq, r.ProtectionKey = s.seq, s.key
	}
	if seldom(t, "odd") {
		switch rapid.IntRange(0, 2).Draw(t, "oddity") {
		case 0:
			r.TimeoutMillis = 1_800_001
		case 1:
			r.Description = tooLongString
		default:
			r.ProtectionKey = []byte("0123456789abcdefg")
		}
	}
	if seldom(t, "twice") { // a stream that has already started a session
		r.Stream = d.from(t).Stream

		return r
	}
	session := r.Session
	if session == 0 {
		session = d.model.lastIDs.session + 1
	}
	d.froms = append(d.froms, node.From{Stream: r.Stream, Session: session})

	return r
}

// end ends some streams or sessions at the same instant.
func (d *drawer) end(t *rapid.T) {
	ends := make([]node.Request, rapid.IntRange(1, 3).Draw(t, "ends"))
	for i := range ends {
		from := d.from(t)
		switch pick(t, "end", "detach", "detach", "abandon", "stop", "expire") {
		case "detach":
			ends[i] = node.Detach{Stream: from.Stream}
		case "abandon":
			ends[i] = node.Abandon{Stream: from.Stream}
		case "expire":
			ends[i] = d.expire(t)
		default:
			ends[i] = node.Stop{From: from}
		}
	}
	d.apply(ends...)
}

// expire draws an Expire, usually for a detached session.
func (d *drawer) expire(t *rapid.T) node.Request {
	detached := slices.DeleteFunc(slices.Clone(d.model.sessions), func(s *modelSession) bool { return s.stream != 0 })
	if len(detached) == 0 || rapid.IntRange(0, 3).Draw(t, "any") == 3 {
		return node.Expire{Session: rapid.Uint64Range(0, d.model.lastIDs.session+1).Draw(t, "session")}
	}

	return node.Expire{Session: rapid.SampledFrom(detached).Draw(t, "detached").id}
}

// from draws the sender of a request, usually an attached stream.
func (d *drawer) from(t *rapid.T) node.From {
	if seldom(t, "stale") {
		if len(d.froms) > 0 {
			f := rapid.SampledFrom(d.froms).Draw(t, "from")
			if seldom(t, "mixed up") {
				f.Session = rapid.SampledFrom(d.froms).Draw(t, "other").Session
			}

			return f
		}
	}
	var attached []node.From
	for _, s := range d.model.sessions {
		if s.stream != 0 {
			attached = append(attached, node.From{Stream: s.stream, Session: s.id})
		}
	}
	if len(attached) == 0 {
		return node.From{Stream: d.last, Session: 1}
	}

	return rapid.SampledFrom(attached).Draw(t, "from")
}

func (d *drawer) nextReq() uint64 { d.req++; return d.req }

func (d *drawer) semaphore(t *rapid.T) string {
	if seldom(t, "long") {
		return tooLongString
	}

	return pick(t, "semaphore", "a", "a", "a", "b", "b", "c", "e", "e", "")
}

func (d *drawer) data(t *rapid.T) []byte {
	if seldom(t, "large") {
		return tooLargeData
	}

	return pick(t, "data", nil, []byte{}, []byte("x"), []byte("y"))
}

// advance moves the clock to the next deadline, to just before it, further ahead, or a little back. Moving it back has
// no effect on the node. It then applies a request.
func (d *drawer) advance(t *rapid.T) {
	wake := d.model.wake()
	switch pick(t, "to", "wake", "wake", "wake", "before", "beyond", "far", "back") {
	case "wake":
		d.now = max(d.now, wake)
	case "before":
		d.now = max(d.now, wake-1)
	case "beyond":
		d.now = d.now.Add(time.Duration(rapid.IntRange(0, 10).Draw(t, "ms")) * time.Millisecond)
	case "far":
		d.now = d.now.Add(time.Duration(rapid.IntRange(0, 60).Draw(t, "s")) * time.Second)
	default: // the wall clock stays where it was put
		d.date = pick[uint64](t, "date", 0, firstDate, firstDate+1_000)
		now := d.now
		defer func() { d.now = now }()
		d.now = max(1, d.now-clock.Instant(rapid.IntRange(0, 10).Draw(t, "ms"))*clock.Instant(time.Millisecond))
	}
	d.apply(pick[node.Request](t, "with", node.Tick{}, d.request(t)))
}

// lose restarts the node, sometimes with another clock origin and with other settings. Some sessions come back
// immediately.
func (d *drawer) lose(t *rapid.T) {
	if rapid.Bool().Draw(t, "another clock") {
		d.now = clock.Instant(rapid.IntRange(1, 1_000_000_000).Draw(t, "origin"))
	}
	d.restart(node.Config{
		SelfCheckPeriodMillis:    pick[uint32](t, "self check", 0, 1, 500, 5_000, 20_000),
		SessionGracePeriodMillis: pick[uint32](t, "grace", 0, 1, 2_000, 20_000, 40_000),
	})
	d.apply(node.Tick{})
	for _, s := range slices.Clone(d.model.sessions) {
		if rapid.IntRange(0, 3).Draw(t, "comes back") > 0 {
			d.last++
			d.froms = append(d.froms, node.From{Stream: d.last, Session: s.id})
			d.apply(node.Attach{Stream: d.last, Session: s.id, ProtectionKey: s.key, TimeoutMillis: s.timeout})
		}
	}
}

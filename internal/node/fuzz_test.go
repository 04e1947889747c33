package node_test

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/node"
)

// FuzzRequests interprets bytes as a sequence of requests, including requests that no server sends: from streams that
// never existed, and with arbitrary numbers. The invariants of the node must hold, and it must do what the model does.
//
//	go test -run '^$' -fuzz FuzzRequests ./internal/node
func FuzzRequests(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{ // two sessions and a semaphore: one acquires it, the other waits, the first stops
		0, 1, 0, 0, 7, 0, 0,
		0, 2, 0, 0, 7, 0, 0,
		5, 1, 1, 1, 1, 0, 0,
		3, 1, 1, 1, 1, 1, 9, 0, 1,
		3, 2, 2, 1, 1, 1, 9, 0, 1,
		2, 1, 1,
	})
	f.Add([]byte{ // an ephemeral semaphore, a watch, the end of the stream, a pause, a restart, another pause
		0, 1, 0, 0, 5, 0, 0,
		3, 1, 1, 3, 2, 1, 9, 0, 0,
		8, 1, 1, 3, 15, 1,
		1, 1, 0,
		10, 4, 1,
		11, 0, 0,
		10, 20, 2,
	})
	f.Add([]byte{ // an owner and a waiter: Expire does nothing while the owner is attached, and ends it once detached
		0, 1, 0, 0, 7, 0, 0,
		0, 2, 0, 0, 7, 0, 0,
		3, 1, 1, 3, 1, 1, 9, 0, 0,
		3, 2, 2, 3, 1, 1, 9, 0, 0,
		9, 1,
		1, 1, 0,
		9, 1,
	})
	f.Fuzz(func(t *testing.T, data []byte) {
		p := newPair(t)
		in := source{rest: data}
		for steps := 0; len(in.rest) > 0 && steps < 200; steps++ {
			switch op := in.byte() % 12; op {
			case 10:
				p.now = p.now.Add(in.duration())
				p.apply(node.Tick{})
			case 11:
				p.restart(node.Config{
					SelfCheckPeriodMillis: uint32(in.number()), SessionGracePeriodMillis: uint32(in.number()),
				})
			default:
				p.apply(in.request(op))
			}
			p.node.Check()
			if steps%16 == 0 {
				p.requireSameState()
			}
		}
		p.requireSameState()
	})
}

// source draws values from the fuzzer's bytes. When the bytes run out, the values are zero or empty.
type source struct{ rest []byte }

func (s *source) byte() byte {
	if len(s.rest) == 0 {
		return 0
	}
	b := s.rest[0]
	s.rest = s.rest[1:]

	return b
}

func (s *source) bytes(n int) []byte {
	n = min(n, len(s.rest))
	b := s.rest[:n]
	s.rest = s.rest[n:]

	return slices.Clone(b)
}

// number returns a small number, a number at one of the protocol's limits, or an arbitrary one.
func (s *source) number() uint64 {
	edges := []uint64{1 << 63, 1<<64 - 1, 1<<64 - 2, 1_800_000, 1_800_001, 86_400_000, 86_400_001, 1<<32 - 1}
	switch b := s.byte(); {
	case b < 200:
		return uint64(b)
	case b < 240:
		return edges[int(b)%len(edges)]
	default:
		var n [8]byte
		copy(n[:], s.bytes(8))

		return binary.LittleEndian.Uint64(n[:])
	}
}

// duration returns a duration that is small enough that the sum of those in a run fits in an instant.
func (s *source) duration() time.Duration {
	units := []time.Duration{1, time.Millisecond, time.Second, time.Hour}

	return time.Duration(s.byte()) * units[int(s.byte())%len(units)]
}

func (s *source) name() string {
	switch b := s.byte(); {
	case b < 8:
		return fmt.Sprint(b)
	case b == 8:
		return tooLongString
	default:
		return string(s.bytes(int(b) % 8))
	}
}

func (s *source) data() []byte {
	if b := s.byte(); b < 255 {
		return s.bytes(int(b) % 8)
	}

	return tooLargeData
}

func (s *source) from() node.From {
	return node.From{Stream: node.StreamID(s.number()), Session: s.number()}
}

func (s *source) request(op byte) node.Request {
	switch op {
	case 0:
		r := node.Attach{
			Stream: node.StreamID(s.number()), Session: s.number(), Seq: s.number(), TimeoutMillis: s.number(),
			Description: string(s.data()), ProtectionKey: s.bytes(int(s.byte()) % 20),
		}
		if r.Stream == 0 {
			r.Stream = 1 // 0 is not a stream
		}

		return r
	case 1:
		stream := node.StreamID(s.number())
		if s.byte()%2 == 0 {
			return node.Detach{Stream: stream}
		}

		return node.Abandon{Stream: stream}
	case 2:
		return node.Stop{From: s.from()}
	case 3:
		return node.Acquire{
			From: s.from(), Semaphore: s.name(), Req: s.number(), Count: s.number(), TimeoutMillis: s.number(),
			Data: s.data(), Ephemeral: s.byte()%2 == 0,
		}
	case 4:
		return node.Release{From: s.from(), Semaphore: s.name(), Req: s.number()}
	case 5:
		return node.Create{From: s.from(), Semaphore: s.name(), Limit: s.number(), Data: s.data(), Req: s.number()}
	case 6:
		return node.Update{From: s.from(), Semaphore: s.name(), Data: s.data(), Req: s.number()}
	case 7:
		return node.Delete{From: s.from(), Semaphore: s.name(), Force: s.byte()%2 == 0, Req: s.number()}
	case 8:
		from, name, flags := s.from(), s.name(), s.byte()

		return node.Describe{
			From: from, Semaphore: name, Req: s.number(),
			IncludeOwners: flags&1 > 0, IncludeWaiters: flags&2 > 0, WatchData: flags&4 > 0, WatchOwners: flags&8 > 0,
		}
	default:
		return node.Expire{Session: s.number()}
	}
}

// FuzzLoad interprets bytes as records in any order, with correct or wrong checksums. Load must either return
// ErrDamaged or accept the records because a node can have written them. In the second case, the invariants of the
// loaded node hold, it behaves like a model of the same records until no deadline is left, and encoding the state again
// gives the same records.
//
//	go test -run '^$' -fuzz FuzzLoad ./internal/node
func FuzzLoad(f *testing.F) {
	f.Add([]byte{})
	f.Add(packed(goldenRecords(f, 1)))
	f.Add(packed(goldenRecords(f, 2)))
	for i := range goldenRecords(f, 2) { // without one of the records
		f.Add(packed(slices.Delete(goldenRecords(f, 2), i, i+1)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		in := unpacked(data)
		n, err := node.Load(1, node.Config{}, yield(in))
		if err != nil {
			require.ErrorIs(t, err, node.ErrDamaged)
			require.Nil(t, n)

			return
		}
		n.Check()

		stored := records{}
		for _, r := range in {
			require.NotContains(t, stored, string(r.Key), "Load accepted a duplicate record")
			stored[string(r.Key)] = r.Value
		}
		st, err := stored.state()
		require.NoError(t, err, "Load accepted a record that the second reader of the format rejects")
		require.Equal(t, stored, written(st), "Load accepted a record that a node would write differently")

		p := &pair{t: t, model: modelOf(st), durable: stored, now: 1}
		p.restart(node.Config{})
		p.requireSameState()
		p.apply(node.Tick{})
		for wake := p.model.wake(); wake != 0; wake = p.model.wake() {
			p.now = wake
			p.apply(node.Tick{})
			p.node.Check()
		}
		p.requireSameState()
	})
}

// packed and unpacked convert records to a fuzzer's bytes and back. Each record is a byte that says whether to append a
// correct checksum, followed by the key and the value, each preceded by its length.
func packed(rs []node.Record) []byte {
	var b []byte
	for _, r := range rs {
		value := r.Value[:len(r.Value)-4]
		b = append(append(b, 1, byte(len(r.Key))), r.Key...)
		b = append(append(b, byte(len(value))), value...)
	}

	return b
}

func unpacked(data []byte) []node.Record {
	var rs []node.Record
	for in := (source{rest: data}); len(in.rest) > 0; {
		right := in.byte() != 0
		r := node.Record{Key: in.bytes(int(in.byte()))}
		if r.Value = in.bytes(int(in.byte())); right {
			r.Value = append(r.Value, checksum(r.Key, r.Value)...)
		}
		rs = append(rs, r)
	}

	return rs
}

func yield(rs []node.Record) func(func(node.Record, error) bool) {
	return func(yield func(node.Record, error) bool) {
		for _, r := range rs {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// written encodes the state with a second, independent writer of the format.
func written(st state) records {
	rs := records{}
	put := func(key, fields []byte) { rs[string(key)] = append(fields, checksum(key, fields)...) }
	id := binary.BigEndian.AppendUint64
	number := binary.AppendUvarint
	text := func(b []byte, s string) []byte { return append(number(b, uint64(len(s))), s...) }

	if st.counters != (countersRecord{}) {
		c := st.counters
		put([]byte("c"), number(number(number(nil, c.session), c.semaphore), c.order))
	}
	for _, s := range st.sessions {
		put(id([]byte("s"), s.id), text(text(number(nil, s.timeout), s.description), s.key))
	}
	for _, s := range st.semaphores {
		var ephemeral uint64
		if s.ephemeral {
			ephemeral = 1
		}
		put(id([]byte("m"), s.id), text(number(number(text(nil, s.name), s.limit), ephemeral), s.data))
	}
	for _, l := range st.links {
		fields := number(number(number(nil, l.order), l.count), l.timeout)
		fields = text(fields, l.data)
		if l.since > 0 {
			fields = number(fields, l.since)
		}
		put(id(id([]byte("l"), l.session), l.semaphore), fields)
	}

	return rs
}

package logstore

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"tenure/internal/node"
	"tenure/internal/store"
)

func drawBatch(t *rapid.T) store.Batch {
	b := store.Batch{
		Space: store.Space(rapid.Uint64().Draw(t, "space")),
		Drop: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) store.Space {
			return store.Space(rapid.Uint64().Draw(t, "dropped"))
		}), 0, 4).Draw(t, "drop"),
	}
	for range rapid.IntRange(0, 5).Draw(t, "changes") {
		r := node.Record{Key: rapid.SliceOf(rapid.Byte()).Draw(t, "key")}
		if !rapid.Bool().Draw(t, "delete") {
			r.Value = rapid.SliceOf(rapid.Byte()).Draw(t, "value")
		}
		b.Changes = append(b.Changes, r)
	}

	return b
}

// What was encoded can be decoded, also as one of several frames, and the size of a batch is not underestimated.
func TestFrame_RoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		batches := rapid.SliceOfN(rapid.Custom(drawBatch), 1, 4).Draw(t, "batches")
		var log []byte
		for i, b := range batches {
			before := len(log)
			log = appendFrame(log, uint64(i+1), uint64(i), func(buf []byte) []byte { return appendBatch(buf, b) })
			require.Zero(t, len(log)%frameAlign)
			require.LessOrEqual(t, len(log)-before, frameHeader+batchSize(b)+frameAlign)
		}
		salt := rapid.Uint32().Draw(t, "salt")
		seal(log, salt)
		_, _, ok := parseFrame(log, salt^1)
		require.False(t, ok, "the salt is another one")
		for i, want := range batches {
			f, size, ok := parseFrame(log, salt)
			require.True(t, ok)
			require.Equal(t, uint64(i+1), f.number)
			require.Equal(t, uint64(i), f.durable)
			log = log[size:]
			space, drop, changes, err := decodeHead(f.payload)
			require.NoError(t, err)
			require.Equal(t, want.Space, space)
			require.ElementsMatch(t, want.Drop, drop)
			var got []node.Record
			for d := (decoder{rest: changes}); len(d.rest) > 0; {
				key, value := d.change()
				require.NoError(t, d.err)
				got = append(got, node.Record{Key: key, Value: value})
			}
			require.Len(t, got, len(want.Changes))
			for i, r := range want.Changes {
				require.Equal(t, string(r.Key), string(got[i].Key))
				require.Equal(t, r.Value == nil, got[i].Value == nil)
				require.Equal(t, string(r.Value), string(got[i].Value))
			}
		}
		require.Empty(t, log)
	})
}

// A frame with any flipped bit is not intact, unless the bit is in the padding.
func TestFrame_FlippedBit(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := drawBatch(t)
		frame := appendFrame(nil, 3, 2, func(buf []byte) []byte { return appendBatch(buf, b) })
		seal(frame, testSalt)
		end := frameHeader + payloadSize(frame)
		bit := rapid.IntRange(0, 8*end-1).Draw(t, "bit")
		frame[bit/8] ^= 1 << (bit % 8)
		_, _, ok := parseFrame(frame, testSalt)
		require.False(t, ok)
	})
}

// Decoders accept any bytes. They return an error or something, and do not panic.
func TestDecode_AnyBytes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, decodeAny)
}

func FuzzDecode(f *testing.F) { f.Fuzz(rapid.MakeFuzz(decodeAny)) }

func decodeAny(t *rapid.T) {
	b := rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")
	_, _, _ = parseFrame(b, 0)
	_, _, changes, err := decodeHead(b)
	if err == nil {
		_ = new(fold).apply(changes)
	}
	var names []string
	for _, suffix := range []string{"", segmentKind.suffix, snapshotKind.suffix, newSuffix} {
		names = append(names, string(b)+suffix)
	}
	_ = sortOut(names)
	_, _ = readLedger(contentOf(t, b))
	_, _, _ = segmentKind.check(contentOf(t, b), 1)

	// A snapshot whose checksums are right, but whose index and sections are arbitrary.
	d := newMemDisk()
	v := &memView{d, func(change) error { return nil }}
	created, err := v.Create("any")
	require.NoError(t, err)
	w, err := newSnapshotWriter(created, 1)
	require.NoError(t, err)
	w.block = append(w.block, b...)
	require.NoError(t, w.flush())
	w.content = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) section {
		return section{
			space: store.Space(rapid.Uint64().Draw(t, "space")), end: rapid.Int64().Draw(t, "end"),
		}
	}), 0, 3).Draw(t, "index")
	if rapid.Bool().Draw(t, "plausible") {
		w.content = append([]section{{0, headerSize, w.at}}, w.content...)
	}
	require.NoError(t, w.finish(1))
	s, err := readSnapshot(1, share(created, "any"))
	if err != nil {
		require.True(t, isDamage(err), "%v", err)

		return
	}
	for _, sec := range s.sections {
		if err := s.merged(sec, new(latest), func(node.Record) bool { return true }); err != nil {
			require.True(t, isDamage(err), "%v", err)
		}
	}
}

// contentOf returns a file with the content.
func contentOf(t *rapid.T, b []byte) file {
	f, err := (&memView{image{"any": b}.disk(), nil}).Open("any")
	require.NoError(t, err)

	return f
}

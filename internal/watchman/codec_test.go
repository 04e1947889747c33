package watchman

import (
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"tenure/internal/clock"
)

// A connection carries messages one after the other, whatever they contain.
func TestCodec(t *testing.T) {
	t.Parallel()
	texts := rapid.Custom(func(t *rapid.T) string { return string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")) })
	requests := rapid.Custom(func(t *rapid.T) Request {
		r := Request{
			Extend: clock.Instant(rapid.Int64().Draw(t, "extend")), Signal: rapid.Int().Draw(t, "signal"),
			Reap: rapid.Bool().Draw(t, "reap"), Done: rapid.Bool().Draw(t, "done"),
		}
		if rapid.Bool().Draw(t, "starts") {
			r.Start = &Start{
				Path: texts.Draw(t, "path"), Argv: rapid.SliceOfN(texts, 1, 3).Draw(t, "argv"),
				Env: rapid.SliceOfN(texts, 1, 3).Draw(t, "env"), Ignored: []syscall.Signal{1, 64},
				Stands: rapid.Int().Draw(t, "stands"), NoTerminal: true, State: rapid.Bool().Draw(t, "state"),
				Lifelines: 1, Holder: "lock x", Task: texts.Draw(t, "task"),
			}
		}
		if rapid.Bool().Draw(t, "leases") {
			r.Lease = &Lease{
				Deadline: -1, DSN: texts.Draw(t, "dsn"), Path: "/local/node", Session: rapid.Uint64().Draw(t, "session"),
				Key: []byte("key"), Timeout: time.Minute, Auth: []byte("{}"),
			}
		}

		return r
	})
	rapid.Check(t, func(t *rapid.T) {
		sent := rapid.SliceOfN(requests, 1, 3).Draw(t, "sent")
		var b []byte
		for i := range sent {
			b = Encode(b, &sent[i])
		}
		cut := rapid.IntRange(0, len(b)-1).Draw(t, "cut")
		received := 0
		for rest, ok := b[:cut], true; ok; {
			var r Request
			var err error
			rest, ok, err = Decode(rest, &r)
			require.NoError(t, err)
			if ok {
				require.Equal(t, sent[received], r)
				received++
			}
		}
		require.Less(t, received, len(sent))
		rest := b
		for i := range sent {
			var r Request
			var ok bool
			var err error
			rest, ok, err = Decode(rest, &r)
			require.NoError(t, err)
			require.True(t, ok)
			require.Equal(t, sent[i], r)
		}
		require.Empty(t, rest)
	})
}

// What is no message is an error, and never more memory than it has bytes.
func TestCodec_Invalid(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := Encode(nil, &Request{Start: &Start{Argv: []string{"true"}, Env: []string{"A=b"}}})
		at := rapid.IntRange(0, len(b)-1).Draw(t, "at")
		b[at] ^= rapid.ByteRange(1, 255).Draw(t, "flip")
		var r Request
		_, _, _ = Decode(b, &r) // it may still be a message
		short := Encode(nil, &Event{Kind: Started})
		short[numberSize-1]-- // the size
		_, _, err := Decode(short, &Event{})
		require.ErrorIs(t, err, errFrame)
	})
}

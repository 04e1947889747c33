package wire_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"tenure/internal/node"
	"tenure/internal/wire"
)

// A Sending has the same encoding as its message. It counts the bytes until the last reference to them is gone.
func TestSending(t *testing.T) {
	t.Parallel()
	replies := []*rapid.Generator[any]{
		rapid.Make[wire.Ping]().AsAny(), rapid.Make[node.Attached]().AsAny(), rapid.Make[node.Failure]().AsAny(),
		rapid.Make[node.Acquired]().AsAny(), rapid.Make[node.Described]().AsAny(), rapid.Make[node.Changed]().AsAny(),
	}
	c := wire.NewCodec(nil)
	rapid.Check(t, func(t *rapid.T) {
		reply := rapid.OneOf(replies...).Draw(t, "reply")
		var s wire.Sending
		s.Message = reply
		got, err := c.Marshal(&s)
		want, wantErr := c.Marshal(reply)
		require.Equal(t, wantErr == nil, err == nil, "%v, %v", wantErr, err)
		if err != nil {
			require.Zero(t, s.Unsent())

			return
		}
		require.Equal(t, want.Materialize(), got.Materialize())
		require.EqualValues(t, got.Len(), s.Unsent())
		got.Ref()
		got.Free()
		require.EqualValues(t, got.Len(), s.Unsent())
		got.Free()
		require.Zero(t, s.Unsent())
	})
}

// The bytes of a large answer count too, and its receipt learns when it has been sent.
func TestSending_Answer(t *testing.T) {
	t.Parallel()
	c := wire.NewCodec(nil)
	for _, size := range []int{0, 100 << 10} {
		var sent receipts
		s := wire.Sending{Message: &wire.Answer{
			Described: node.Described{Semaphore: &node.Description{Data: make([]byte, size)}}, Size: size, Receipt: &sent,
		}}
		data, err := c.Marshal(&s)
		require.NoError(t, err)
		if size > 0 {
			require.EqualValues(t, data.Len(), s.Unsent())
			require.Zero(t, sent)
		}
		data.Free()
		require.Zero(t, s.Unsent())
		require.EqualValues(t, 1, sent)
	}
}

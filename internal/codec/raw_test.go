package codec_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/mem"

	"tenure/internal/codec"
)

// A raw message is what has arrived, after the sender's buffers have been freed as well.
func TestRaw(t *testing.T) {
	t.Parallel()
	c := codec.New()
	sent := make([]byte, 4<<10) // buffers of this size are used again
	for i := range sent {
		sent[i] = byte(i)
	}
	pool := mem.DefaultBufferPool()
	arrived := mem.BufferSlice{mem.Copy(sent[:2<<10], pool), mem.Copy(sent[2<<10:], pool)}
	var raw codec.Raw
	require.NoError(t, c.Unmarshal(arrived, &raw))
	arrived.Free()
	other := mem.Copy(make([]byte, 2<<10), pool)
	out, err := c.Marshal(&raw)
	require.NoError(t, err)
	require.Equal(t, sent, out.Materialize())
	out.Free()
	other.Free()
}

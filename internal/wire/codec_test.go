package wire_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // the oracle
	"pgregory.net/rapid"

	"tenure/internal/node"
	"tenure/internal/wire"
)

// The codec encodes each reply to the same bytes as gRPC's own codec encodes the message for the reply.
func TestCodec(t *testing.T) {
	t.Parallel()
	replies := []*rapid.Generator[any]{
		rapid.Make[wire.Ping]().AsAny(), rapid.Make[wire.Pong]().AsAny(), rapid.Make[node.Attached]().AsAny(),
		rapid.Make[node.Failure]().AsAny(), rapid.Make[node.Stopped]().AsAny(), rapid.Make[node.Acquired]().AsAny(),
		rapid.Make[node.AcquirePending]().AsAny(), rapid.Make[node.Released]().AsAny(),
		rapid.Make[node.Created]().AsAny(), rapid.Make[node.Updated]().AsAny(), rapid.Make[node.Deleted]().AsAny(),
		rapid.Make[node.Described]().AsAny(), rapid.Make[node.Changed]().AsAny(),
	}
	c, oracle := wire.NewCodec(), encoding.GetCodecV2("proto")
	rapid.Check(t, func(t *rapid.T) {
		reply := rapid.OneOf(replies...).Draw(t, "reply")
		got, err := c.Marshal(reply)
		want, wantErr := oracle.Marshal(wire.Response(reply))
		require.Equal(t, wantErr == nil, err == nil, "%v, %v", wantErr, err)
		require.Equal(t, want.Materialize(), got.Materialize())
		got.Free()
	})
}

// The codec refuses what is neither a message nor a reply.
func TestCodec_OtherTypes(t *testing.T) {
	t.Parallel()
	_, err := wire.NewCodec().Marshal("text")
	require.Error(t, err)
}

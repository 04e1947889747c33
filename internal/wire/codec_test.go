package wire_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Scheme"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // the oracle
	"google.golang.org/protobuf/proto"
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
	c, oracle := wire.NewCodec(nil), encoding.GetCodecV2("proto")
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
	_, err := wire.NewCodec(nil).Marshal("text")
	require.Error(t, err)
}

type receipts int

func (r *receipts) Sent() { *r++ }

// A large answer has the same bytes as a small one. Its receipt learns when the last reference to them is gone.
func TestCodec_Answer(t *testing.T) {
	t.Parallel()
	c, oracle := wire.NewCodec(nil), encoding.GetCodecV2("proto")
	check := func(t require.TestingT, d node.Described) {
		var sent receipts
		got, err := c.Marshal(&wire.Answer{Described: d, Receipt: &sent})
		want, wantErr := oracle.Marshal(wire.Response(d))
		require.Equal(t, wantErr == nil, err == nil, "%v, %v", wantErr, err)
		require.Equal(t, want.Materialize(), got.Materialize())
		if err != nil {
			return
		}
		got.Ref()
		got.Free()
		if got.Len() > 1<<10 {
			require.Zero(t, sent)
		}
		got.Free()
		require.EqualValues(t, 1, sent)
	}
	rapid.Check(t, func(t *rapid.T) { check(t, rapid.Make[node.Described]().Draw(t, "description")) })
	check(t, node.Described{
		Result: node.Result{Req: 1, Status: node.Success}, WatchAdded: true, Semaphore: &node.Description{
			Name: "job", Owners: make([]node.Holder, 3),
			Waiters: slices.Repeat([]node.Holder{{OrderID: 7, Data: make([]byte, 99)}}, 99),
		},
	})
}

// The same for the answer to a unary call.
func TestCodec_Large(t *testing.T) {
	t.Parallel()
	var sent receipts
	m := &Ydb_Scheme.DescribePathResult{Self: &Ydb_Scheme.Entry{Name: strings.Repeat("x", 2<<10)}}
	got, err := wire.NewCodec(nil).Marshal(wire.Large{Message: m, Receipt: &sent})
	require.NoError(t, err)
	want, err := proto.Marshal(m)
	require.NoError(t, err)
	require.Equal(t, want, got.Materialize())
	require.Zero(t, sent)
	got.Free()
	require.EqualValues(t, 1, sent)
}

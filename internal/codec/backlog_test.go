package codec_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	pb "github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
	"pgregory.net/rapid"

	"tenure/internal/codec"
)

// A codec for requests encodes any request like the oracle, or refuses it. It counts the bytes until gRPC has freed the
// last reference to them.
func TestRequests(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := codec.NewRequests()
		m := &pb.SessionRequest{}
		fill(t, m.ProtoReflect(), 3)
		want, fault := oracle.Marshal(m)
		got, err := c.Marshal(m)
		if fault != nil {
			require.Error(t, err)
			require.Zero(t, c.Unsent())

			return
		}
		require.NoError(t, err)
		require.Equal(t, want.Materialize(), got.Materialize())
		require.EqualValues(t, want.Len(), c.Unsent())
		got.Ref()
		got.Free()
		require.EqualValues(t, want.Len(), c.Unsent())
		got.Free()
		require.Zero(t, c.Unsent())
	})
}

// Large requests count as well.
func TestRequests_Large(t *testing.T) {
	t.Parallel()
	c := codec.NewRequests()
	for _, m := range withData(make([]byte, 1<<20)) {
		data, err := c.Marshal(m)
		require.NoError(t, err)
		require.EqualValues(t, data.Len(), c.Unsent())
		require.Greater(t, data.Len(), 1<<20)
		data.Free()
		require.Zero(t, c.Unsent())
	}
}

package codec_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	pb "github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
	"google.golang.org/grpc/encoding"

	"tenure/internal/codec"
)

// BenchmarkPair encodes and decodes the four messages of an acquire and a release, with this codec and with gRPC's own.
func BenchmarkPair(b *testing.B) {
	acquire := &pb.SessionRequest{Request: &pb.SessionRequest_AcquireSemaphore_{
		AcquireSemaphore: &pb.SessionRequest_AcquireSemaphore{
			ReqId: 100_000, Name: "nightly-backup", TimeoutMillis: 1<<64 - 1, Count: 1<<64 - 1, Ephemeral: true,
		},
	}}
	release := &pb.SessionRequest{Request: &pb.SessionRequest_ReleaseSemaphore_{
		ReleaseSemaphore: &pb.SessionRequest_ReleaseSemaphore{ReqId: 100_001, Name: "nightly-backup"},
	}}
	acquired := result(Ydb.StatusIds_SUCCESS)
	released := &pb.SessionResponse{Response: &pb.SessionResponse_ReleaseSemaphoreResult_{
		ReleaseSemaphoreResult: &pb.SessionResponse_ReleaseSemaphoreResult{
			ReqId: 100_001, Status: Ydb.StatusIds_SUCCESS, Released: true,
		},
	}}
	var request codec.Request
	var response codec.Response
	for _, with := range []struct {
		codec    encoding.CodecV2
		request  func() any
		response func() any
	}{
		{oracle, func() any { return new(pb.SessionRequest) }, func() any { return new(pb.SessionResponse) }},
		{codec.New(), func() any { return &request }, func() any { return &response }},
	} {
		b.Run(fmt.Sprintf("%T", with.codec), func(b *testing.B) {
			send := func(m, into any) {
				data, err := with.codec.Marshal(m)
				require.NoError(b, err)
				require.NoError(b, with.codec.Unmarshal(data, into))
				data.Free()
			}
			b.ReportAllocs()
			for b.Loop() {
				send(acquire, with.request())
				send(acquired, with.response())
				send(release, with.request())
				send(released, with.response())
			}
		})
	}
}

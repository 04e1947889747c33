package server_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	pb "github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"
)

// scripts are what clients send, in order, each on a stream of its own.
func scripts(path string) map[string][]*pb.SessionRequest {
	start := startMessage(path, 0, time.Minute)
	stop := &pb.SessionRequest{Request: &pb.SessionRequest_SessionStop_{SessionStop: &pb.SessionRequest_SessionStop{}}}
	watch := &pb.SessionRequest{Request: &pb.SessionRequest_DescribeSemaphore_{
		DescribeSemaphore: &pb.SessionRequest_DescribeSemaphore{ReqId: 3, Name: "a", WatchData: true, IncludeOwners: true},
	}}

	return map[string][]*pb.SessionRequest{
		"all requests": {
			start, createMessage(1, "a"), createMessage(2, "a"), watch, updateMessage(4, "a", []byte("data")),
			acquireMessage(5, "a", 0), acquireMessage(6, "e", forever), releaseMessage(7, "e"), releaseMessage(8, "none"),
			describeMessage(9, "none"), deleteMessage(10, "none"), deleteMessage(11, "a"), pingMessage(12), stop,
		},
		"no start":        {pingMessage(1)},
		"start twice":     {start, start},
		"empty":           {start, {}},
		"unsupported":     {start, {Request: &pb.SessionRequest_Unsupported_13{Unsupported_13: &pb.Unsupported{}}}},
		"wrong pong":      {start, pongMessage(99)},
		"no node":         {startMessage(path+"2", 0, time.Minute)},
		"no path":         {startMessage("", 0, time.Minute)},
		"unknown session": {startMessage(path, 999, time.Minute)},
		"long timeout":    {startMessage(path, 0, time.Hour)},
		"stop":            {start, stop, createMessage(1, "late")},
	}
}

// A client sees the same whether it is connected to the server of its node or to another one.
func TestFront_LooksTheSame(t *testing.T) {
	t.Parallel()
	_, direct := cluster(t, 2)
	_, through := cluster(t, 2)
	for name, script := range scripts(direct[0].node) {
		want, wantEnd := play(t, direct[0], script)
		got, gotEnd := play(t, through[1], script)
		require.Empty(t, cmp.Diff(want, got, protocmp.Transform()), name)
		require.Equal(t, wantEnd.Code(), gotEnd.Code(), name)
		require.Equal(t, wantEnd.Message(), gotEnd.Message(), name)
	}
}

// play sends the messages and returns all that is answered but pings, and how the stream ends.
func play(t *testing.T, m *member, script []*pb.SessionRequest) (answers []*pb.SessionResponse, end *status.Status) {
	t.Helper()
	s := m.open(t)
	for _, message := range script {
		_ = s.trySend(message) // the stream may have ended
	}
	var pongs []*pb.SessionResponse // overtake other answers
	for {
		r, err := s.grpc.Recv()
		if err != nil {
			return append(answers, pongs...), status.Convert(err)
		}
		if started := r.GetSessionStarted(); started != nil {
			started.SessionId = 0 // the order of the scripts is random
		}
		if stopped := r.GetSessionStopped(); stopped != nil {
			stopped.SessionId = 0
		}
		switch {
		case r.GetPing() != nil:
		case r.GetPong() != nil:
			pongs = append(pongs, r)
		default:
			answers = append(answers, r)
		}
	}
}

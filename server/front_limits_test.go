package server_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"

	"tenure/server"
)

// The answers that a client does not read stay where the node is served. The server in between keeps one of them.
func TestFront_SlowReader(t *testing.T) {
	t.Parallel()
	_, all := cluster(t, 2)
	owner, front := all[0].server, all[1].server
	s := all[1].attach(t, 0, time.Minute)
	const size, asked = 1 << 20, 20
	s.create("big", strings.Repeat("x", size))
	for i := range uint64(asked) {
		s.send(describeMessage(i, "big"))
	}
	refused := func() uint64 { return owner.Limits()["answers"] }
	require.Eventually(t, func() bool { return refused() > 0 && front.TransitBytes(0) > 0 }, time.Minute,
		time.Millisecond)
	require.Never(t, func() bool { return front.TransitBytes(0) > size+1<<10 }, 50*time.Millisecond, time.Millisecond)
	require.LessOrEqual(t, owner.AnswerBytes(0), int64(5<<20))

	served := 0
	for range asked {
		if r := s.recv().GetDescribeSemaphoreResult(); r.GetStatus() == Ydb.StatusIds_SUCCESS {
			require.Len(t, r.GetSemaphoreDescription().GetData(), size)
			served++
		}
	}
	require.EqualValues(t, asked, uint64(served)+refused())
	require.Eventually(t, func() bool { return front.TransitBytes(0) == 0 && owner.AnswerBytes(0) == 0 }, time.Minute,
		time.Millisecond)

	front.TransitBytes(128 << 20) // to other clients
	s.send(describeMessage(1, "big"))
	s.requireFailure(Ydb.StatusIds_OVERLOADED, "Too many answers in flight")
	front.TransitBytes(-128 << 20)
	require.EqualValues(t, 1, front.Limits()["answers"])
}

// A stream that is forwarded counts where its client is connected, and not where its node is served.
func TestFront_Streams(t *testing.T) {
	t.Parallel()
	_, all := cluster(t, 3, server.WithLimits(server.Limits{Streams: 1}))
	one, two := all[1].attach(t, 0, time.Minute), all[2].attach(t, 0, time.Minute)
	full := all[1].open(t)
	full.send(startMessage(all[1].node, 0, time.Minute))
	full.requireFailure(Ydb.StatusIds_OVERLOADED, "the server already serves 1 stream: try again later")
	one.requireAcquired("a")
	two.requireAcquired("b")
	all[0].attach(t, 0, time.Minute).requireAcquired("c")
}

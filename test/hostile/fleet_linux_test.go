package hostile_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"

	"tenure"
	"tenure/internal/programs/programstest"
	"tenure/internal/relaytest"
	"tenure/test/hostile"
)

// A client with many sessions has the same address as an attacker whose connections the server cuts. The client loses
// its connection, attaches to all its sessions again, and keeps their leases.
func TestFleet(t *testing.T) {
	if os.Getenv("HOSTILE_STRICT") == "" {
		t.Skip("HOSTILE_STRICT is not set: the attaches take a few seconds of a machine without other work")
	}
	s := serve(t, 1<<14)
	relay := relaytest.New(t, s.addr)
	ctx := t.Context()
	client, err := tenure.Open(ctx, "grpc://"+relay.Address()+"/local")
	require.NoError(t, err)
	defer client.Close(context.WithoutCancel(ctx))
	require.NoError(t, client.CreateNode(ctx, hostile.SameNode, coordination.NodeConfig{}))

	sessions := make([]coordination.Session, 2_000)
	leases := make([]coordination.Lease, len(sessions))
	each := func(f func(i int) error) {
		var all sync.WaitGroup
		for i := range sessions {
			all.Go(func() {
				if err := f(i); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		require.False(t, t.Failed())
	}
	each(func(i int) (err error) {
		if sessions[i], err = client.Session(ctx, hostile.SameNode, options.WithSessionTimeout(5*time.Second)); err == nil {
			leases[i], err = sessions[i].AcquireSemaphore(ctx, strconv.Itoa(i), coordination.Exclusive,
				options.WithEphemeral(true))
		}

		return err
	})

	attacker := exec.Command("nice", "-n", "5", filepath.Join(scratch, "attacker"), "attack", s.addr, "rapid-resets", "8s")
	attacker.Stderr = os.Stderr
	require.NoError(t, attacker.Start())
	time.Sleep(time.Second) // the server has cut the attacker often
	relay.Break()
	began := time.Now()
	each(func(i int) error {
		_, err := sessions[i].DescribeSemaphore(ctx, strconv.Itoa(i))

		return err
	})
	t.Logf("%d sessions attached again in %v", len(sessions), time.Since(began))
	require.NoError(t, programstest.Wait(t, attacker))
	for i, l := range leases {
		require.NoError(t, context.Cause(l.Context()), i)
	}
}

package etcdstore

import (
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"tenure/internal/clock"
)

// A server connects soon after a member of etcd is back, however long that was away.
func TestConnections_ConnectAgainSoon(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var attempts []time.Time
		conn, err := grpc.NewClient("passthrough:///member", append(newConnections(clock.Go()).options(),
			grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithDefaultServiceConfig(`{"loadBalancingConfig":[{"round_robin":{}}]}`), // as the client of etcd does
			grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) {
				attempts = append(attempts, time.Now())

				return nil, errors.New("refused")
			}))...)
		require.NoError(t, err)
		defer conn.Close()
		conn.Connect()
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		require.Greater(t, len(attempts), 400)
		for i, at := range attempts[1:] {
			require.LessOrEqual(t, at.Sub(attempts[i]), 1300*time.Millisecond)
		}
	})
}

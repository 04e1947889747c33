package tenure

import (
	"time"

	"github.com/ydb-platform/ydb-go-sdk/v3"
	"github.com/ydb-platform/ydb-go-sdk/v3/config"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/keepalive"
)

// WithQuickReconnect returns an option for ydb.Open that makes the driver reconnect quickly. [Open] sets it.
//
// After a failed attempt, the driver tries to connect again within 50 to 250 ms, instead of one second or more. It
// closes a connection on which the peer acknowledges nothing for two seconds, instead of ten. Without this option, a
// session with a timeout of a few seconds may expire before the driver has reconnected.
func WithQuickReconnect() ydb.Option {
	return ydb.With(config.WithGrpcOptions(quickReconnect()...))
}

func quickReconnect() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: backoff.Config{
				BaseDelay: 50 * time.Millisecond, Multiplier: 1.5, Jitter: 0.2, MaxDelay: 250 * time.Millisecond,
			},
			MinConnectTimeout: 3 * time.Second,
		}),
		// On systems with TCP_USER_TIMEOUT, this timeout also limits how long sent data may stay unacknowledged.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{
			Time: 10 * time.Second, Timeout: 2 * time.Second, PermitWithoutStream: true,
		}),
	}
}

// Windows of the connections that Open makes: how many bytes the server may send before the client has read them. A
// message that is larger than the window of its stream gets a window of its own.
const (
	streamWindow = 1 << 20
	connWindow   = 4 << 20
)

// WithFixedWindows returns an option for ydb.Open that gives the driver flow control windows of a fixed size, which is
// 1 MiB for a stream and 4 MiB for a connection. [Open] sets it.
//
// By default, gRPC adjusts the windows to the connection. To measure it, the client sends a ping when an answer
// arrives, and the server acknowledges the ping. That doubles the packets of a connection with few requests at a time,
// and costs both sides a third of their processor time. Large windows are of no use to sessions, whose messages are
// small. Do not set the option if the program also reads large results with the driver, over a network with a high
// latency.
func WithFixedWindows() ydb.Option {
	return ydb.With(config.WithGrpcOptions(fixedWindows()...))
}

func fixedWindows() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithStaticStreamWindowSize(streamWindow), grpc.WithStaticConnWindowSize(connWindow),
	}
}

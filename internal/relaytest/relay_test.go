package relaytest

import (
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// echo is a server that sends back what it receives.
func echo(t *testing.T) (address string) {
	t.Helper()
	lis := Listen(t)
	t.Cleanup(func() { lis.Close() })
	go func() { // ends with the listener
		for {
			conn, err := lis.Accept()
			if err != nil {
				return
			}
			go func() { // ends with the connection
				defer conn.Close()
				buf := make([]byte, 1)
				for {
					if _, err := conn.Read(buf); err != nil {
						return
					}
					if _, err := conn.Write(buf); err != nil {
						return
					}
				}
			}()
		}
	}()

	return lis.Addr().String()
}

func dial(t *testing.T, r *Relay) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", r.Address())
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })

	return conn
}

// answers requires that a byte comes back.
func answers(t *testing.T, conn net.Conn) {
	t.Helper()
	_, err := conn.Write([]byte("x"))
	require.NoError(t, err)
	_, err = conn.Read(make([]byte, 1))
	require.NoError(t, err)
}

func TestRelay_Heals(t *testing.T) {
	t.Parallel()
	r := New(t, echo(t))
	conn := dial(t, r)
	answers(t, conn)

	r.Silence()
	_, err := conn.Write([]byte("x"))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return r.ToServer.Dropped.Load() == 1 }, time.Minute, time.Millisecond)
	r.Heal()
	_, err = conn.Read(make([]byte, 1))
	require.Error(t, err, "a connection from which bytes were dropped breaks")
	conn = dial(t, r)
	answers(t, conn)

	r.Cut()
	_, err = conn.Read(make([]byte, 1))
	require.Error(t, err)
	_, err = net.Dial("tcp", r.Address())
	require.Error(t, err)
	r.Heal()
	conn = dial(t, r)
	answers(t, conn)

	r.Slow(10 * time.Millisecond)
	began := time.Now()
	answers(t, conn)
	require.GreaterOrEqual(t, time.Since(began), 20*time.Millisecond)
	r.Heal()
	answers(t, conn)
}

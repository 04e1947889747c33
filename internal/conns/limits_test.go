package conns_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"google.golang.org/grpc/credentials/insecure"

	"tenure/internal/bubbletest"
	"tenure/internal/clock"
	"tenure/internal/conns"
	"tenure/internal/turns"
)

// refused records the limits that were reached.
type refused struct {
	mu     sync.Mutex
	limits []string
}

func (r *refused) add(limit, _ string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.limits = append(r.limits, limit)
}

func (r *refused) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()

	return r.limits
}

// pipes is a listener whose connections are pipes.
type pipes struct{ c chan net.Conn }

func (p pipes) Accept() (net.Conn, error) {
	c, ok := <-p.c
	if !ok {
		return nil, net.ErrClosed
	}

	return c, nil
}

func (p pipes) Close() error   { return nil }
func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }

// world is a set with limits and the connections that were accepted.
type world struct {
	t       *testing.T
	set     conns.Set
	refused refused
	lis     net.Listener
	pipes   pipes
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, pipes: pipes{make(chan net.Conn, 1)}}
	w.set.Limit(conns.Limits{
		Total: 2, PerAddress: 1, Calls: 100, CallRate: 30, FrameRate: 10, Unfinished: 4_000, Patience: time.Second,
		Clock: clock.Go(), Refused: w.refused.add,
	})
	w.lis = w.set.Listener(w.pipes)

	return w
}

// from is a connection that seems to come from an address.
type from struct {
	net.Conn

	addr net.Addr
}

func (f from) RemoteAddr() net.Addr { return f.addr }

// open opens a connection from an address. The server's end is nil if the connection was refused.
func (w *world) open(ip string) (client net.Conn, server *conns.Conn) {
	w.t.Helper()
	client, inner := net.Pipe()
	w.pipes.c <- from{inner, &net.TCPAddr{IP: net.ParseIP(ip), Port: 1}}
	accepted := make(chan net.Conn, 1)
	go func() {
		if c, err := w.lis.Accept(); err == nil {
			accepted <- c
		}
	}()
	synctest.Wait()
	select {
	case c := <-accepted:
		return client, c.(*conns.Conn)
	default:
		close(w.pipes.c)
		synctest.Wait()
		w.pipes.c = make(chan net.Conn, 1)
		w.lis = w.set.Listener(w.pipes)

		return client, nil
	}
}

func isOpen(client net.Conn) bool {
	_ = client.SetReadDeadline(time.Now().Add(time.Millisecond))
	_, err := client.Read(make([]byte, 1))

	return !errors.Is(err, io.EOF)
}

// A new connection takes the place of one that has no session: first of one that has not finished its handshake. A
// connection with a session is never closed in favour of another one.
func TestLimits_Total(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		held, server := w.open("127.0.0.1")
		server.Hold()
		silent, _ := w.open("127.0.0.1")
		next, server := w.open("127.0.0.1")
		require.True(t, isOpen(held))
		require.False(t, isOpen(silent), "the silent connection makes room")
		require.Equal(t, []string{"connections"}, w.refused.all())
		server.Hold()
		_, none := w.open("127.0.0.1")
		require.Nil(t, none, "all connections have sessions")
		require.True(t, isOpen(next))
		server.Let()
		_, server = w.open("127.0.0.1")
		require.NotNil(t, server)
		require.False(t, isOpen(next), "its session has ended")
		w.set.Shut()
		require.False(t, isOpen(held))
	})
}

// The connections of another machine do not take the place of those of others. Those of this machine have no limit of
// their own.
func TestLimits_PerAddress(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		here, _ := w.open("127.0.0.1")
		first, _ := w.open("2001:db8::1")
		second, server := w.open("2001:db8::2") // the same network
		require.True(t, isOpen(here))
		require.False(t, isOpen(first))
		require.True(t, isOpen(second))
		server.Hold()
		_, none := w.open("2001:db8::3")
		require.Nil(t, none)
		require.Equal(t, []string{"connections_per_address", "connections_per_address"}, w.refused.all())
		w.set.Shut()
	})
}

// metered returns a connection after its handshake, as gRPC reads it. The client's frames are written with the framer.
func (w *world) metered() (frames *http2.Framer, flush func(), read func() error, client net.Conn) {
	w.t.Helper()
	client, server := w.open("127.0.0.1")
	require.NotNil(w.t, server)
	var out bytes.Buffer
	go func() { _, _ = io.WriteString(client, http2.ClientPreface) }()
	conn, _, err := w.set.Credentials(insecure.NewCredentials()).ServerHandshake(server)
	require.NoError(w.t, err)
	preface := make([]byte, len(http2.ClientPreface))
	_, err = io.ReadFull(conn, preface)
	require.NoError(w.t, err)
	require.Equal(w.t, http2.ClientPreface, string(preface))
	var failed atomic.Pointer[error]
	go func() {
		for {
			if _, err := conn.Read(make([]byte, 1<<10)); err != nil {
				failed.Store(&err)

				return
			}
		}
	}()
	flush = func() {
		_, _ = client.Write(out.Bytes())
		out.Reset()
		synctest.Wait()
	}

	read = func() error {
		if err := failed.Load(); err != nil {
			return *err
		}

		return nil
	}

	return http2.NewFramer(&out, nil), flush, read, client
}

// A connection that exceeds a limit is cut.
func TestLimits_Frames(t *testing.T) {
	t.Parallel()
	message := func(size int) []byte {
		return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(size)), make([]byte, size)...)
	}
	start := func(fr *http2.Framer, id uint32) {
		_ = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, EndHeaders: true})
	}
	again := func(n int, write func(fr *http2.Framer, i int)) func(*http2.Framer, func()) {
		return func(fr *http2.Framer, _ func()) { repeat(n, func(i int) { write(fr, i) }) }
	}
	begin := func(fr *http2.Framer, i int) { start(fr, uint32(2*i+1)) }
	ping := func(fr *http2.Framer, _ int) { _ = fr.WritePing(false, [8]byte{}) }
	data := func(b []byte) func(*http2.Framer, int) {
		return func(fr *http2.Framer, _ int) { _ = fr.WriteData(1, false, b) }
	}
	mixed := func(pings int) func(*http2.Framer, int) {
		return func(fr *http2.Framer, i int) {
			data(message(20))(fr, i)
			repeat(pings, func(i int) { ping(fr, i) })
		}
	}
	for name, tc := range map[string]struct {
		send  func(fr *http2.Framer, flush func())
		limit string // empty: the connection stays
	}{
		"pings":            {again(11, ping), "frame_rate"},
		"few pings":        {again(9, ping), ""},
		"too many pings":   {again(100, mixed(4)), "frame_rate"},
		"pings with data":  {again(100, mixed(3)), ""},
		"empty data":       {again(11, data(nil)), "frame_rate"},
		"calls":            {again(201, begin), "call_rate"},
		"calls at once":    {again(200, begin), ""},
		"resets":           {rapid(31), "reset_rate"},
		"few resets":       {rapid(30), ""},
		"late resets":      {late(100), ""},
		"too many resets":  {late(111), "frame_rate"},
		"whole messages":   {again(20, data(message(500))), ""},
		"half a message":   {again(1, data(message(2_000)[:1_000])), "unfinished_bytes"},
		"a slow message":   {again(1, data(message(500)[:400])), "unfinished_time"},
		"half a prefix":    {again(1, data(message(500)[:3])), "unfinished_time"},
		"small parts":      {again(11, data(message(9_000)[:5])), "frame_rate"},
		"a message in two": {func(fr *http2.Framer, flush func()) { halves(fr, flush, message(500)) }, ""},
		"padded": {again(1, func(fr *http2.Framer, _ int) {
			_ = fr.WriteDataPadded(1, false, message(10), make([]byte, 99))
		}), ""},
		"reset": {again(1, func(fr *http2.Framer, _ int) {
			_ = fr.WriteData(1, false, message(500)[:400])
			_ = fr.WriteRSTStream(1, http2.ErrCodeCancel)
		}), ""},
		"end of stream": {again(1, func(fr *http2.Framer, _ int) { _ = fr.WriteData(1, true, message(500)[:400]) }), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubbletest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				fr, flush, failed, client := w.metered()
				tc.send(fr, flush)
				flush()
				time.Sleep(1500 * time.Millisecond)
				synctest.Wait()
				if tc.limit == "" {
					require.NoError(t, failed())
					require.Empty(t, w.refused.all())
					client.Close()
				} else {
					require.Error(t, failed())
					require.Equal(t, []string{tc.limit}, w.refused.all())
				}
				w.set.Shut()
			})
		})
	}
}

func repeat(n int, f func(i int)) {
	for i := range n {
		f(i)
	}
}

// rapid begins n calls and resets each immediately.
func rapid(n int) func(*http2.Framer, func()) {
	return func(fr *http2.Framer, _ func()) {
		repeat(n, func(i int) {
			_ = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: uint32(2*i + 1), EndHeaders: true})
			_ = fr.WriteRSTStream(uint32(2*i+1), http2.ErrCodeCancel)
		})
	}
}

// late begins 100 calls, and sends n resets after a second.
func late(n int) func(*http2.Framer, func()) {
	return func(fr *http2.Framer, flush func()) {
		repeat(100, func(i int) {
			_ = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: uint32(2*i + 1), EndHeaders: true})
		})
		flush()
		time.Sleep(time.Second)
		repeat(n, func(i int) { _ = fr.WriteRSTStream(uint32(2*(i%100)+1), http2.ErrCodeCancel) })
	}
}

// halves sends a message in two parts within the time that it has.
func halves(fr *http2.Framer, flush func(), message []byte) {
	_ = fr.WriteData(1, false, message[:3])
	flush()
	time.Sleep(900 * time.Millisecond)
	_ = fr.WriteData(1, false, message[3:])
}

// The server accepts the calls of two seconds at the same time.
func TestConn_Begin(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		client, server := w.open("127.0.0.1")
		go func() { _, _ = io.WriteString(client, http2.ClientPreface) }()
		_, _, err := w.set.Credentials(insecure.NewCredentials()).ServerHandshake(server)
		require.NoError(t, err)
		n := 0
		for server.Begin() {
			n++
		}
		require.Equal(t, 60, n)
		w.set.Shut()
	})
}

// After a flood, a new connection from the same address may do as much as any other, but not at the same time: an
// honest client that has this address too is not cut. Then it has to wait, and what it sends arrives later.
func TestLimits_Suspects(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.flood()

		fr, flush, failed, client := w.metered()
		began := time.Now()
		rapid(30)(fr, flush) // 20 at the same time, and 30 in a second
		flush()
		_ = fr.WritePing(false, [8]byte{})
		flush() // is read when the wait is over
		require.NoError(t, failed())
		require.Equal(t, 333*time.Millisecond, time.Since(began).Round(time.Millisecond))
		_ = fr.WritePing(false, [8]byte{})
		flush()
		require.Equal(t, 333*time.Millisecond, time.Since(began).Round(time.Millisecond))
		require.Equal(t, []string{"frame_rate"}, w.refused.all())
		client.Close()

		time.Sleep(2 * time.Minute) // the flood is forgotten
		fr, flush, failed, client = w.metered()
		began = time.Now()
		rapid(30)(fr, flush)
		flush()
		_ = fr.WritePing(false, [8]byte{})
		flush()
		require.NoError(t, failed())
		require.Zero(t, time.Since(began))
		client.Close()
		w.set.Shut()
	})
}

// A suspect connection that goes on is cut when it has done what others may do at the same time.
func TestLimits_SuspectIsCut(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.flood()
		fr, flush, failed, _ := w.metered()
		began := time.Now()
		rapid(30)(fr, flush)
		flush()
		_ = fr.WriteRSTStream(59, http2.ErrCodeCancel)
		flush()
		require.Error(t, failed())
		require.Equal(t, []string{"frame_rate", "reset_rate"}, w.refused.all())
		require.Equal(t, 333*time.Millisecond, time.Since(began).Round(time.Millisecond))
		w.set.Shut()
	})
}

// A connection that waits is closed immediately, and a server that stops does not wait for it.
func TestLimits_WakeSuspect(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.flood()
		fr, flush, failed, _ := w.metered()
		rapid(30)(fr, flush)
		flush()
		require.NoError(t, failed())
		began := time.Now()
		w.set.Cut()
		synctest.Wait()
		require.Error(t, failed())

		fr, flush, failed, client := w.metered()
		rapid(25)(fr, flush)
		flush()
		w.set.Hurry()
		rapid(5)(fr, flush)
		flush()
		_ = fr.WritePing(false, [8]byte{})
		flush()
		require.NoError(t, failed())
		require.Zero(t, time.Since(began))
		client.Close()
		w.set.Shut()
	})
}

// flood sends more frames than a connection may.
func (w *world) flood() {
	w.t.Helper()
	fr, flush, failed, _ := w.metered()
	repeat(11, func(int) { _ = fr.WritePing(false, [8]byte{}) })
	flush()
	require.Error(w.t, failed())
}

// Connections on which large messages arrive take turns, those with small ones do not. A turn ends when gRPC reads
// again or the connection is closed, and a connection that keeps it does not stop the others.
func TestTurns(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		all := turns.New(clock.Go())
		w := newWorld(t)
		w.set.Limit(conns.Limits{
			Total: 100, PerAddress: 100, Calls: 100, CallRate: 30, FrameRate: 10, Unfinished: 10 << 20, Patience: time.Hour,
			Clock: clock.Go(), Turns: all, Refused: w.refused.add,
		})
		var taken int
		for ; all.Take(); taken++ { // the last one waits in vain
			continue
		}
		for range taken {
			all.Give()
		}
		free := func() (n int) {
			for n < taken && all.Take() {
				n++
			}
			for range n {
				all.Give()
			}

			return n
		}

		part := append(binary.BigEndian.AppendUint32([]byte{0}, 1<<20), make([]byte, turns.Large)...)
		small := w.manual(part[:100])
		small.read(t, 100)
		require.Equal(t, taken, free())
		var large []*manual
		for range taken {
			c := w.manual(part)
			c.read(t, len(part))
			large = append(large, c)
		}
		require.Zero(t, free())
		late, began := w.manual(part), time.Now()
		late.read(t, len(part))
		require.Positive(t, time.Since(began))
		require.Less(t, time.Since(began), 100*time.Millisecond)

		go func() { _, _ = large[0].Read(make([]byte, 1)) }()
		synctest.Wait()
		require.Equal(t, 1, free())
		again := w.manual(part)
		again.read(t, len(part))
		require.Zero(t, free())
		again.Close()
		require.Equal(t, 1, free())
		w.set.Cut()
		require.Equal(t, taken, free())
	})
}

// manual is a connection from which the test reads.
type manual struct{ net.Conn }

// manual returns a connection after its handshake, on which a part of a message arrives.
func (w *world) manual(part []byte) *manual {
	w.t.Helper()
	client, server := w.open("127.0.0.1")
	require.NotNil(w.t, server)
	var out bytes.Buffer
	out.WriteString(http2.ClientPreface)
	fr := http2.NewFramer(&out, nil)
	_ = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, EndHeaders: true})
	_ = fr.WriteData(1, false, part)
	go func() { _, _ = client.Write(out.Bytes()) }()
	conn, _, err := w.set.Credentials(insecure.NewCredentials()).ServerHandshake(server)
	require.NoError(w.t, err)

	return &manual{conn}
}

// read reads until all of the part has arrived.
func (m *manual) read(t *testing.T, size int) {
	t.Helper()
	_, err := io.ReadFull(m, make([]byte, len(http2.ClientPreface)+2*9+size))
	require.NoError(t, err)
}

package hostile

import (
	"bytes"
	"context"
	"encoding/binary"
	"net"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/protobuf/proto"
)

// Methods that attacks call.
const (
	sessionMethod = "/Ydb.Coordination.V1.CoordinationService/Session"
	listMethod    = "/Ydb.Scheme.V1.SchemeService/ListDirectory"
)

// wire is an HTTP/2 connection of which the attacker writes each frame.
type wire struct {
	net.Conn

	out   bytes.Buffer // frames that flush writes
	fr    *http2.Framer
	table bytes.Buffer
	enc   *hpack.Encoder
	next  uint32 // id of the next stream

	mu      sync.Mutex     // guards the rest, and writes to the connection
	moved   *sync.Cond     // the windows have grown, or the connection has ended
	windows map[uint32]int // of streams, beyond initial
	initial int
	conn    int // the connection's window
	err     error
}

// silent opens a connection and sends nothing.
func silent(ctx context.Context, addr string) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, "tcp", addr)
}

// connect opens a connection and sends the preface. A goroutine answers settings and keeps the windows until the
// connection ends, which is at the latest when ctx does.
func connect(ctx context.Context, addr string, settings ...http2.Setting) (*wire, error) {
	c, err := silent(ctx, addr)
	if err != nil {
		return nil, err
	}
	w := &wire{Conn: c, next: 1, windows: make(map[uint32]int), initial: 65_535, conn: 65_535}
	w.moved = sync.NewCond(&w.mu)
	w.fr = http2.NewFramer(&w.out, nil)
	w.fr.AllowIllegalWrites = true
	w.enc = hpack.NewEncoder(&w.table)
	w.out.WriteString(http2.ClientPreface)
	_ = w.fr.WriteSettings(settings...)
	stop := context.AfterFunc(ctx, func() { c.Close() })
	go func() { // ends with the connection
		defer stop()
		w.read()
	}()

	return w, w.flush()
}

// read processes what the server sends.
func (w *wire) read() {
	fr := http2.NewFramer(nil, w.Conn)
	fr.SetMaxReadFrameSize(1 << 20)
	for {
		f, err := fr.ReadFrame()
		w.mu.Lock()
		if err != nil {
			w.err = err
			w.Close()
		}
		switch f := f.(type) {
		case *http2.WindowUpdateFrame:
			if f.StreamID == 0 {
				w.conn += int(f.Increment)
			} else {
				w.windows[f.StreamID] += int(f.Increment)
			}
		case *http2.SettingsFrame:
			if v, ok := f.Value(http2.SettingInitialWindowSize); ok {
				w.initial = int(v)
			}
			if !f.IsAck() {
				_, _ = w.Write([]byte{0, 0, 0, byte(http2.FrameSettings), byte(http2.FlagSettingsAck), 0, 0, 0, 0})
			}
		}
		w.moved.Broadcast()
		w.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// flush writes the frames that have been collected.
func (w *wire) flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return w.err
	}
	_ = w.SetWriteDeadline(time.Now().Add(5 * time.Second))
	_, err := w.Write(w.out.Bytes())
	w.out.Reset()

	return err
}

// call begins a call and returns the id of its stream. More is appended to the encoded headers.
func (w *wire) call(method string, more ...byte) uint32 {
	id := w.next
	w.next += 2
	w.table.Reset()
	for _, f := range []hpack.HeaderField{
		{Name: ":method", Value: "POST"},
		{Name: ":scheme", Value: "http"},
		{Name: ":path", Value: method},
		{Name: ":authority", Value: "server"},
		{Name: "content-type", Value: "application/grpc"},
		{Name: "te", Value: "trailers"},
	} {
		_ = w.enc.WriteField(f)
	}
	block := append(w.table.Bytes(), more...)
	const frame = 16 << 10
	first := block[:min(len(block), frame)]
	block = block[len(first):]
	_ = w.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: first, EndHeaders: len(block) == 0})
	for len(block) > 0 {
		part := block[:min(len(block), frame)]
		block = block[len(part):]
		_ = w.fr.WriteContinuation(id, len(block) == 0, part)
	}

	return id
}

// message encodes a message of a call.
func message(m proto.Message) []byte {
	body, err := proto.Marshal(m)
	if err != nil {
		panic(err) // messages of attacks can be encoded
	}

	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(body))), body...)
}

// send writes data as the windows allow, in frames of the given size.
func (w *wire) send(id uint32, data []byte, size int) error {
	for len(data) > 0 {
		n := w.take(id, min(size, len(data)))
		if n > 0 {
			_ = w.fr.WriteData(id, false, data[:n])
			data = data[n:]
		}
		if n == 0 || w.out.Len() > 64<<10 || len(data) == 0 {
			if err := w.flush(); err != nil {
				return err
			}
		}
		if n == 0 {
			w.await(id)
		}
	}

	return nil
}

// take takes at most n bytes of the windows, as far as there are any.
func (w *wire) take(id uint32, n int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n = max(min(n, w.room(id)), 0)
	w.conn -= n
	w.windows[id] -= n

	return n
}

// room returns what the windows allow. It is called with mu held.
func (w *wire) room(id uint32) int { return min(w.conn, w.initial+w.windows[id]) }

// await waits until the windows allow something.
func (w *wire) await(id uint32) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.room(id) <= 0 && w.err == nil {
		w.moved.Wait()
	}
}

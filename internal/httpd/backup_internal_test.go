package httpd

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/access"
	"tenure/internal/bubbletest"
	"tenure/internal/paced"
	"tenure/internal/serverconfig"
)

// reader is a client of which tests decide when it reads.
type reader struct {
	*httptest.ResponseRecorder
	net.Conn
}

func (r reader) Write(b []byte) (int, error)         { return r.Conn.Write(b) }
func (r reader) SetReadDeadline(time.Time) error     { return nil }
func (r reader) SetWriteDeadline(at time.Time) error { return r.Conn.SetWriteDeadline(at) }

// A backup ends soon after its user has lost the right to it, also while the client does not read.
func TestBackup_Withdrawn(t *testing.T) {
	t.Parallel()
	for name, reading := range map[string]bool{"reading": true, "stuck": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubbletest.Test(t, func(t *testing.T) {
				began := time.Now()
				admin := &serverconfig.Admin{
					Backup: func(_ context.Context, _ serverconfig.Requester, w io.Writer) error {
						for {
							time.Sleep(time.Millisecond)
							if _, err := w.Write(make([]byte, paced.Piece)); err != nil {
								return err
							}
						}
					},
					Still: func(token string, need access.Rights) bool {
						return token == "t" && need == access.Full && time.Since(began) < 10*time.Second
					},
				}
				var log bytes.Buffer
				s := &Server{
					c:       Config{Admin: admin, Users: true, Logger: slog.New(slog.NewTextHandler(&log, nil))},
					backing: make(chan struct{}, 1),
				}
				here, there := net.Pipe()
				defer here.Close()
				if reading {
					go func() { _, _ = io.Copy(io.Discard, here) }() // ends with Close
				}
				r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/v1/backup", http.NoBody)
				r.Header.Set("Authorization", "Bearer t")
				require.PanicsWithValue(t, http.ErrAbortHandler, func() { s.backup(reader{httptest.NewRecorder(), there}, r) })
				require.InDelta(t, 10*time.Second+rightPeriod/2, time.Since(began), float64(rightPeriod))
				require.Contains(t, log.String(), `msg="a backup has failed"`)
				require.Contains(t, log.String(), errWithdrawn.Error())
				require.NoError(t, there.Close())
			})
		})
	}
}

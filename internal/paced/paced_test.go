package paced_test

import (
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/bubbletest"
	"tenure/internal/clock"
	"tenure/internal/paced"
)

// client takes the given time for each piece of an answer.
type client struct {
	*httptest.ResponseRecorder

	pause time.Duration
}

func (c *client) SetWriteDeadline(time.Time) error { return nil }
func (c *client) SetReadDeadline(time.Time) error  { return nil }

func (c *client) Write(b []byte) (int, error) {
	time.Sleep(c.pause)

	return c.ResponseRecorder.Write(b)
}

// A client that takes a little from time to time does not get an answer for days.
func TestWriter(t *testing.T) {
	t.Parallel()
	for pause, want := range map[time.Duration]error{500 * time.Millisecond: nil, 2 * time.Second: paced.ErrSlow} {
		bubbletest.Test(t, func(t *testing.T) {
			began := time.Now()
			p := paced.New(&client{ResponseRecorder: httptest.NewRecorder(), pause: pause}, clock.Go())
			n, err := p.Write(make([]byte, 100*paced.Piece))
			require.ErrorIs(t, err, want)
			require.EqualValues(t, n, p.Written)
			require.LessOrEqual(t, time.Since(began), 50*time.Second)
		})
	}
}

package lockcmd

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/bubbletest"
	"tenure/internal/clock"
	"tenure/internal/look"
)

func TestQueue_Line(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 2, 4, 0, 0, time.UTC)
	ago := func(d time.Duration) *time.Time {
		at := now.Add(-d)

		return &at
	}
	alice := look.Holder{Who: "alice@ci-3, pid 42 (./deploy.sh)", Since: ago(4 * time.Minute)}
	for want, q := range map[string]queue{
		`waiting for "deploy" on localhost:2136`: {
			Names: []string{"deploy"}, Server: "localhost:2136", Ahead: -1,
		},
		`waiting for "deploy": held by alice@ci-3, pid 42 (./deploy.sh) for 4m, 1 ahead of you`: {
			Names: []string{"deploy"}, Holders: []look.Holder{alice}, Ahead: 1,
		},
		`waiting for "deploy": held by alice@ci-3, pid 42 (./deploy.sh) for 4m, you are next`: {
			Names: []string{"deploy"}, Holders: []look.Holder{alice},
		},
		`waiting for "a", "b" and "c": held by alice@ci-3, pid 42 (./deploy.sh) for 4m and 1 other, 12 ahead of you`: {
			Names: []string{"a", "b", "c"}, Holders: []look.Holder{alice, alice}, Ahead: 12,
		},
		`waiting for "a" and "b": held by release 7 and 2 others`: {
			Names: []string{"a", "b"}, Holders: []look.Holder{{Who: "release 7"}, alice, alice}, Ahead: -1,
		},
		`waiting for "a": held by bob, which is done and keeps it for 2m30s, you are next`: {
			Names: []string{"a"}, Holders: []look.Holder{{Who: "bob", Since: ago(time.Hour), Until: ago(-150 * time.Second)}},
		},
		`waiting for "a": held by session 7 of this process, which was lost: at most 15s, you are next`: {
			Names: []string{"a"}, Holders: []look.Holder{{Who: "bob", Session: 7, Lost: ago(-15 * time.Second)}},
		},
	} {
		require.Equal(t, want, q.line(now))
	}
}

// Elsewhere than on a terminal, the line appears after a moment and then every minute, as it is then.
func TestDisplay_Reminds(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		shown := make(chan string, 10)
		d := &display{clock: clock.Go(), show: func(line string) { shown <- line }}
		d.set(queue{Names: []string{"a"}, Server: "S"})
		d.end()
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Empty(t, shown, "the lock was granted immediately")

		d.set(queue{Names: []string{"a"}, Holders: []look.Holder{{Who: "bob"}}, Ahead: 2})
		time.Sleep(moment + time.Millisecond)
		synctest.Wait()
		require.Equal(t, `waiting for "a": held by bob, 2 ahead of you`, <-shown)
		d.set(queue{Names: []string{"a"}, Holders: []look.Holder{{Who: "carol"}}, Ahead: 1})
		time.Sleep(reminder - 2*time.Millisecond)
		synctest.Wait()
		require.Empty(t, shown)
		time.Sleep(2 * time.Millisecond)
		synctest.Wait()
		require.Equal(t, `waiting for "a": held by carol, 1 ahead of you`, <-shown)
		d.end()
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Empty(t, shown)
	})
}

// Elsewhere than on a terminal, the line waits a little for the holder, and names the holder as soon as it is known.
func TestDisplay_NamesTheHolder(t *testing.T) {
	t.Parallel()
	unknown := queue{Names: []string{"a", "b"}, Server: "S"}
	bubbletest.Test(t, func(t *testing.T) {
		shown := make(chan string, 10)
		d := &display{clock: clock.Go(), show: func(line string) { shown <- line }}
		next := func(after time.Duration) (line string) {
			began := time.Now()
			line = <-shown
			require.InDelta(t, after, time.Since(began), float64(time.Millisecond))

			return line
		}
		d.set(unknown)
		time.Sleep(moment + patience/2)
		synctest.Wait()
		require.Empty(t, shown)
		d.set(queue{Names: []string{"a"}, Holders: []look.Holder{{Who: "bob"}}})
		require.Equal(t, `waiting for "a": held by bob, you are next`, next(0), "one line, not two")
		d.set(unknown) // a is acquired
		time.Sleep(time.Second)
		d.set(queue{Names: []string{"b"}, Holders: []look.Holder{{Who: "carol"}}})
		require.Equal(t, `waiting for "b": held by carol, you are next`, next(0))
		d.end()

		d.set(unknown)
		require.Equal(t, `waiting for "a" and "b" on S`, next(moment+patience))
		d.set(unknown)
		time.Sleep(time.Second)
		synctest.Wait()
		require.Empty(t, shown)
		d.set(queue{Names: []string{"a"}, Holders: []look.Holder{{Who: "bob"}}})
		require.Equal(t, `waiting for "a": held by bob, you are next`, next(0), "not a minute later")
		d.set(queue{Names: []string{"a"}, Holders: []look.Holder{{Who: "carol"}}})
		require.Equal(t, `waiting for "a": held by carol, you are next`, next(reminder))
		d.end()
	})
}

// onTerminal returns a display on a terminal, and how often it has shown and cleared its line.
func onTerminal() (d *display, shown, cleared *atomic.Int64) {
	shown, cleared = new(atomic.Int64), new(atomic.Int64)

	return &display{
		clock: clock.Go(), terminal: true,
		show: func(string) { shown.Add(1) }, clear: func() { cleared.Add(1) },
	}, shown, cleared
}

// On a terminal, the line makes room for another one, and comes back.
func TestDisplay_Pauses(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		d, shown, cleared := onTerminal()
		d.pause()()
		d.set(queue{Names: []string{"a"}, Server: "S"})
		time.Sleep(moment + time.Millisecond)
		resume := d.pause()
		require.EqualValues(t, 1, cleared.Load())
		time.Sleep(time.Hour)
		require.EqualValues(t, 1, shown.Load())
		resume()
		time.Sleep(moment + time.Millisecond)
		synctest.Wait()
		require.EqualValues(t, 2, shown.Load())
		d.end()
	})
}

// On a terminal, the line is updated every second and is gone when the wait is over.
func TestDisplay_Terminal(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		d, shown, cleared := onTerminal()
		d.set(queue{Names: []string{"a"}, Server: "S"})
		time.Sleep(moment + 3*refresh + time.Millisecond)
		synctest.Wait()
		require.EqualValues(t, 4, shown.Load())
		require.Zero(t, cleared.Load())
		d.end()
		require.EqualValues(t, 1, cleared.Load())
		require.EqualValues(t, 4, shown.Load())
	})
}

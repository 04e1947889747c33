package workers_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/bubbletest"
	"tenure/internal/coordtest"
	"tenure/workers"
)

// A list that is not valid is refused, and the earlier one stays in effect.
func TestSource_InvalidLists(t *testing.T) {
	t.Parallel()
	for want, list := range map[string][]workers.Spec{
		`task "a#record": a name must not end with "#members" or "#record" or contain "#worker="`: {{Name: "a#record"}},
		`task "p#members": a name must not end with "#members" or "#record" or contain "#worker="`: {
			{Name: "p#members"},
		},
		`task "a": the weight is -1: it must be at least 1`: {{Name: "a", Weight: -1}},
		`task "a" is listed twice`:                          {{Name: "a"}, {Name: "b"}, {Name: "a", Weight: 2}},
		`the name has 1018 bytes: the limit is 1017`:        {{Name: strings.Repeat("x", 1018)}},
	} {
		err := workers.Run(t.Context(), coordtest.NewService(), path, workers.List(list...),
			func(context.Context, *workers.Task) error { return nil })
		require.ErrorContains(t, err, want)
	}
}

// New tasks start, removed ones stop, and the others are not disturbed, in all workers of the pool.
func TestSource_Changes(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		h := newHall(4)
		var updates [2]func([]workers.Spec) error
		var ws []*worker
		for i := range updates {
			h.source = workers.SourceFunc(func(ctx context.Context, update func([]workers.Spec) error) error {
				updates[i] = update
				err := update([]workers.Spec{{Name: "a"}, {Name: "b"}, {Name: "c"}, {Name: "d"}})
				<-ctx.Done()

				return err
			})
			ws = append(ws, h.balanced(t, 4))
			time.Sleep(settled)
		}
		time.Sleep(3 * timeout)
		require.Equal(t, []int{2, 2}, sizes(ws...))
		before := h.starts()

		list := []workers.Spec{{Name: "e"}, {Name: "d"}, {Name: "c"}, {Name: "b"}, {Name: "f"}}
		require.NoError(t, updates[0](list))
		require.Error(t, updates[0]([]workers.Spec{{Name: "x"}, {Name: "x"}}))
		time.Sleep(3 * settled) // the other worker reads its list a little later
		require.NoError(t, updates[1](list))
		time.Sleep(5 * timeout)
		all := slices.Concat(ws[0].has(), ws[1].has())
		slices.Sort(all)
		require.Equal(t, []string{"b", "c", "d", "e", "f"}, all)
		require.Equal(t, []int{2, 3}, sizes(ws...))
		require.LessOrEqual(t, h.starts()-before, 4, "e and f start, and at most two tasks move")
		causes := slices.Concat(ws[0].causes, ws[1].causes)
		require.True(t, slices.ContainsFunc(causes, func(err error) bool { return errors.Is(err, workers.ErrRemoved) }))
		for _, w := range ws {
			require.Equal(t, errStopped, w.end(t))
		}
		h.requireOnce(t)
	})
}

// Workers with different lists name each other, and share the tasks that they have in common.
func TestSource_Mismatch(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		h := newHall(4)
		h.source = workers.Names("a", "b", "c")
		first := h.balanced(t, 4, workers.WithName("w1", ""))
		time.Sleep(settled)
		h.source = workers.Names("b", "c", "d")
		second := h.balanced(t, 4, workers.WithName("w2", ""))
		time.Sleep(timeout + settled)
		require.Equal(t, []string{"a", "b", "c"}, first.has())
		require.Equal(t, []string{"d"}, second.has())
		require.Contains(t, first.story(), "Mismatch{[w2]}")
		require.Contains(t, second.story(), "Mismatch{[w1]}")
		require.Equal(t, errStopped, first.end(t))
		time.Sleep(timeout + settled)
		require.Equal(t, []string{"b", "c", "d"}, second.has())
		require.Equal(t, errStopped, second.end(t))
		h.requireOnce(t)
	})
}

// A source that fails ends Run, which first gives its tasks back.
func TestSource_Fails(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		h := newHall(1)
		broken := errors.New("the list is gone")
		fail := make(chan struct{})
		h.source = workers.SourceFunc(func(_ context.Context, update func([]workers.Spec) error) error {
			if err := update([]workers.Spec{{Name: "a"}}); err != nil {
				return err
			}
			<-fail

			return broken
		})
		w := h.balanced(t, 1)
		time.Sleep(settled)
		require.Equal(t, []string{"a"}, w.has())
		close(fail)
		err := <-w.done
		require.EqualError(t, err, inPool+"the list is gone")
		require.ErrorIs(t, err, broken)
		require.Zero(t, h.Owner(path, "a"))
		require.Equal(t, []error{broken}, w.causes)
	})
}

// A source that is a nil function is refused like a nil source. It does not end the process.
func TestRun_NilSource(t *testing.T) {
	t.Parallel()
	const want = inPool + "the source of tasks is nil"
	for _, source := range []workers.Source{nil, workers.SourceFunc(nil)} {
		err := workers.Run(t.Context(), coordtest.NewService(), path, source, func(context.Context, *workers.Task) error {
			return nil
		})
		require.EqualError(t, err, want)
		_, err = workers.Look(t.Context(), coordtest.NewService(), path, source)
		require.EqualError(t, err, want)
	}
}

// The error of a name that is too long does not contain all of it.
func TestRun_LongName(t *testing.T) {
	t.Parallel()
	err := workers.Run(t.Context(), coordtest.NewService(), path, workers.Names(strings.Repeat("n", 1<<20)),
		func(context.Context, *workers.Task) error { return nil })
	require.EqualError(t, err, inPool+`task "`+strings.Repeat("n", 64)+`"... (1048576 bytes): `+
		"the semaphore name has 1048576 bytes: the limit is 1024")
}

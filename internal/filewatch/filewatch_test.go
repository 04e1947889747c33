package filewatch_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/bubbletest"
	"tenure/internal/clock"
	"tenure/internal/filewatch"
)

func TestWatcher_Changed(t *testing.T) {
	t.Parallel()
	write := func(path, text string) error {
		return errors.Join(os.WriteFile(path, []byte(text), 0o600), os.Chtimes(path, time.Time{}, time.Unix(1e9, 0)))
	}
	for _, test := range []struct {
		name   string
		change func(path string) error
	}{
		{"size", func(path string) error { return write(path, "longer") }},
		{"modification time", func(path string) error { return os.Chtimes(path, time.Time{}, time.Unix(1e9+1, 0)) }},
		{"mode", func(path string) error { return os.Chmod(path, 0o400) }},
		{"removed", os.Remove},
		{"rename of another file", func(path string) error {
			return errors.Join(write(path+".new", "old"), os.Rename(path+".new", path))
		}},
		{"another target of the link", func(path string) error {
			return errors.Join(write(path+".new", "old"), os.Remove(path), os.Symlink(path+".new", path))
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path, other := filepath.Join(dir, "file"), filepath.Join(dir, "other")
			require.NoError(t, write(path, "old"))
			w := filewatch.New(clock.Go(), other, path)
			require.False(t, w.Changed())
			require.NoError(t, test.change(path))
			require.True(t, w.Changed())
			require.False(t, w.Changed(), "a change is reported once")
			require.NoError(t, write(other, "appears"))
			require.True(t, w.Changed())
		})
	}
}

func TestWatcher_Watch(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	bubbletest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		w := filewatch.New(clock.Go(), path)
		var looks, calls atomic.Int64
		done := make(chan struct{})
		go func() {
			defer close(done)
			w.Watch(ctx, func(changed bool) {
				looks.Add(1)
				if changed {
					calls.Add(1)
				}
			})
		}()
		pass := func(d time.Duration) {
			clock.Pause(ctx, clock.Go(), d)
			synctest.Wait()
		}
		pass(time.Hour)
		require.EqualValues(t, time.Hour/filewatch.Interval, looks.Load())
		require.Zero(t, calls.Load(), "nothing has changed")
		require.NoError(t, os.WriteFile(path, nil, 0o600))
		pass(filewatch.Interval - time.Nanosecond)
		require.Zero(t, calls.Load(), "nobody looks yet")
		pass(time.Nanosecond)
		require.EqualValues(t, 1, calls.Load())
		pass(time.Hour)
		require.EqualValues(t, 1, calls.Load())
		cancel()
		<-done
	})
}

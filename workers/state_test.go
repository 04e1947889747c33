package workers_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/tenuretest"
	"tenure/workers"
)

// What a run saves, the next one gets.
func TestTask_Save(t *testing.T) {
	t.Parallel()
	s := tenuretest.NewServer(t)
	client := s.Client(t)
	run := func(work func(ctx context.Context, task *workers.Task) error, opts ...workers.Option) {
		t.Helper()
		ctx, stop := context.WithCancelCause(t.Context())
		err := workers.Run(ctx, client, "/local/test", workers.Names("a"),
			func(ctx context.Context, task *workers.Task) error {
				defer stop(errStopped)

				return work(ctx, task)
			}, opts...)
		require.Equal(t, errStopped, err)
	}
	var first *workers.Task
	run(func(ctx context.Context, task *workers.Task) error {
		first = task
		require.Empty(t, task.State())
		require.NoError(t, task.Save(ctx, []byte("1")))
		require.NoError(t, task.Save(ctx, []byte("2")))
		require.ErrorContains(t, task.Save(ctx, make([]byte, 1<<20+1)), "the limit is 1048576")

		return nil
	}, workers.WithPersistent())
	require.EqualError(t, first.Save(t.Context(), nil), `save the state of task "a": the task has ended`)
	run(func(ctx context.Context, task *workers.Task) error {
		require.Equal(t, "2", string(task.State()))
		require.Greater(t, task.Token(), first.Token())

		return task.Save(ctx, nil)
	}, workers.WithPersistent())
	run(func(_ context.Context, task *workers.Task) error {
		require.Empty(t, task.State())

		return nil
	}, workers.WithPersistent())
}

// The server refuses a save in a session that has lost the task, even if the client does not know of the loss yet.
func TestTask_SaveAfterLoss(t *testing.T) {
	t.Parallel()
	s := tenuretest.NewServer(t)
	client := s.Client(t)
	ctx, stop := context.WithCancelCause(t.Context())
	runs := 0
	err := workers.Run(ctx, client, "/local/test", workers.Names("a"),
		func(ctx context.Context, task *workers.Task) error {
			if runs++; runs == 2 {
				require.Equal(t, "mine", string(task.State()))
				stop(errStopped)

				return nil
			}
			require.NoError(t, task.Save(ctx, []byte("mine")))
			require.Equal(t, 1, s.Expire("a"))
			require.Error(t, task.Save(ctx, []byte("too late")))

			return nil
		}, workers.WithPersistent())
	require.Equal(t, errStopped, err)
	require.Equal(t, 2, runs)
}

// Save needs WithPersistent.
func TestTask_SaveWithoutPersistent(t *testing.T) {
	t.Parallel()
	s := tenuretest.NewServer(t)
	ctx, stop := context.WithCancelCause(t.Context())
	err := workers.Run(ctx, s.Client(t), "/local/test", workers.Names("a"),
		func(ctx context.Context, task *workers.Task) error {
			defer stop(errStopped)
			require.EqualError(t, task.Save(ctx, nil), `save the state of task "a": it needs WithPersistent`)

			return nil
		})
	require.Equal(t, errStopped, err)
}

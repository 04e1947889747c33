package catalog_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"tenure/internal/catalog"
	"tenure/internal/node"
	"tenure/internal/store"
)

// TestCatalog_Concurrently makes concurrent changes to the same few paths. Every call must succeed or be refused
// because of another one, no space may be assigned twice, and the store must match memory.
func TestCatalog_Concurrently(t *testing.T) {
	t.Parallel()
	st := newMapStore()
	c := open(t, st)
	const workers, rounds = 8, 100
	seen := make(chan store.Space, workers*rounds)
	var g errgroup.Group
	for w := range workers {
		g.Go(func() error {
			for i := range rounds {
				path := fmt.Sprintf("/local/d%d/n", (w+i)%3)
				if err := c.CreateNode(t.Context(), path, config); err != nil {
					return err
				}
				e, err := c.Lookup(path)
				if err == nil {
					err = c.DropNode(t.Context(), path, e.Space)
				}
				if err == nil {
					seen <- e.Space // only the goroutine that dropped the node reports its space
				}
				if err := expected(err, node.SchemeError); err != nil {
					return err
				}
				if _, _, err := c.List("/local"); err != nil {
					return err
				}
				err = c.RemoveDirectory(t.Context(), fmt.Sprintf("/local/d%d", i%3))
				if err := expected(err, node.SchemeError, node.PreconditionFailed); err != nil {
					return err
				}
			}

			return nil
		})
	}
	require.NoError(t, g.Wait())

	close(seen)
	once := make(map[store.Space]bool)
	for space := range seen {
		require.False(t, once[space], "space %d was assigned twice", space)
		once[space] = true
	}
	require.NotEmpty(t, once)
	for _, dir := range []string{"", "/d0", "/d1", "/d2"} {
		inMemory, inMemoryChildren, err := c.List("/local" + dir)
		stored, storedChildren, storedErr := open(t, st).List("/local" + dir)
		require.Equal(t, err, storedErr)
		require.Equal(t, inMemory, stored)
		require.Equal(t, inMemoryChildren, storedChildren)
	}
}

// expected returns nil if err is a refusal with one of the statuses. Otherwise it returns err.
func expected(err error, statuses ...node.Status) error {
	refused, ok := errors.AsType[*catalog.Error](err)
	for _, status := range statuses {
		if ok && refused.Status == status {
			return nil
		}
	}

	return err
}

package storetest_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"tenure/internal/store"
	"tenure/internal/store/storetest"
)

func TestCluster_PassesTheSuite(t *testing.T) {
	t.Parallel()
	storetest.RunCommon(t, func(*testing.T) func() (store.Common, error) {
		c := storetest.NewCluster()
		var n atomic.Int64

		return func() (store.Common, error) { return c.Open(fmt.Sprint(n.Add(1))), nil }
	})
}

package server

import (
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/node"
)

// Each request of a client that has a result can be refused with it, under its own number.
func TestRefused(t *testing.T) {
	t.Parallel()
	want := node.Result{Req: 7, Status: node.Overloaded, Issue: "full"}
	for _, test := range []struct {
		req  node.Request
		want node.Message
	}{
		{node.Acquire{Req: 7}, node.Acquired{Result: want}},
		{node.Release{Req: 7}, node.Released{Result: want}},
		{node.Describe{Req: 7}, node.Described{Result: want}},
		{node.Create{Req: 7}, node.Created{Result: want}},
		{node.Update{Req: 7}, node.Updated{Result: want}},
		{node.Delete{Req: 7}, node.Deleted{Result: want}},
		{node.Stop{}, nil},
	} {
		require.Equal(t, test.want, refused(test.req, node.Overloaded, "full"))
	}
}

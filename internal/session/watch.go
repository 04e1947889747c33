package session

import (
	"slices"

	pb "github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
)

// changed fires a watch, once (S6). If both flags are false, a newer watch has replaced it (S5).
func (c *Core) changed(m *pb.SessionResponse_DescribeSemaphoreChanged, fx *Effects) {
	w := c.watches[m.GetReqId()]
	if w == nil {
		return
	}
	delete(c.watches, w.req)
	fx.do(Fire{w, m.GetDataChanged(), m.GetOwnersChanged()})
}

// loseWatches fires the watches that the server had confirmed, because they were lost with the stream (A8). A watch
// whose Describe has not been answered stays: repeat sends the Describe again.
func (c *Core) loseWatches(fx *Effects) {
	var lost []*Watch
	for _, w := range c.watches {
		if w.live {
			lost = append(lost, w)
		}
	}
	slices.SortFunc(lost, func(a, b *Watch) int { return int(a.req) - int(b.req) })
	for _, w := range lost {
		delete(c.watches, w.req)
		fx.do(Fire{Watch: w})
	}
}

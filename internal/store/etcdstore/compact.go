package etcdstore

import (
	"context"
	"errors"
	"strconv"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"tenure/internal/clock"
	"tenure/internal/ownership"
	"tenure/internal/serverstats"
)

// compactKey has the latest revision that a server has chosen to compact etcd to. Servers take turns by changing it.
const compactKey = "compact"

// MinCompact is the shortest interval of Options.Compact that is of use: etcd must keep a revision for as long as a
// node is being loaded, or a backup is written.
const MinCompact = time.Minute

// errRoot reports that the user of the servers cannot compact etcd.
var errRoot = errors.New("etcd allows this to users with the role root only: let etcd compact itself, with " +
	"--auto-compaction-mode=periodic --auto-compaction-retention=5m, and start the servers with --etcd-compact 0")

// compactor removes the history of etcd, as one of all servers with the prefix. At each interval, every server tries to
// change the key, and the one that succeeds compacts etcd to the revision that etcd had an interval before, as that
// server has seen it. So history is kept for one to two intervals, and no two servers compact at the same time. A
// server that fails in between leaves it to the next interval.
//
// Only the past is removed: nothing that a server reads at the present revision or writes depends on it. A watch that
// is so far behind begins again. A load or a backup that takes so long fails.
type compactor struct {
	etcd     *etcd
	interval time.Duration
	done     func(revision int64, err error) // called after each attempt of this server

	turn     int64 // modification revision of the key when it was last seen
	revision int64 // of etcd at that time; 0: unknown
}

// run compacts etcd until the context ends.
func (c *compactor) run(ctx context.Context) {
	for clock.Pause(ctx, c.etcd.clock, c.interval) {
		if revision := c.take(ctx); revision > 0 {
			err := c.compact(ctx, revision)
			if ctx.Err() == nil {
				c.count(err)
				c.done(revision, err)
			}
		}
	}
}

func (c *compactor) count(err error) {
	result := "ok"
	if err != nil {
		result = "error"
	}
	c.etcd.numbers.add(func(n *serverstats.Common) {
		if n.Compactions == nil {
			n.Compactions = make(map[string]uint64)
		}
		n.Compactions[result]++
	})
}

// take returns the revision to compact to, or 0 if it is not this server's turn.
func (c *compactor) take(ctx context.Context) int64 {
	r, err := c.etcd.do(ctx, ownership.Txn{
		If:   []ownership.Compare{{Key: compactKey, Revision: c.turn}},
		Then: []ownership.Op{{Kind: ownership.Put, Key: compactKey, Value: strconv.AppendInt(nil, c.revision, 10)}},
		Else: []ownership.Op{{Kind: ownership.Get, Key: compactKey}},
	})
	switch {
	case errors.Is(rpctypes.Error(err), rpctypes.ErrNoSpace): // nobody can change the key, and compaction is needed most
		return c.revision
	case err != nil:
		return 0
	}
	target := c.revision
	c.turn, c.revision = r.Revision, r.Revision
	if r.Succeeded {
		return target
	}
	for _, kv := range r.Gets[0] {
		c.turn = kv.Mod
	}
	if len(r.Gets[0]) == 0 { // somebody has deleted it
		c.turn = 0
	}

	return 0
}

func (c *compactor) compact(ctx context.Context, revision int64) error {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	_, err := c.etcd.client.Compact(ctx, revision)
	switch rpc := rpctypes.Error(err); {
	case errors.Is(rpc, rpctypes.ErrCompacted): // by somebody else
		return nil
	case errors.Is(rpc, rpctypes.ErrPermissionDenied):
		return errRoot
	}

	return err
}

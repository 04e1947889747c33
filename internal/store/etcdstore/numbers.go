package etcdstore

import (
	"strings"
	"sync"

	"tenure/internal/clock"
	"tenure/internal/ownership"
	"tenure/internal/serverstats"
)

// numbers are what a store counts. They are safe for concurrent use.
type numbers struct {
	mu  sync.Mutex // guards all
	all serverstats.Common
}

// Numbers returns a copy of what the store has counted.
func (s *Store) Numbers() serverstats.Common {
	n := &s.etcd.numbers
	n.mu.Lock()
	defer n.mu.Unlock()

	return n.all.Clone()
}

func (n *numbers) add(f func(*serverstats.Common)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f(&n.all)
}

// observe counts a transaction that has taken the time since began.
func (e *etcd) observe(t ownership.Txn, began clock.Instant, err error) {
	o := serverstats.Operation{Op: operation(t), Result: "ok"}
	if err != nil {
		o.Result = "error"
	}
	took := e.clock.Now().Sub(began).Seconds()
	e.numbers.add(func(c *serverstats.Common) { c.Observe(o, took) })
}

// operation returns what a transaction is for, as metrics name it.
func operation(t ownership.Txn) string {
	for _, op := range t.Then {
		if op.Kind == ownership.Get {
			continue
		}
		for prefix, name := range map[string]string{
			"j/": "commit", "f/": "fold", ownership.OwnerKeys: "claim", ownership.CatalogKeys: "catalog",
		} {
			if strings.HasPrefix(op.Key, prefix) {
				return name
			}
		}

		return "other"
	}

	return "read"
}

package ownership_test

import (
	"bytes"
	"slices"

	"tenure/internal/ownership"
	"tenure/internal/store"
)

// etcd is a model of etcd: a map with all its revisions.
type etcd struct {
	revision  int64
	compacted int64    // no revision below it can be read
	keys      []string // all that ever existed, in order
	versions  map[string][]version
}

// version is the state of a key from a revision on.
type version struct {
	mod, create int64
	value       []byte
	deleted     bool
}

const maxOps = 128

func newEtcd() *etcd { return &etcd{revision: 1, versions: make(map[string][]version)} }

// at returns the key as it was at the revision.
func (e *etcd) at(key string, revision int64) (version, bool) {
	for _, v := range slices.Backward(e.versions[key]) {
		if v.mod <= revision {
			return v, !v.deleted
		}
	}

	return version{}, false
}

func (e *etcd) kv(key string) (ownership.KV, bool) {
	v, ok := e.at(key, e.revision)

	return ownership.KV{Key: key, Value: v.value, Create: v.create, Mod: v.mod}, ok
}

// span returns the keys of a range, including deleted ones.
func (e *etcd) span(key, end string) []string {
	if end == "" {
		end = key + "\x00"
	}
	from, _ := slices.BinarySearch(e.keys, key)
	to, _ := slices.BinarySearch(e.keys, end)

	return e.keys[from:max(from, to)]
}

func (e *etcd) set(key string, v version) {
	if i, ok := slices.BinarySearch(e.keys, key); !ok {
		e.keys = slices.Insert(e.keys, i, key)
	}
	if vs := e.versions[key]; len(vs) > 0 && vs[len(vs)-1].mod == v.mod {
		panic("etcd: the transaction names a key twice: " + key)
	}
	e.versions[key] = append(e.versions[key], v)
}

// apply carries out a transaction. If lag is not 0, it reads that many revisions ago, as a member does that is asked
// for a read that is not linearizable.
func (e *etcd) apply(t ownership.Txn, lag int64) (ownership.Result, error) {
	if max(len(t.If), len(t.Then), len(t.Else)) > maxOps || len(t.Then) == 0 || len(t.If) > 0 && len(t.Else) == 0 {
		panic("etcd: the transaction has too many operations, or a branch without any")
	}
	r := ownership.Result{Succeeded: true}
	for _, c := range t.If {
		v, ok := e.at(c.Key, e.revision)
		if !ok {
			v = version{}
		}
		switch {
		case c.Value != nil && !bytes.Equal(c.Value, v.value),
			c.Value == nil && c.Create && v.create != c.Revision,
			c.Value == nil && !c.Create && v.mod != c.Revision:
			r.Succeeded = false
		}
	}
	ops := t.Then
	if !r.Succeeded {
		ops = t.Else
	}
	for _, op := range ops {
		if op.Kind == ownership.Get && op.Revision != 0 && op.Revision < e.compacted {
			return r, ownership.ErrCompacted
		}
	}
	next := e.revision + 1
	changed := false
	for _, op := range ops {
		switch op.Kind {
		case ownership.Get:
			at := max(1, e.revision-lag)
			if op.Revision != 0 {
				at = op.Revision
			}
			r.Gets = append(r.Gets, e.get(op, at))
		case ownership.Put:
			changed = true
			v, ok := e.at(op.Key, next)
			if !ok {
				v.create = next
			}
			e.set(op.Key, version{mod: next, create: v.create, value: slices.Clone(op.Value)})
		case ownership.Delete:
			for _, key := range slices.Clone(e.span(op.Key, op.End)) {
				if _, ok := e.at(key, next); ok {
					changed = true
					e.set(key, version{mod: next, deleted: true})
				}
			}
		}
	}
	if changed {
		e.revision = next
	}
	r.Revision = e.revision

	return r, nil
}

func (e *etcd) get(op ownership.Op, revision int64) []ownership.KV {
	var kvs []ownership.KV
	keys := e.span(op.Key, op.End)
	for _, key := range keys {
		if v, ok := e.at(key, revision); ok {
			kvs = append(kvs, ownership.KV{Key: key, Value: v.value, Create: v.create, Mod: v.mod})
		}
		if op.Limit > 0 && len(kvs) == op.Limit {
			break
		}
	}

	return kvs
}

// journal returns the parts of a space's entries.
func (e *etcd) journal(s store.Space) []ownership.KV {
	r := ownership.Leftovers(s)[1]

	return e.get(ownership.Op{Key: r[0], End: r[1]}, e.revision)
}

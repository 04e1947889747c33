package ownership

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"tenure/internal/node"
	"tenure/internal/store"
)

// The keys of the catalog.
const (
	CatalogKeys       = "c/"
	CatalogVersionKey = CatalogKeys + "v"
	CatalogRecords    = CatalogKeys + "r/"
)

// CatalogEnd returns the first key after those of the catalog.
func CatalogEnd() string { return prefixEnd(CatalogKeys) }

// CatalogPage returns the operation that reads a page of the catalog's records from the key on, at a revision or, if
// that is 0, now. An empty key means the first one.
func CatalogPage(from string, revision int64) Op {
	return Op{
		Kind: Get, Key: max(from, CatalogRecords), End: prefixEnd(CatalogRecords), Limit: recordPage, Revision: revision,
	}
}

// CatalogRecord returns the record of a key of the catalog, or false if it has none. Its value is nil if the key was
// deleted.
func CatalogRecord(kv KV) (node.Record, bool) {
	if len(kv.Key) < len(CatalogRecords) || kv.Key[:len(CatalogRecords)] != CatalogRecords {
		return node.Record{}, false
	}
	r := node.Record{Key: []byte(kv.Key[len(CatalogRecords):])}
	if kv.Create != 0 {
		r.Value = notNil(kv.Value)
	}

	return r, true
}

// recentChanges is how many changes a version names. A server that does not know for so many changes of others whether
// its own one was made never knows.
const recentChanges = 64

// CatalogVersion is the version of the catalog: the value of its key, and that key's revision.
type CatalogVersion struct {
	Number uint64   `json:"version"`          // counts the changes; 0: there was none
	Recent []string `json:"recent,omitempty"` // the ids of the latest changes, the last one first
	Mod    int64    `json:"-"`
}

// DecodeCatalogVersion decodes the key of the version, of which there is at most one.
func DecodeCatalogVersion(kvs []KV) (v CatalogVersion, err error) {
	kv, ok := only(kvs)
	if !ok || kv.Create == 0 {
		return v, nil
	}
	if err := json.Unmarshal(kv.Value, &v); err != nil {
		return v, fmt.Errorf("%w: version of the catalog, key %q: %w", store.ErrDamaged, kv.Key, err)
	}
	v.Mod = kv.Mod

	return v, nil
}

// ErrForgotten reports that it cannot be known any more whether a change was made.
var ErrForgotten = errors.New("too many other changes were made meanwhile")

// CatalogChange is one change of the catalog, which has no owner (O7). Its transaction is sent until there is a result.
type CatalogChange struct {
	at   CatalogVersion
	id   string
	txn  Txn
	sent int
}

// NewCatalogChange returns the change that makes the batch if the catalog has the version. No other change ever has the
// same id. Check accepts the batch.
func NewCatalogChange(at CatalogVersion, b store.Batch, id string) *CatalogChange {
	c := &CatalogChange{at: at, id: id}
	after := CatalogVersion{
		Number: at.Number + 1,
		Recent: append([]string{id}, at.Recent[:min(len(at.Recent), recentChanges-1)]...),
	}
	value, err := json.Marshal(after)
	if err != nil {
		panic(err) // it has only numbers and strings
	}
	c.txn = Txn{
		If:   []Compare{modIs(CatalogVersionKey, at.Mod)},
		Then: []Op{put(CatalogVersionKey, value)},
		Else: []Op{get(CatalogVersionKey)},
	}
	seen := make(map[string]bool)
	for _, r := range slices.Backward(b.Changes) { // the last one of a key wins
		key := CatalogRecords + string(r.Key)
		switch {
		case seen[key]:
		case r.Value == nil:
			c.txn.Then = append(c.txn.Then, Op{Kind: Delete, Key: key})
		default:
			c.txn.Then = append(c.txn.Then, put(key, slices.Clone(r.Value)))
		}
		seen[key] = true
	}
	c.txn.Then = append(c.txn.Then, drops(b.Drop)...)

	return c
}

// Send returns the transaction. Call it once for each attempt.
func (c *CatalogChange) Send() Txn {
	c.sent++

	return c.txn
}

// Answer takes the result of an attempt. It returns nil if the change was made, store.ErrChanged if it was not and
// never will be, and otherwise ErrForgotten or an error that wraps store.ErrDamaged. The revision is that of the
// version that the catalog has.
func (c *CatalogChange) Answer(r Result) (revision int64, err error) {
	if r.Succeeded {
		return r.Revision, nil
	}
	have, err := DecodeCatalogVersion(r.Gets[0])
	if err != nil {
		return 0, err
	}
	next := c.at.Number + 1 // the version that this change would have made
	switch newer := have.Number - next; {
	case c.sent == 1, have.Number < next: // no earlier attempt can have been carried out
		return have.Mod, store.ErrChanged
	case newer >= uint64(len(have.Recent)):
		return have.Mod, ErrForgotten
	case have.Recent[newer] == c.id:
		return have.Mod, nil
	}

	return have.Mod, store.ErrChanged
}

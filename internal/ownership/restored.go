package ownership

import (
	"slices"

	"tenure/internal/store"
)

// RestoredRecord returns the operation that writes a record of a store that nobody uses yet.
func RestoredRecord(r store.Record) Op {
	key := recordKey(r.Space, string(r.Key))
	if r.Space == store.Catalog {
		key = CatalogRecords + string(r.Key)
	}

	return put(key, slices.Clone(r.Value))
}

// RestoredSpace returns the operation without which the records of a space are not found. Any server may claim the
// space.
func RestoredSpace(s store.Space) Op {
	if s == store.Catalog {
		return put(CatalogVersionKey, []byte(`{"version":1}`))
	}

	return put(OwnerKey(s), Owner{Epoch: 1}.encode())
}

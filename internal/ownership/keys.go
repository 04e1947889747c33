package ownership

import (
	"encoding/json"
	"fmt"
	"strconv"

	"tenure/internal/store"
)

// The keys of etcd, below the prefix of the cluster. Spaces and numbers have 16 hexadecimal digits, so that their order
// is that of the keys.
//
//	srv/SERVER             a living server, as JSON (store.Member); attached to its lease; written by others
//	own/SPACE              the owner of a space, as JSON (Owner); attached to no lease
//	j/SPACE/NUMBER/PART    a part of a journal entry
//	f/SPACE                the mark: the number of the last entry whose changes are all in r/
//	r/SPACE/KEY            a record; KEY is raw
//	c/v                    the version of the catalog, as JSON (CatalogVersion)
//	c/r/KEY                a record of the catalog; KEY is raw
//	d/SPACE                a dropped space whose other keys have not been deleted yet

// ServerKey returns the key that exists while the server is registered.
func ServerKey(server string) string { return ServerKeys + server }

// ServerKeys is the prefix of the keys of all servers.
const ServerKeys = "srv/"

// ServerKeysEnd is the first key after all keys of servers.
const ServerKeysEnd = "srv0"

// OwnerKeys is the prefix of the owner's keys of all spaces.
const OwnerKeys = "own/"

// DroppedKeys is the prefix of the keys that name the spaces to be cleaned.
const DroppedKeys = "d/"

// OwnerKey returns the key that says who owns the space.
func OwnerKey(s store.Space) string { return OwnerKeys + hex(s) }

// DroppedKey returns the key that exists while the keys of a dropped space are to be deleted.
func DroppedKey(s store.Space) string { return DroppedKeys + hex(s) }

// SpaceOf returns the space of an owner's key or of a key below DroppedKeys.
func SpaceOf(key, prefix string) (store.Space, error) {
	if len(key) != len(prefix)+16 {
		return 0, fmt.Errorf("key %q is not one of a space", key)
	}
	n, err := strconv.ParseUint(key[len(prefix):], 16, 64)
	if err != nil {
		return 0, fmt.Errorf("key %q is not one of a space", key)
	}

	return store.Space(n), nil
}

// Leftovers returns the ranges of keys, each from the first to the second string, that a dropped space leaves behind.
func Leftovers(s store.Space) [][2]string {
	return [][2]string{
		{markKey(s), after(markKey(s))},
		{journalPrefix(s), prefixEnd(journalPrefix(s))},
		{recordPrefix(s), prefixEnd(recordPrefix(s))},
	}
}

func hex(s store.Space) string { return digits(uint64(s), 16) }

// digits returns the number in hexadecimal, with leading zeros.
func digits(n uint64, width int) string {
	var b [16]byte
	for i := range width {
		b[width-1-i] = "0123456789abcdef"[n&0xf]
		n >>= 4
	}

	return string(b[:width])
}

func entryPrefix(s store.Space, n uint64) string { return journalPrefix(s) + digits(n, 16) + "/" }
func partKey(s store.Space, n uint64, p int) string {
	return entryPrefix(s, n) + digits(uint64(p), 4)
}
func markKey(s store.Space) string               { return "f/" + hex(s) }
func journalPrefix(s store.Space) string         { return "j/" + hex(s) + "/" }
func recordPrefix(s store.Space) string          { return "r/" + hex(s) + "/" }
func recordKey(s store.Space, key string) string { return recordPrefix(s) + key }

// prefixEnd returns the first key after all keys with the prefix, which must end with a slash.
func prefixEnd(prefix string) string { return prefix[:len(prefix)-1] + "0" }

// after returns the first key after the key.
func after(key string) string { return key + "\x00" }

// Owner is the value of an owner's key.
type Owner struct {
	Server  string `json:"server"`            // "": any server may claim the space
	Epoch   uint64 `json:"epoch"`             // counts the changes of the key
	Target  string `json:"target,omitempty"`  // if Server is "": the one that the space was handed over to (O8)
	Dropped bool   `json:"dropped,omitempty"` // the space is never owned again (O6)
}

func (o Owner) encode() []byte {
	b, err := json.Marshal(o)
	if err != nil {
		panic(err) // it has only a string and numbers
	}

	return b
}

// DecodeOwner decodes the value of an owner's key.
func DecodeOwner(kv KV) (Owner, error) {
	var o Owner
	if err := json.Unmarshal(kv.Value, &o); err != nil {
		return o, fmt.Errorf("%w: owner's key %q: %w", store.ErrDamaged, kv.Key, err)
	}

	return o, nil
}

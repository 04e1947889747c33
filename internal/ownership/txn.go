package ownership

// Txn is a transaction of etcd. If all comparisons hold, it carries out Then, and otherwise Else. Both have at least
// one operation: etcd does not make a transaction without operations linearizable, so its comparisons would be worth
// nothing.
type Txn struct {
	If         []Compare
	Then, Else []Op
}

// Compare is a comparison of a key's revision or value. A key that does not exist has the revision 0.
type Compare struct {
	Key      string
	Create   bool // compare the create revision, not the modification revision
	Revision int64
	Value    []byte // not nil: compare the value with it instead
}

// Kind is the kind of an Op.
type Kind uint8

// The kinds of operations.
const (
	Get    Kind = iota // read the keys from Key to End, in order, up to Limit of them
	Put                // set Key to Value
	Delete             // delete the keys from Key to End
)

// Op is an operation of a transaction. No two operations of a branch change the same key.
type Op struct {
	Kind     Kind
	Key      string
	End      string // the first key after the range; "": only Key
	Value    []byte
	Limit    int   // 0: none
	Revision int64 // read at this revision; 0: the current one
}

// Result is the result of a Txn.
type Result struct {
	Succeeded bool   // Then was carried out, not Else
	Revision  int64  // of etcd after the transaction; that of the transaction itself, if it has changed anything
	Gets      [][]KV // of each Get in the branch that was carried out
}

// KV is a key and its value.
type KV struct {
	Key         string
	Value       []byte
	Create, Mod int64 // revisions at which the key was created and last changed
}

func get(key string) Op                    { return Op{Kind: Get, Key: key} }
func put(key string, value []byte) Op      { return Op{Kind: Put, Key: key, Value: value} }
func modIs(key string, r int64) Compare    { return Compare{Key: key, Revision: r} }
func valueIs(key string, v []byte) Compare { return Compare{Key: key, Value: v} }
func bornAt(key string, r int64) Compare   { return Compare{Key: key, Create: true, Revision: r} }

// only returns the only key of a Get, or false if it does not exist.
func only(kvs []KV) (KV, bool) {
	if len(kvs) == 0 {
		return KV{}, false
	}

	return kvs[0], true
}

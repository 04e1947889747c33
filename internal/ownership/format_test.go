package ownership_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/node"
	"tenure/internal/ownership"
	"tenure/internal/store"
)

// TestFormat shows all keys and values. Later versions must be able to read them.
func TestFormat(t *testing.T) {
	t.Parallel()
	b := newBench(t, newEtcd(), ownership.Config{Server: "a", FoldEntries: 2, PartBytes: 8}).claim()
	b.commit(record("k", "1"), node.Record{Key: []byte("gone")}, record("", ""))
	require.Equal(t, committed, b.finish())
	b.call(func(fx *ownership.Effects) {
		b.core.Commit(store.Batch{Space: 1, Changes: []node.Record{record("\x00/", "2")}, Drop: []store.Space{255}}, fx)
	})
	require.Equal(t, committed, b.finish())
	b.commit(record("k", "a longer value"))
	require.Equal(t, committed, b.finish())

	var have strings.Builder
	for _, key := range b.etcd.keys {
		if kv, ok := b.etcd.kv(key); ok {
			fmt.Fprintf(&have, "%q %q\n", key, kv.Value)
		}
	}
	require.Equal(t, `"d/00000000000000ff" ""
"f/0000000000000001" "\x01\x02\x01\x02"
"j/0000000000000001/0000000000000003/0000" "\x01\x00\x01\x01k\x0fa lon=\x9c?`+"`"+`"
"j/0000000000000001/0000000000000003/0001" "\x01\x00\x01ger valux\xf3\xe6\x8f"
"j/0000000000000001/0000000000000003/0002" "\x01\x01\x01e\xe6t\v\n"
"own/0000000000000001" "{\"server\":\"a\",\"epoch\":1}"
"own/00000000000000ff" "{\"server\":\"\",\"epoch\":0,\"dropped\":true}"
"r/0000000000000001/" ""
"r/0000000000000001/\x00/" "2"
"r/0000000000000001/k" "1"
"srv/a" ""
"srv/b" ""
`, have.String())
}

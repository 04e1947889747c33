package node_test

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/node"
)

// A golden file has the records of one node in one format, one per line, with key and value in hex. The file never
// changes, because every later version must load it. In format 2, a link has the date at which it joined its queue. If
// the date is unknown, as in the test of format 1, the record of a link is the same in both formats.
const golden = "testdata/golden/format-%d.txt"

// goldenDates are the dates in the files, by format.
var goldenDates = []uint64{1: 0, 2: firstDate}

func goldenRecords(tb testing.TB, format int) []node.Record {
	tb.Helper()
	text, err := os.ReadFile(fmt.Sprintf(golden, format))
	require.NoError(tb, err)
	var rs []node.Record
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		line, _, _ := strings.Cut(lines.Text(), "#")
		parts := strings.Fields(line)
		if len(parts) == 0 {
			continue
		}
		require.Len(tb, parts, 2, "%s", line)
		key, err := hex.DecodeString(parts[0])
		require.NoError(tb, err)
		value, err := hex.DecodeString(parts[1])
		require.NoError(tb, err)
		rs = append(rs, node.Record{Key: key, Value: value})
	}
	require.NotEmpty(tb, rs)

	return rs
}

// TestRecords_ReadsGolden checks what the golden records mean.
func TestRecords_ReadsGolden(t *testing.T) {
	t.Parallel()
	for format := 1; format < len(goldenDates); format++ {
		t.Run(fmt.Sprint(format), func(t *testing.T) {
			t.Parallel()
			readsGolden(t, format)
		})
	}
}

func readsGolden(t *testing.T, format int) {
	t.Helper()
	date := goldenDates[format]
	rs := records{}
	for _, r := range goldenRecords(t, format) {
		rs[string(r.Key)] = r.Value
	}
	n, err := node.Load(1, node.Config{}, rs.all())
	require.NoError(t, err)

	var fx node.Effects
	n.Apply(1, node.Attach{Stream: 1, Session: 1, ProtectionKey: []byte("wrong")}, &fx)
	n.Apply(1, node.Attach{Stream: 2, Session: 1, ProtectionKey: []byte("0123456789abcdef"), TimeoutMillis: 1}, &fx)
	n.Apply(1, node.Attach{Stream: 3, TimeoutMillis: 1}, &fx)
	n.Apply(1, node.Tick{}, &fx)
	require.Equal(t, []node.Reply{
		{Stream: 1, Message: node.Failure{Status: node.BadSession, Issue: "Attach request protection key mismatch"}},
		{Stream: 2, Message: node.Attached{Session: 1, TimeoutMillis: 1}},
		{Stream: 3, Message: node.Attached{Session: 4, TimeoutMillis: 1}},
	}, fx.Replies)
	require.EqualValues(t, 1+10_000_000_000, fx.Wake, "session 2 has a timeout of 0 and the grace period")

	require.Equal(t, &node.Description{
		Name: "job", Data: []byte{0, 0xff, '\n'}, Count: 300, Limit: 300,
		Owners:  []node.Holder{{OrderID: 1, Session: 1, Count: 300, Data: []byte("first"), Joined: date}},
		Waiters: []node.Holder{{OrderID: 202, Session: 2, Count: 1, TimeoutMillis: node.Forever, Joined: date}},
	}, describe(t, n, "job"))
	require.Equal(t, &node.Description{
		Name: "", Count: 1<<64 - 1, Limit: 1<<64 - 1, Ephemeral: true,
		Owners: []node.Holder{{OrderID: 203, Session: 2, Count: 1<<64 - 1, Joined: date}},
		Waiters: []node.Holder{
			{OrderID: 204, Session: 3, Count: 5, TimeoutMillis: 86_400_000, Data: []byte("x"), Joined: date},
		},
	}, describe(t, n, ""))
}

func describe(t *testing.T, n *node.Node, name string) *node.Description {
	t.Helper()
	var fx node.Effects
	n.Apply(1, node.Describe{
		From: node.From{Stream: 2, Session: 1}, Semaphore: name, IncludeOwners: true, IncludeWaiters: true,
	}, &fx)
	require.Len(t, fx.Replies, 1)
	d, ok := fx.Replies[0].Message.(node.Described)
	require.True(t, ok)
	require.NotNil(t, d.Semaphore, "%+v", d)

	return d.Semaphore
}

// TestRecords_WritesGolden repeats the requests that led to the golden records.
func TestRecords_WritesGolden(t *testing.T) {
	t.Parallel()
	for format := 1; format < len(goldenDates); format++ {
		t.Run(fmt.Sprint(format), func(t *testing.T) {
			t.Parallel()
			writesGolden(t, format)
		})
	}
}

func writesGolden(t *testing.T, format int) {
	t.Helper()
	p := newPair(t)
	p.date = goldenDates[format]
	key := []byte("0123456789abcdef")
	p.apply(
		node.Attach{Stream: 1, Seq: 9, TimeoutMillis: 1_800_000, Description: "the first", ProtectionKey: key},
		node.Attach{Stream: 2},
		node.Attach{Stream: 3, TimeoutMillis: 300_000},
	)
	one, two, three := node.From{Stream: 1, Session: 1}, node.From{Stream: 2, Session: 2}, node.From{Stream: 3, Session: 3}
	p.apply(
		node.Create{From: one, Semaphore: "job", Limit: 300, Data: []byte{0, 0xff, '\n'}},
		node.Acquire{From: one, Semaphore: "job", Count: 300, TimeoutMillis: 5_000, Data: []byte("first")},
	)
	for range 200 { // so that some ids need more than one byte
		p.apply(
			node.Acquire{From: two, Semaphore: "gone", Count: 1, Ephemeral: true},
			node.Release{From: two, Semaphore: "gone"},
		)
	}
	p.apply(
		node.Acquire{From: two, Semaphore: "job", Count: 1, TimeoutMillis: node.Forever},
		node.Acquire{From: two, Semaphore: "", Count: 1<<64 - 1, Ephemeral: true},
		node.Acquire{From: three, Semaphore: "", Count: 5, TimeoutMillis: 86_400_000, Data: []byte("x"), Ephemeral: true},
	)

	want, got := records{}, p.durable
	for _, r := range goldenRecords(t, format) {
		want[string(r.Key)] = r.Value
	}
	require.Equal(t, want, got, "%s", &hexLines{got})
}

// hexLines prints records in the format of the golden file.
type hexLines struct{ records }

func (h *hexLines) String() string {
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(h.records)) {
		fmt.Fprintf(&b, "%x %x\n", key, h.records[key])
	}

	return b.String()
}

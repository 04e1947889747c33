package roster_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"tenure/internal/roster"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the golden files")

// example is an announcement in which every field is set.
func example() roster.Announcement {
	a := roster.Announcement{
		Worker: "w1", Named: true, Who: "alice@ci-3, pid 42 (indexer)", Labels: map[string]string{"zone": "a"},
		Mode: roster.Balanced, Capacity: 4, Only: "job-*", Digest: "0123456789abcdef", Tasks: 10, Leaving: true,
		Timeout: roster.Millis(10 * time.Second), Held: roster.Hashes{1, roster.HashOf("job-1")},
		Times: roster.Times{{Since: 1_700_000_000, Heard: 1_700_000_001}, {}}, Declined: roster.Hashes{3},
		Ghosts: []roster.Ghost{{Worker: "w2", Left: roster.Millis(1500 * time.Millisecond), Held: roster.Hashes{4, 5}}},
	}
	a.Done.Set(0)
	a.Done.Set(9)
	a.Failed.Set(3)

	return a
}

// record is a record in which every field is set.
func record() roster.Record {
	return roster.Record{
		Failures: 3, At: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Pause: roster.Millis(4 * time.Second),
		Reason: "exit status 1", Worker: "w1", Token: 42, Done: true, Failed: true,
	}
}

// The formats must not change, because workers of several versions share a pool. Later versions may add fields.
func TestGolden(t *testing.T) {
	t.Parallel()
	a, r := example(), record()
	for name, data := range map[string][]byte{"announcement.json": a.Encode(), "record.json": r.Encode()} {
		file := filepath.Join("testdata", name)
		if *rewrite {
			require.NoError(t, os.WriteFile(file, append(data, '\n'), 0o600))
		}
		golden, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Equal(t, string(golden), string(data)+"\n")
	}
	require.Equal(t, roster.Hash(0x26ab639c21df8aa), roster.HashOf("job-1"))
	require.Equal(t, "fb556ecb2da4e4c4", roster.Digest([]string{"a", "b"}, func(s string) (string, int) { return s, 1 }))
}

func TestDecode_RoundTrip(t *testing.T) {
	t.Parallel()
	a := example()
	m, err := roster.Decode(7, 8, a.Encode())
	require.NoError(t, err)
	require.Equal(t, roster.Member{Announcement: a, Session: 7, Token: 8}, m)
	at, ok := m.TimeOf(1)
	require.True(t, ok)
	require.Equal(t, roster.Time{Since: 1_700_000_000, Heard: 1_700_000_001}, at)
	require.True(t, m.Done.Has(9))
	require.False(t, m.Done.Has(8))
	require.False(t, m.Done.Has(1_000))

	r, err := roster.DecodeRecord("x", record().Encode())
	require.NoError(t, err)
	require.Equal(t, record(), r)
}

// Fields of later versions are ignored, and fields that are missing are zero.
func TestDecode_OtherVersions(t *testing.T) {
	t.Parallel()
	m, err := roster.Decode(1, 2, []byte(`{"worker":"w","mode":"later","capacity":-1,"timeout_ms":-5,"later":{"x":[1]}}`))
	require.NoError(t, err)
	require.Equal(t, roster.Announcement{Worker: "w", Mode: "later"}, m.Announcement)

	r, err := roster.DecodeRecord("x", []byte(`{"failures":2,"later":1}`))
	require.NoError(t, err)
	require.Equal(t, roster.Record{Failures: 2}, r)

	r, err = roster.DecodeRecord("x", nil)
	require.NoError(t, err)
	require.Zero(t, r)
}

func TestDecode_Damaged(t *testing.T) {
	t.Parallel()
	for _, data := range []string{
		"", "{", "alice@ci-3, pid 42", "[]", `{"worker":1}`, `{"worker":""}`, `{"worker":"w","held":"?"}`,
	} {
		_, err := roster.Decode(1, 2, []byte(data))
		require.ErrorContains(t, err, "session 1", data)
	}
	_, err := roster.DecodeRecord("job#record", []byte("mine"))
	require.ErrorContains(t, err, `semaphore "job#record" does not hold the record of a task`)
	require.ErrorContains(t, err, "delete it, or rename the task")

	// Hashes that are not sorted or too short are repaired, so that lookups find what is there.
	var h roster.Hashes
	data, err := json.Marshal(append(make([]byte, 7), 9, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, &h))
	require.Equal(t, roster.Hashes{1, 9}, h)
}

// Decoding never panics, whatever another program has written.
func TestDecode_Any(t *testing.T) {
	t.Parallel()
	a := example()
	valid := a.Encode()
	rapid.Check(t, func(t *rapid.T) {
		data := append([]byte(nil), valid...)
		for range rapid.IntRange(1, 5).Draw(t, "changes") {
			data[rapid.IntRange(0, len(data)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
		}
		if m, err := roster.Decode(1, 2, data); err == nil {
			m.TimeOf(1)
			m.Done.Has(3)
		}
		_, _ = roster.DecodeRecord("x", data)
	})
}

// The next run waits for the rest of the pause, and never longer than the pause, although clocks differ.
func TestRecord_Wait(t *testing.T) {
	t.Parallel()
	r := roster.Record{Failures: 1, At: time.Unix(1_000, 0), Pause: roster.Millis(10 * time.Second)}
	require.Equal(t, 10*time.Second, r.Wait(time.Unix(1_000, 0)))
	require.Equal(t, 4*time.Second, r.Wait(time.Unix(1_006, 0)))
	require.Zero(t, r.Wait(time.Unix(2_000, 0)))
	require.Equal(t, 10*time.Second, r.Wait(time.Unix(0, 0)))
	r.Done = true
	require.Zero(t, r.Wait(time.Unix(1_000, 0)))
}

// A long reason does not make the record too large.
func TestRecord_LongReason(t *testing.T) {
	t.Parallel()
	r := roster.Record{Reason: string(make([]byte, 1<<20))}
	require.Less(t, len(r.Encode()), 16<<10)
}

func TestReserved(t *testing.T) {
	t.Parallel()
	for name, reserved := range map[string]bool{
		roster.MembersOf("p"): true, roster.RecordOf("t"): true, roster.NameOf("p", "w"): true, "job-1": false,
		"#record-1": false,
	} {
		require.Equal(t, reserved, roster.Reserved(name), name)
	}
}

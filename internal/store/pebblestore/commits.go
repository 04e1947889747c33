package pebblestore

import (
	"encoding/binary"
	"io"

	"github.com/cockroachdb/pebble/v2"
)

// run is a run of commits without a gap, by their numbers: first to last. If first is above last, there is a gap.
//
// Every batch merges the run of its own number into the store's, so that the store's run tells not only which commit
// is the newest, but that all before it are there: also if a table or a log is missing from the middle.
type run struct{ first, last uint64 }

const runSize = 16

func (r run) whole() bool { return r.first <= r.last }

// then returns the run of r and, newer, next.
func (r run) then(next run) run {
	if !r.whole() || !next.whole() || r.last+1 != next.first {
		return run{1, 0}
	}

	return run{r.first, next.last}
}

// encode gives 8 bytes of first and 8 of last, big endian.
func (r run) encode() []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(make([]byte, 0, runSize), r.first), r.last)
}

func decodeRun(b []byte) run {
	if len(b) != runSize {
		return run{1, 0}
	}

	return run{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}
}

// runMerger merges runs in Pebble. Its name is written to the database.
var runMerger = &pebble.Merger{
	Name: "tenure.run",
	Merge: func(_, value []byte) (pebble.ValueMerger, error) {
		m := mergedRun(decodeRun(value))

		return &m, nil
	},
}

type mergedRun run

func (m *mergedRun) MergeNewer(value []byte) error {
	*m = mergedRun(run(*m).then(decodeRun(value)))

	return nil
}

func (m *mergedRun) MergeOlder(value []byte) error {
	*m = mergedRun(decodeRun(value).then(run(*m)))

	return nil
}

func (m *mergedRun) Finish(bool) ([]byte, io.Closer, error) { return run(*m).encode(), nil, nil }

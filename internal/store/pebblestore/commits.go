package pebblestore

import (
	"encoding/binary"
	"io"

	"github.com/cockroachdb/pebble/v2"
)

// run is a sequence of commits without a gap, with the numbers first to last. If first is greater than last, there is a
// gap.
//
// Every batch merges a run that consists of its own number into the store's run. The store's run then shows the number
// of the newest commit, and also whether all commits before it are there, which they are not if a table or a log in the
// middle is missing.
type run struct{ first, last uint64 }

const runSize = 16

func (r run) whole() bool { return r.first <= r.last }

// then returns the run that consists of r followed by the newer run next.
func (r run) then(next run) run {
	if !r.whole() || !next.whole() || r.last+1 != next.first {
		return run{1, 0}
	}

	return run{r.first, next.last}
}

// encode returns first and last, 8 bytes each, big endian.
func (r run) encode() []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(make([]byte, 0, runSize), r.first), r.last)
}

func decodeRun(b []byte) run {
	if len(b) != runSize {
		return run{1, 0}
	}

	return run{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}
}

// runMerger makes Pebble merge runs. Its name is part of the on-disk format.
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

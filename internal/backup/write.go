package backup

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"io"
	"iter"
	"time"

	"tenure/internal/store"
)

// Write writes a backup of the records, which are those of a snapshot of a store. The backup is complete only if Write
// returns nil.
func Write(w io.Writer, date time.Time, records iter.Seq2[store.Record, error]) error {
	b := &writer{to: w, sum: sha256.New()}
	if err := b.write(header(uint64(max(0, date.UnixMilli())))); err != nil { //nolint:gosec // not negative
		return err
	}
	for r, err := range records {
		if err == nil {
			err = b.add(r)
		}
		if err != nil {
			return err
		}
	}
	if err := b.flush(); err != nil {
		return err
	}
	end := append(make([]byte, blockHeader), kindEnd)
	end = binary.LittleEndian.AppendUint64(end, b.records)
	end = b.sum.Sum(end)
	seal(end)

	return b.write(end)
}

type writer struct {
	to      io.Writer
	sum     hash.Hash
	block   []byte // header, kind, space and records; empty: none has begun
	space   store.Space
	records uint64
}

func (w *writer) write(b []byte) error {
	_, _ = w.sum.Write(b) // never fails
	_, err := w.to.Write(b)

	return err
}

func (w *writer) add(r store.Record) error {
	if len(w.block) > 0 && (r.Space != w.space || len(w.block)+len(r.Key)+len(r.Value) > blockSize) {
		if err := w.flush(); err != nil {
			return err
		}
	}
	if len(w.block) == 0 {
		w.space = r.Space
		w.block = append(w.block, make([]byte, blockHeader)...)
		w.block = binary.AppendUvarint(append(w.block, kindRecords), uint64(r.Space))
	}
	w.block = append(binary.AppendUvarint(w.block, uint64(len(r.Key))), r.Key...)
	w.block = append(binary.AppendUvarint(w.block, uint64(len(r.Value))), r.Value...)
	w.records++

	return nil
}

func (w *writer) flush() error {
	if len(w.block) == 0 {
		return nil
	}
	seal(w.block)
	err := w.write(w.block)
	w.block = w.block[:0]

	return err
}

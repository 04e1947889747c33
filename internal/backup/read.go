package backup

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"iter"
	"time"

	"tenure/internal/node"
	"tenure/internal/store"
)

// reader reads a backup.
type reader struct {
	from    io.Reader
	sum     hash.Hash
	at      int64 // how much was read, in bytes
	date    time.Time
	records uint64
	last    store.Record
}

func newReader(r io.Reader) *reader { return &reader{from: r, sum: sha256.New()} }

// all yields the records. If the backup is not complete and intact, the last pair has an error. The slices are valid
// until the next pair.
func (r *reader) all() iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		if err := r.read(func(rec store.Record) bool { return yield(rec, nil) }); err != nil {
			yield(store.Record{}, err)
		}
	}
}

func (r *reader) read(yield func(store.Record) bool) error {
	if err := r.readHeader(); err != nil {
		return err
	}
	for {
		began, before := r.at, r.sum.Sum(nil)
		content, err := r.block()
		if err != nil {
			return err
		}
		switch content[0] {
		case kindRecords:
			if more, err := r.open(began, content[1:], yield); err != nil || !more {
				return err
			}
		case kindEnd:
			return r.end(began, content[1:], before)
		default:
			return damaged(began, "a block of an unknown kind")
		}
	}
}

func (r *reader) readHeader() error {
	b, err := r.next(headerSize)
	switch {
	case !bytes.HasPrefix(b, []byte(magic)[:min(len(b), len(magic))]) || len(b) == 0 && err == nil:
		return fmt.Errorf("%w: pass a file that \"tenure backup\" has written", ErrForeign)
	case err == nil:
	case len(b) == 0 && errors.Is(err, ErrCut):
		return fmt.Errorf("%w: the file is empty: pass a file that \"tenure backup\" has written", ErrForeign)
	default:
		return err
	}
	if binary.LittleEndian.Uint32(b[12:]) != headerSum(b) {
		return damaged(0, "a wrong checksum of the header")
	}
	if format := binary.LittleEndian.Uint32(b[8:]); format != formatVersion {
		return fmt.Errorf("%w: it has format %d, and this version reads format %d: run the version that wrote it, "+
			"or a later one", ErrNewer, format, formatVersion)
	}
	r.date = time.UnixMilli(int64(binary.LittleEndian.Uint64(b[16:]))).UTC() //nolint:gosec // for people

	return nil
}

// next reads the next n bytes. After an error it returns those that there are.
func (r *reader) next(n int) ([]byte, error) {
	b := make([]byte, n)
	read, err := io.ReadFull(r.from, b)
	r.at += int64(read)
	_, _ = r.sum.Write(b[:read]) // never fails
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = cut(r.records)
	}

	return b[:read], err
}

// block reads the next block and returns its content, which is not empty.
func (r *reader) block() ([]byte, error) {
	began := r.at
	head, err := r.next(blockHeader)
	if err != nil {
		return nil, err
	}
	size := binary.LittleEndian.Uint32(head[4:])
	if size == 0 || size > maxBlock {
		return nil, damaged(began, "a block of an impossible size")
	}
	content, err := r.next(int(size))
	if err != nil {
		return nil, err
	}
	if binary.LittleEndian.Uint32(head) != crc32.Update(crc32.Checksum(head[4:], crcTable), crcTable, content) {
		return nil, damaged(began, "a wrong checksum")
	}

	return content, nil
}

// open yields the records of a block. It reports whether yield wants more.
func (r *reader) open(began int64, content []byte, yield func(store.Record) bool) (more bool, err error) {
	d := decoder{rest: content}
	space := store.Space(d.number())
	for !d.broken && len(d.rest) > 0 {
		rec := store.Record{Space: space, Record: node.Record{Key: d.bytes(), Value: d.bytes()}}
		ordered := r.records == 0 || rec.Space > r.last.Space ||
			rec.Space == r.last.Space && bytes.Compare(rec.Key, r.last.Key) > 0
		if d.broken || !ordered {
			return false, damaged(began, "a broken block")
		}
		r.records++
		r.last = rec
		if !yield(rec) {
			return false, nil
		}
	}
	if d.broken || space.Check() != nil {
		return false, damaged(began, "a broken block")
	}

	return true, nil
}

func (r *reader) end(began int64, content, sum []byte) error {
	want := append(binary.LittleEndian.AppendUint64(nil, r.records), sum...)
	if !bytes.Equal(content, want) {
		return damaged(began, "a wrong number of records, or a wrong hash of the whole file,")
	}
	if b, err := r.next(1); len(b) > 0 {
		return damaged(r.at-1, "something after the end of the backup")
	} else if !errors.Is(err, ErrCut) {
		return err
	}

	return nil
}

// decoder reads the parts of a block.
type decoder struct {
	rest   []byte
	broken bool
}

func (d *decoder) number() uint64 {
	n, size := binary.Uvarint(d.rest)
	if size <= 0 {
		d.rest, d.broken = nil, true

		return 0
	}
	d.rest = d.rest[size:]

	return n
}

func (d *decoder) bytes() []byte {
	n := d.number()
	if n > uint64(len(d.rest)) {
		d.rest, d.broken = nil, true

		return nil
	}
	b := d.rest[:n:n]
	d.rest = d.rest[n:]

	return b
}

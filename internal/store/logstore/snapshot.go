package logstore

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"slices"

	"tenure/internal/node"
	"tenure/internal/store"
)

// snapshot is a file with the records of all spaces at the end of a segment. It replaces this segment and all before
// it.
//
// It consists of a header, sections, an index and a footer. A section consists of blocks with the records of one space,
// in order of their keys. Sections are in order of their spaces. The index is a block that lists, for each section, its
// space and its size as unsigned varints. A block consists of the CRC-32C of the rest (4 bytes), the size of the
// content (4 bytes) and the content. A record in a block is the length of the key, the key, the length of the value and
// the value, with lengths as unsigned varints. The footer has the number of the newest commit (8 bytes), the offset of
// the index (8 bytes), the CRC-32C of both (4 bytes) and 4 zero bytes. Numbers are little endian.
//
// Everything but the content of blocks is constant, so a snapshot needs no lock.
type snapshot struct {
	number   uint64 // of the newest segment that it replaces
	commits  uint64 // number of the newest commit in it
	file     *sharedFile
	size     int64
	sections []section // in order of their spaces
}

// section is the place of the records of a space.
type section struct {
	space   store.Space
	at, end int64
}

const (
	blockHeader = 8
	blockSize   = 64 << 10 // of a full block; one with a large record is larger
	footerSize  = 24
)

// errBroken reports a part of a snapshot that is not what was written.
var errBroken = errors.New("a checksum is wrong")

// readSnapshot reads everything but the sections. Its error is newerFormat, errBadHeader, errBroken or an error of the
// system.
func readSnapshot(number uint64, f *sharedFile) (*snapshot, error) {
	if _, _, err := snapshotKind.check(f, number); err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	s := &snapshot{number: number, file: f, size: info.Size()}
	footer := make([]byte, footerSize)
	if s.size < headerSize+footerSize {
		return nil, errBroken
	}
	if _, err := f.ReadAt(footer, s.size-footerSize); err != nil {
		return nil, err
	}
	index := int64(binary.LittleEndian.Uint64(footer[8:]))
	if binary.LittleEndian.Uint32(footer[16:]) != crc32.Checksum(footer[:16], crcTable) || index < headerSize {
		return nil, errBroken
	}
	s.commits = binary.LittleEndian.Uint64(footer)
	content, end, err := s.block(nil, index, s.size-footerSize)
	if err != nil {
		return nil, err
	}
	at, d := int64(headerSize), decoder{rest: content}
	for len(d.rest) > 0 {
		next := section{space: store.Space(d.number()), at: at}
		size := d.number()
		if n := len(s.sections); size > uint64(index-at) || n > 0 && s.sections[n-1].space >= next.space {
			return nil, errBroken
		}
		next.end = at + int64(size)
		s.sections, at = append(s.sections, next), next.end
	}
	if d.err != nil || end != s.size-footerSize || at != index {
		return nil, errBroken
	}

	return s, nil
}

// block returns the content of the block at the offset, and the end of the block, which must not be after limit. It
// uses the memory of buf if the content fits.
func (s *snapshot) block(buf []byte, at, limit int64) (content []byte, end int64, err error) {
	var header [blockHeader]byte
	if limit-at < blockHeader {
		return nil, 0, errBroken
	}
	if _, err := s.file.ReadAt(header[:], at); err != nil {
		return nil, 0, err
	}
	size := int64(binary.LittleEndian.Uint32(header[4:]))
	if size > limit-at-blockHeader {
		return nil, 0, errBroken
	}
	content = slices.Grow(buf[:0], int(size))[:size]
	if _, err := s.file.ReadAt(content, at+blockHeader); err != nil {
		return nil, 0, err
	}
	if binary.LittleEndian.Uint32(header[:]) != crc32.Update(crc32.Checksum(header[4:], crcTable), crcTable, content) {
		return nil, 0, errBroken
	}

	return content, at + blockHeader + size, nil
}

// section returns the place of the records of the space, which is empty if there are none. It is safe to call it on a
// nil snapshot.
func (s *snapshot) section(space store.Space) section {
	if s == nil {
		return section{}
	}
	i, ok := slices.BinarySearchFunc(s.sections, space, func(a section, b store.Space) int {
		return cmp.Compare(a.space, b)
	})
	if !ok {
		return section{}
	}

	return s.sections[i]
}

// merged yields the records of the section with the changes applied, in order of the keys, until yield returns false.
// A record is valid until yield returns.
func (s *snapshot) merged(from section, changes *latest, yield func(node.Record) bool) error {
	var content []byte
	more := changes.next()
	for at := from.at; at < from.end; {
		b, end, err := s.block(content, at, from.end)
		if err != nil {
			return err
		}
		at, content = end, b
		for d := (decoder{rest: content}); len(d.rest) > 0; {
			r := node.Record{Key: d.bytes(d.number())}
			r.Value = d.bytes(d.number())
			if d.err != nil {
				return d.err
			}
			for ; more; more = changes.next() {
				order := bytes.Compare(changes.record.Key, r.Key)
				if order > 0 {
					break
				}
				if order == 0 { // instead of the record
					r = changes.record
					more = changes.next()

					break
				}
				if changes.record.Value != nil && !yield(changes.record) {
					return nil
				}
			}
			if r.Value != nil && !yield(r) {
				return nil
			}
		}
	}
	for ; more; more = changes.next() {
		if r := changes.record; r.Value != nil && !yield(r) {
			return nil
		}
	}

	return nil
}

// snapshotWriter writes a snapshot.
type snapshotWriter struct {
	file    file
	at      int64  // end of what was written
	synced  int64  // up to which it was synced
	block   []byte // header and content of the next block
	content []section
}

func newSnapshotWriter(f file, number uint64) (*snapshotWriter, error) {
	w := &snapshotWriter{file: f, block: make([]byte, blockHeader, blockHeader+blockSize)}

	return w, w.write(snapshotKind.header(number, 0))
}

func (w *snapshotWriter) write(b []byte) error {
	if _, err := w.file.WriteAt(b, w.at); err != nil {
		return err
	}
	if w.at += int64(len(b)); w.at < w.synced+pieceSize {
		return nil
	}
	w.synced = w.at

	return w.file.Sync()
}

// add adds a record to the section.
func (w *snapshotWriter) add(r node.Record) error {
	if len(w.block) > blockHeader && len(w.block)+len(r.Key)+len(r.Value) > blockHeader+blockSize {
		if err := w.flush(); err != nil {
			return err
		}
	}
	w.block = binary.AppendUvarint(w.block, uint64(len(r.Key)))
	w.block = append(w.block, r.Key...)
	w.block = binary.AppendUvarint(w.block, uint64(len(r.Value)))
	w.block = append(w.block, r.Value...)

	return nil
}

// flush writes the block.
func (w *snapshotWriter) flush() error {
	b := w.block
	binary.LittleEndian.PutUint32(b[4:], uint32(len(b)-blockHeader))
	binary.LittleEndian.PutUint32(b, crc32.Checksum(b[4:], crcTable))
	w.block = b[:blockHeader]

	return w.write(b)
}

// end ends the section of the space.
func (w *snapshotWriter) end(space store.Space) error {
	begun := int64(headerSize)
	if n := len(w.content); n > 0 {
		begun = w.content[n-1].end
	}
	if len(w.block) > blockHeader {
		if err := w.flush(); err != nil {
			return err
		}
	}
	if w.at > begun {
		w.content = append(w.content, section{space, begun, w.at})
	}

	return nil
}

// finish writes the index and the footer, and makes the file durable.
func (w *snapshotWriter) finish(commits uint64) error {
	index := w.at
	for _, s := range w.content {
		w.block = binary.AppendUvarint(w.block, uint64(s.space))
		w.block = binary.AppendUvarint(w.block, uint64(s.end-s.at))
	}
	if err := w.flush(); err != nil {
		return err
	}
	footer := make([]byte, footerSize)
	binary.LittleEndian.PutUint64(footer, commits)
	binary.LittleEndian.PutUint64(footer[8:], uint64(index))
	binary.LittleEndian.PutUint32(footer[16:], crc32.Checksum(footer[:16], crcTable))
	if err := w.write(footer); err != nil {
		return err
	}

	return w.file.Sync()
}

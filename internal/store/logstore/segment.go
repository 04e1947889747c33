package logstore

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"math"

	"tenure/internal/store"
)

// segment is a file of the log: a header, frames without gaps, and zero bytes up to the end of the file. A new segment
// consists of written zero bytes, so that a commit changes nothing but the content of blocks that the file already has.
// Its sync then needs no change of the file system's own records, and cannot fail for lack of space.
type segment struct {
	number uint64
	format uint32
	salt   uint32 // of the checksums of its frames: random, or 0 before format 4
	file   *sharedFile

	// The following fields are guarded by Store.mu.

	size   int64 // up to which there is space; frames beyond it extend the file
	end    int64 // of the last frame
	group  int64 // where the last group of frames begins that replay has found
	frames map[store.Space]trace
}

// trace lists the frames of a segment that belong to a space.
type trace struct {
	dropped bool     // the space was dropped; at has the later frames
	at      []uint32 // offsets in units of frameAlign, ascending
}

// maxSegment is the largest size of a segment. A segment reaches it only if no further segment can be created for long.
const maxSegment = math.MaxUint32 * frameAlign

func newSegment(number uint64, salt uint32, f *sharedFile, size int64) *segment {
	return &segment{
		number: number, format: formatVersion, salt: salt, file: f, size: size, end: headerSize,
		frames: make(map[store.Space]trace),
	}
}

// add records that the frame at the offset belongs to the space, and drops the other spaces.
func (s *segment) add(at int64, space store.Space, drop []store.Space) {
	for _, d := range drop {
		s.frames[d] = trace{dropped: true}
	}
	t := s.frames[space]
	t.at = append(t.at, uint32(at/frameAlign))
	s.frames[space] = t
}

// replay records all frames from s.end on, whose numbers follow last. It returns the number of the last one. It stops
// at the first frame that is broken or missing. It uses buf, which must have scanSize bytes.
func (s *segment) replay(last uint64, buf []byte) (uint64, error) {
	r := frameReader{file: s.file, size: s.size, salt: s.salt, scan: buf}
	for {
		f, size, ok, err := r.frame(s.end)
		if err != nil || !ok || f.number != last+1 {
			return last, err
		}
		space, drop, _, err := decodeHead(f.payload)
		if err != nil {
			return last, err
		}
		s.add(s.end, space, drop)
		if f.durable == last {
			s.group = s.end
		}
		s.end += int64(size)
		last++
	}
}

// rest looks at what follows the last frame. It returns the end of the last byte there that is not zero, or 0 if there
// is none, and reports whether there is a frame according to which the commit with the number was durable. It uses buf,
// which must have scanSize bytes.
func (s *segment) rest(number uint64, buf []byte) (dirty int64, durable bool, err error) {
	for at := s.end; at < s.size; {
		n, err := s.file.ReadAt(buf[:min(int64(len(buf)), s.size-at)], at)
		if err != nil && !errors.Is(err, io.EOF) {
			return dirty, false, err
		}
		if n == 0 {
			break
		}
		if b := buf[:n]; !zero(b) {
			dirty = at + int64(len(bytes.TrimRight(b, "\x00")))
		}
		at += int64(n)
	}
	r := frameReader{file: s.file, size: s.size, salt: s.salt, scan: buf}
	for at := s.end; at < dirty && !durable && err == nil; at += frameAlign {
		durable, err = r.proves(at, number)
	}

	return dirty, durable, err
}

// scanSize is the size of the pieces in which replay and rest read a segment. Open uses one buffer for all of them,
// because the first use of a page of memory takes longer than reading it.
const scanSize = 64 << 10

// zero reports whether b has only zero bytes.
func zero(b []byte) bool { return b[0] == 0 && bytes.Equal(b[1:], b[:len(b)-1]) }

// clear overwrites everything from the end of the last frame to the offset with zero bytes.
func (s *segment) clear(to int64) error {
	for at := s.end; at < to; {
		n := min(to-at, windowSize)
		if _, err := s.file.WriteAt(make([]byte, n), at); err != nil {
			return err
		}
		at += n
	}

	return nil
}

// rewrite writes the frames of the last group again. If the sync of the process that wrote them has failed, the system
// may have dropped them although they can still be read, and the next sync would succeed without writing them. A file
// that was growing may end within the zero bytes after its last frame. Then rewrite adds those that are missing.
func (s *segment) rewrite() error {
	if s.group == 0 {
		return nil
	}
	b := make([]byte, s.end-s.group)
	if _, err := s.file.ReadAt(b, s.group); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	_, err := s.file.WriteAt(b, s.group)
	s.size = max(s.size, s.end)

	return err
}

// frameReader reads frames of a segment, preferably in ascending order. The slices that it returns stay valid, unless
// it has a buffer for scans: then they are valid until the next call.
type frameReader struct {
	file io.ReaderAt
	size int64  // of the file
	salt uint32 // of the segment
	scan []byte // nil: the reader allocates a buffer for each part of the file

	buf []byte // a part of the file
	at  int64  // where buf begins
}

const windowSize = 256 << 10

// window returns what the file has at the offset: n bytes or more, or fewer at the end of the file.
func (r *frameReader) window(at int64, n int) ([]byte, error) {
	if skip := at - r.at; skip >= 0 && skip+int64(n) <= int64(len(r.buf)) {
		return r.buf[skip:], nil
	}
	size := cmp.Or(int64(len(r.scan)), windowSize)
	size = max(min(r.size-at, max(int64(n), size)), 0)
	b := r.scan
	if int64(len(b)) < size {
		b = make([]byte, size)
	}
	b = b[:size]
	read, err := r.file.ReadAt(b, at)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	r.buf, r.at = b[:read], at

	return r.buf, nil
}

// frame returns the frame at the offset and its size with the padding. It reports whether there is an intact frame.
func (r *frameReader) frame(at int64) (f frame, size int, ok bool, err error) {
	b, err := r.window(at, frameHeader)
	if err != nil {
		return frame{}, 0, false, err
	}
	n := payloadSize(b)
	if n == 0 || int64(n) > r.size-at-frameHeader {
		return frame{}, 0, false, nil
	}
	if b, err = r.window(at, frameHeader+n+padding(frameHeader+n)); err != nil {
		return frame{}, 0, false, err
	}
	f, size, ok = parseFrame(b, r.salt)

	return f, size, ok, nil
}

// proves reports whether there is an intact frame at the offset according to which the commit was durable. It looks at
// the payload only if the header says so: in the data of a torn frame, many places may look like the size of a payload.
func (r *frameReader) proves(at int64, commit uint64) (bool, error) {
	b, err := r.window(at, frameHeader)
	if err != nil || len(b) < frameHeader {
		return false, err
	}
	if number, durable := frameNumbers(b); durable < commit || number <= durable {
		return false, nil
	}
	_, _, ok, err := r.frame(at)

	return ok, err
}

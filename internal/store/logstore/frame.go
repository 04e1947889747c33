package logstore

import (
	"encoding/binary"
	"hash/crc32"
)

// A frame holds one commit. It consists of a header and a payload, and ends with zero bytes up to the next multiple of
// frameAlign. The header has these fields, little endian:
//
//	checksum  4 bytes   CRC-32C of the rest of the header and the payload, continued from the salt of the segment
//	size      4 bytes   of the payload, never 0
//	number    8 bytes   of the commit, counted from 1
//	durable   8 bytes   number of the newest commit that was durable before the frame was written
//
// A frame is written only after all frames up to its durable number have been synced. So if a frame is broken, and a
// later one says that the broken one was durable, then the disk has lost data. Otherwise the power was cut, or the
// process killed, while the broken frame was written, and nobody has been told that its commit took place.
//
// A payload contains data of clients, so a part of a broken frame could look like a later frame. Clients do not know
// the salt, so they cannot make data that passes for a frame.
type frame struct {
	number, durable uint64
	payload         []byte
}

const (
	frameHeader = 24
	frameAlign  = 8
	maxPayload  = 1 << 30
)

var crcTable = crc32.MakeTable(crc32.Castagnoli)

// appendFrame appends a frame whose payload fill appends. It leaves the checksum to seal.
func appendFrame(buf []byte, number, durable uint64, fill func([]byte) []byte) []byte {
	start := len(buf)
	buf = fill(append(buf, make([]byte, frameHeader)...))
	header := buf[start:]
	binary.LittleEndian.PutUint32(header[4:], uint32(len(header)-frameHeader))
	binary.LittleEndian.PutUint64(header[8:], number)
	binary.LittleEndian.PutUint64(header[16:], durable)

	return append(buf, make([]byte, padding(len(header)))...)
}

// seal sets the checksums of frames that are to be written to a segment with the salt.
func seal(frames []byte, salt uint32) {
	for len(frames) > 0 {
		end := frameHeader + payloadSize(frames)
		binary.LittleEndian.PutUint32(frames, frameSum(frames[:end], salt))
		frames = frames[end+padding(end):]
	}
}

func frameSum(frame []byte, salt uint32) uint32 { return crc32.Update(salt, crcTable, frame[4:]) }

// padding returns the number of zero bytes after size bytes.
func padding(size int) int { return -size & (frameAlign - 1) }

// payloadSize returns the size of the payload of a frame that begins with the header. It returns 0 if there is no
// frame, or if the header is broken in such a way that its size is impossible.
func payloadSize(header []byte) int {
	if len(header) < frameHeader {
		return 0
	}
	if size := binary.LittleEndian.Uint32(header[4:]); size <= maxPayload {
		return int(size)
	}

	return 0
}

// parseFrame returns the frame at the start of b, which is of a segment with the salt, and the frame's size with the
// padding. It reports whether there is an intact frame. The payload is a part of b.
func parseFrame(b []byte, salt uint32) (f frame, size int, ok bool) {
	n := payloadSize(b)
	if n == 0 || n > len(b)-frameHeader {
		return frame{}, 0, false
	}
	end := frameHeader + n
	if binary.LittleEndian.Uint32(b) != frameSum(b[:end], salt) {
		return frame{}, 0, false
	}

	f.number, f.durable = frameNumbers(b)
	f.payload = b[frameHeader:end:end]

	return f, end + padding(end), true
}

// frameNumbers returns the numbers in the header of a frame: those of the commit, and of the newest one that was
// durable before it.
func frameNumbers(header []byte) (number, durable uint64) {
	return binary.LittleEndian.Uint64(header[8:]), binary.LittleEndian.Uint64(header[16:])
}

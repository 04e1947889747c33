package logstore

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strconv"
	"strings"
)

// A segment and a snapshot begin with a header: the magic of the kind of file (8 bytes), the format version (4 bytes),
// the CRC-32C of the other fields (4 bytes), the number of the file (4 bytes), and the salt of a segment (4 bytes).
// Numbers are little endian. Before format 4, the number had 8 bytes, so these files have the salt 0.
type kind struct {
	magic, suffix string
}

var (
	segmentKind  = kind{"tenurlog", ".log"}
	snapshotKind = kind{"tenursnp", ".snapshot"}
)

const headerSize = 24

// name returns the name of a file of this kind.
func (k kind) name(number uint64) string { return fmt.Sprintf("%08d%s", number, k.suffix) }

// number returns the number in the name of a file of this kind.
func (k kind) number(name string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, k.suffix)
	n, err := strconv.ParseUint(digits, 10, 64)

	return n, ok && err == nil && k.name(n) == name
}

func (k kind) header(number uint64, salt uint32) []byte {
	b := make([]byte, headerSize)
	copy(b, k.magic)
	binary.LittleEndian.PutUint32(b[8:], formatVersion)
	binary.LittleEndian.PutUint32(b[16:], uint32(number))
	binary.LittleEndian.PutUint32(b[20:], salt)
	binary.LittleEndian.PutUint32(b[12:], headerSum(b))

	return b
}

// randomSalt returns a salt that nobody can guess.
func randomSalt() uint32 {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails

	return binary.LittleEndian.Uint32(b[:])
}

func headerSum(b []byte) uint32 {
	return crc32.Update(crc32.Checksum(b[:12], crcTable), crcTable, b[16:headerSize])
}

// check returns the format and the salt of a file that begins with the header for the number. The error is newerFormat,
// errBadHeader or an error of the system.
func (k kind) check(f file, number uint64) (format, salt uint32, err error) {
	b, err := readAll(f, headerSize)
	switch {
	case err != nil:
		return 0, 0, err
	case len(b) < headerSize || string(b[:8]) != k.magic || binary.LittleEndian.Uint32(b[12:]) != headerSum(b):
		return 0, 0, errBadHeader
	}
	switch format = binary.LittleEndian.Uint32(b[8:]); {
	case format > formatVersion:
		return 0, 0, newerFormat{uint64(format)}
	case format < oldestFormat, binary.LittleEndian.Uint32(b[16:]) != uint32(number):
		return 0, 0, errBadHeader
	default:
		return format, binary.LittleEndian.Uint32(b[20:]), nil
	}
}

var errBadHeader = errors.New("its header is broken")

// readAll returns the first bytes of the file, up to limit.
func readAll(f file, limit int) ([]byte, error) {
	b := make([]byte, limit)
	n, err := f.ReadAt(b, 0)
	if errors.Is(err, io.EOF) {
		err = nil
	}

	return b[:n], err
}

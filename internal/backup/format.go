// Package backup writes the records of a server to a file, checks such a file, and restores a server from it. The
// format, which docs/backup.md describes, does not depend on the store.
package backup

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"tenure/internal/printable"
)

// A backup consists of a header and blocks. The header has the magic (8 bytes), the format version (4 bytes), the
// CRC-32C of the other fields (4 bytes) and the date in ms since 1970 (8 bytes). A block has the CRC-32C of the rest of
// the block (4 bytes), the size of its content (4 bytes), and the content, whose first byte is the kind. Fixed-size
// numbers are little endian.
//
// A block of records has a space and records of that space; each consists of the length of the key, the key, the length
// of the value and the value. The space and the lengths are unsigned varints. Spaces ascend, and so do the keys of a
// space. The last block has the number of records (8 bytes) and the SHA-256 of everything before the block.
const (
	magic         = "tenurbak"
	formatVersion = 1
	headerSize    = 24
	blockHeader   = 8

	kindRecords = 1
	kindEnd     = 2

	blockSize = 64 << 10 // of a full block; one with a large record is larger
	maxBlock  = 4 << 20  // a record has less than 2 MiB
)

// Errors of a file that cannot be restored. The error that wraps one of them says what to do.
var (
	ErrForeign = errors.New("this is not a backup of tenure")
	ErrNewer   = errors.New("the backup is of a newer version of tenure")
	ErrCut     = errors.New("the backup is incomplete")
	ErrDamaged = errors.New("the backup is damaged")
)

var crcTable = crc32.MakeTable(crc32.Castagnoli)

func header(date uint64) []byte {
	b := make([]byte, headerSize)
	copy(b, magic)
	binary.LittleEndian.PutUint32(b[8:], formatVersion)
	binary.LittleEndian.PutUint64(b[16:], date)
	binary.LittleEndian.PutUint32(b[12:], headerSum(b))

	return b
}

func headerSum(b []byte) uint32 {
	return crc32.Update(crc32.Checksum(b[:12], crcTable), crcTable, b[16:headerSize])
}

// seal fills in the header of a block, which has the space for it.
func seal(block []byte) {
	binary.LittleEndian.PutUint32(block[4:], uint32(len(block)-blockHeader)) //nolint:gosec // at most maxBlock
	binary.LittleEndian.PutUint32(block, crc32.Checksum(block[4:], crcTable))
}

func cut(records uint64) error {
	return fmt.Errorf("%w: it ends after %s: copy the file again, or use another backup", ErrCut,
		printable.Count(records, "record", "records"))
}

func damaged(at int64, what string) error {
	return fmt.Errorf("%w: %s at byte %d: copy the file again, or use another backup", ErrDamaged, what, at)
}

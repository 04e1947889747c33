package logstore

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
)

// ledger records how many commits were acknowledged, in a file beside the log. The log counts its commits too. If its
// count is lower than that of the ledger, commits are lost.
//
// The log alone cannot tell that if its end is damaged or missing. The ledger is written after every sync of the log,
// so it is exact if only the process dies. It is synced after every syncEvery commits and by close. After a power cut
// it may be behind the log but is never ahead of it.
//
// The file consists of the count (8 bytes, little endian) and its CRC-32C (4 bytes, little endian).
type ledger struct {
	file          file
	acked, synced uint64
	buf           []byte
}

const (
	ledgerSize = 12
	syncEvery  = 1024 // adds about 0.1% to the number of syncs
)

var errBadLedger = errors.New("wrong length or checksum")

// readLedger returns the count in the file. Its error is errBadLedger or an error of the system.
func readLedger(f file) (uint64, error) {
	b, err := readAll(f, ledgerSize+1)
	switch {
	case err != nil:
		return 0, err
	case len(b) != ledgerSize || binary.LittleEndian.Uint32(b[8:]) != crc32.Checksum(b[:8], crcTable):
		return 0, errBadLedger
	default:
		return binary.LittleEndian.Uint64(b), nil
	}
}

// write records that the first count commits were acknowledged. These commits must be durable.
func (l *ledger) write(count uint64) error {
	l.buf = appendCount(l.buf[:0], count)
	if _, err := l.file.WriteAt(l.buf, 0); err != nil {
		return err
	}
	if l.acked = count; count < l.synced+syncEvery {
		return nil
	}

	return l.sync()
}

func appendCount(b []byte, count uint64) []byte {
	b = binary.LittleEndian.AppendUint64(b, count)

	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, crcTable))
}

func (l *ledger) sync() error {
	l.synced = l.acked

	return l.file.Sync()
}

package pebblestore

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// ledger records how many commits were acknowledged, in a file next to the database. The database counts its commits
// too. If its count is lower than the ledger's, it has lost commits.
//
// Pebble alone cannot detect that. It takes a log that ends early, a missing log or a manifest with a bad last record
// for the result of a power cut, and continues without the lost data. The ledger is written after every commit, so it
// is exact if only the process dies. It is synced after every syncEvery commits and by close. After a power cut it may
// be behind the database but is never ahead of it.
//
// The file consists of the count (8 bytes, little endian) and its CRC-32C (4 bytes, little endian).
type ledger struct {
	mu            sync.Mutex // guards all fields below
	file          vfs.File
	acked, synced uint64
}

const (
	ledgerSize = 12
	syncEvery  = 1024 // adds about 0.1% to the number of syncs
)

var (
	crcTable     = crc32.MakeTable(crc32.Castagnoli)
	errBadLedger = errors.New("wrong length or checksum")
)

// readLedger returns the count in the file. Its error is errBadLedger or an error of the system.
func readLedger(disk vfs.FS, name string) (uint64, error) {
	f, err := disk.Open(name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		return 0, err
	}
	if len(b) != ledgerSize || binary.LittleEndian.Uint32(b[8:]) != crc32.Checksum(b[:8], crcTable) {
		return 0, errBadLedger
	}

	return binary.LittleEndian.Uint64(b), nil
}

// newLedger creates a ledger with the count 0. The file is durable once the directory is synced.
func newLedger(disk *failstop, dir string) error {
	return replaceFile(disk, dir, ledgerName, encodeCount(0))
}

// openLedger opens the existing file, whose count is acked, and raises the count to count. It syncs the file, because
// an earlier process may have been killed before it could do so. Otherwise the counts that several killed processes
// left unsynced would add up, and a power cut would set the ledger back by more than syncEvery commits.
func openLedger(disk *failstop, dir string, acked, count uint64) (*ledger, error) {
	f, err := disk.OpenReadWrite(disk.PathJoin(dir, ledgerName), vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, err
	}
	l := &ledger{file: f, acked: acked}
	if count > acked {
		err = l.write(count)
	}
	if err = errors.Join(err, l.sync()); err != nil {
		return nil, errors.Join(err, f.Close())
	}

	return l, nil
}

// ack records that the first count commits were acknowledged. These commits must be durable.
func (l *ledger) ack(count uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if count <= l.acked {
		return nil // a later commit was recorded first
	}
	if err := l.write(count); err != nil || count < l.synced+syncEvery {
		return err
	}

	return l.sync()
}

func (l *ledger) write(count uint64) error {
	l.acked = count
	_, err := l.file.WriteAt(encodeCount(count), 0)

	return err
}

func encodeCount(count uint64) []byte {
	b := binary.LittleEndian.AppendUint64(make([]byte, 0, ledgerSize), count)

	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, crcTable))
}

func (l *ledger) sync() error {
	l.synced = l.acked

	return l.file.SyncData()
}

func (l *ledger) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()

	return errors.Join(l.sync(), l.file.Close())
}

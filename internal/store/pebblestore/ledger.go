package pebblestore

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// ledger keeps, in a file beside the database, how many commits were acknowledged. The database counts its commits
// too; if it has fewer than the ledger, it has lost some.
//
// Pebble alone can't tell: it takes a log that ends early, a log that is gone or a manifest with a bad last record for
// the traces of a power cut, and goes on without what they held. The ledger's file is written after every commit, so
// it is exact when the process dies, and synced at every syncEvery-th and by close. After a power cut it may be older
// than the database, never newer.
//
// The file is 8 bytes of count, little endian, and 4 bytes of CRC-32C over them.
type ledger struct {
	mu            sync.Mutex // guards all that follows
	file          vfs.File
	acked, synced uint64
}

const (
	ledgerSize = 12
	syncEvery  = 1024 // adds a thousandth to the syncs
)

var (
	crcTable     = crc32.MakeTable(crc32.Castagnoli)
	errBadLedger = errors.New("content is not what was written")
)

// readLedger returns the count in the file. Errors are errBadLedger and those of the system.
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

// newLedger puts a file that says 0 in its place. It stays when the directory is synced.
func newLedger(disk *failstop, dir string) error {
	return replaceFile(disk, dir, ledgerName, encodeCount(0))
}

// openLedger goes on with the file that is there, which said acked, and has it say count. What was written to it before
// a process was killed is synced, so that the kills of many do not add up to a file that a power cut takes far back.
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

// ack says that the first count commits were acknowledged. They must be durable.
func (l *ledger) ack(count uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if count <= l.acked {
		return nil // a later commit was faster
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

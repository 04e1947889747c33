package logs

import (
	"encoding/binary"
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"tenure/internal/store"
)

// db is a Pebble database. A key begins with the space. Pebble has a group commit of its own.
type db struct{ p *pebble.DB }

// pebbleOptions returns the settings with which commits never wait for flushes or compactions. A log has the size of a
// memtable.
func pebbleOptions(size int) *pebble.Options {
	return &pebble.Options{
		FormatMajorVersion:          pebble.FormatNewest,
		CacheSize:                   4 << 20,
		MemTableSize:                uint64(size),
		MemTableStopWritesThreshold: 8,
		L0StopWritesThreshold:       1 << 10,
		MaxOpenFiles:                128,
		Logger:                      silent{},
	}
}

func openPebble(dir string, size int) (log, int, error) {
	p, err := pebble.Open(dir, pebbleOptions(size))
	if err != nil {
		return nil, 0, err
	}
	live := 0
	iter, err := p.NewIter(nil)
	if err == nil {
		for iter.First(); iter.Valid(); iter.Next() {
			live++
		}
		err = iter.Close()
	}
	if err != nil {
		return nil, 0, errors.Join(err, p.Close())
	}

	return db{p}, live, nil
}

func (d db) commit(b store.Batch) error {
	batch := d.p.NewBatch()
	for _, r := range b.Changes {
		key := append(binary.BigEndian.AppendUint64(nil, uint64(b.Space)), r.Key...)
		var err error
		if r.Value == nil {
			err = batch.Delete(key, nil)
		} else {
			err = batch.Set(key, r.Value, nil)
		}
		if err != nil {
			return err
		}
	}

	return errors.Join(batch.Commit(pebble.Sync), batch.Close())
}

func (d db) close() error { return d.p.Close() }

// silent is a pebble.Logger.
type silent struct{}

func (silent) Infof(string, ...any)      {}
func (silent) Errorf(string, ...any)     {}
func (silent) Fatalf(f string, _ ...any) { panic(f) }

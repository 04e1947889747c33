package logs

import (
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"tenure/internal/store"
)

// raw writes and syncs a preallocated file. It reads nothing back, and begins again when the file is full.
type raw struct {
	group

	file *os.File
	at   int64
}

func openRaw(dir string, size int) (log, int, error) {
	f, err := os.OpenFile(filepath.Join(dir, "raw"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, 0, err
	}
	r := &raw{file: f}
	if info, err := f.Stat(); err != nil || info.Size() < int64(size) {
		_, writeErr := f.Write(make([]byte, size))
		if err := errors.Join(err, writeErr, f.Sync()); err != nil {
			return nil, 0, err
		}
	}
	r.append = func(entries [][]byte) error {
		var all []byte
		for _, e := range entries {
			all = append(all, e...)
		}
		if r.at+int64(len(all)) > int64(size) {
			r.at = 0
		}
		_, err := f.WriteAt(all, r.at)
		r.at += int64(len(all))

		return errors.Join(err, unix.Fdatasync(int(f.Fd())))
	}

	return r, 1, nil
}

func (r *raw) commit(b store.Batch) error { return r.group.commit(encode(b)) }

func (r *raw) close() error { return r.file.Close() }

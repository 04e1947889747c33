package audit

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"strconv"
	"sync"
)

// keep is the number of files of a log, with the one that is written.
const keep = 10

// file is a file with lines that is renamed when it is large. After a write that has failed, the next one starts on a
// new line, so that a reader can skip what is left of the torn one.
type file struct {
	path string
	max  int64       // 0: no limit
	warn func(error) // called when the file cannot be renamed

	mu   sync.Mutex // guards the rest
	file *os.File   // nil after an attempt to open it has failed
	size int64
	torn bool // the last line has no line break
}

func openFile(path string, limit int64, warn func(error)) (*file, error) {
	f := &file{path: path, max: limit, warn: warn}

	return f, f.open()
}

// open is called with mu held, or before other goroutines know f.
func (f *file) open() error {
	file, err := os.OpenFile(f.path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o640)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		return errors.Join(err, file.Close())
	}
	f.file, f.size, f.torn = file, info.Size(), false
	if info.Mode().IsRegular() && f.size > 0 {
		var last [1]byte
		_, err := file.ReadAt(last[:], f.size-1)
		f.torn = err == nil && last[0] != '\n'
	}

	return nil
}

// Write appends whole lines.
func (f *file) Write(lines []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.file != nil && f.max > 0 && f.size > 0 && f.size+int64(len(lines)) > f.max {
		f.rotate()
	}
	if f.file == nil {
		if err := f.open(); err != nil {
			return 0, err
		}
	}
	if f.torn {
		if _, err := io.WriteString(f.file, "\n"); err != nil {
			return 0, err
		}
		f.size++
		f.torn = false
	}
	n, err := f.file.Write(lines)
	f.size += int64(n)
	f.torn = n > 0 && lines[n-1] != '\n'

	return n, err
}

// rotate renames the files, and closes the one that is written. If a file cannot be renamed, the log continues in the
// current one until it has doubled.
func (f *file) rotate() {
	for i := keep - 2; i >= 0; i-- {
		err := os.Rename(Rotated(f.path, i), Rotated(f.path, i+1))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			f.warn(err)
			f.max *= 2

			return
		}
	}
	_ = f.file.Close() // every line has been written
	f.file = nil
}

// Rotated returns the name of the file that the log has left i files ago.
func Rotated(path string, i int) string {
	if i == 0 {
		return path
	}

	return path + "." + strconv.Itoa(i)
}

// Reopen closes the file and opens the path again.
func (f *file) Reopen() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	old := f.file
	f.file = nil
	err := f.open()
	if old != nil {
		err = errors.Join(err, old.Close())
	}

	return err
}

func (f *file) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.file == nil {
		return nil
	}

	return f.file.Close()
}

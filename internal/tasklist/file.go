package tasklist

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"
)

const (
	// look is the pause between looks at a file. Looking works on every file system. A notification of the system does
	// not tell of changes that another machine makes on a shared file system, and watches the wrong file when an editor
	// or a configuration system replaces the file by a new one, or a link in its path.
	look = time.Second

	// maxSize is the largest size of a list in bytes. The lists of MaxTasks names of a usual length are far smaller.
	maxSize = 16 << 20
)

// File returns the list of tasks in a file, as [Parse] reads it. The list is read again when the file has changed and
// then stayed the same for a second, so that a file is not read while it is being written.
func File(path string, opts ...Option) *Watched {
	return newWatched(&file{path: path}, look, opts)
}

// A file is a source.
type file struct {
	path string
	seen os.FileInfo // as of the last look; nil: it could not be looked at
	done os.FileInfo // when it was read last
}

func (f *file) name() string { return f.path }

// stale reports whether the file has changed since it was read, but not since the last look.
func (f *file) stale() bool {
	info, _ := os.Stat(f.path)
	settled := same(info, f.seen)
	f.seen = info

	return settled && !same(info, f.done)
}

func (f *file) read(context.Context) ([]Spec, error) {
	text, before, after, err := f.content()
	f.seen = after
	if err != nil {
		f.done = nil // so that the file is read again as soon as there is one, also if only its rights have changed

		return nil, fmt.Errorf("%s: %w", f.path, err)
	}
	if !same(before, after) {
		return nil, fmt.Errorf("%s: %w", f.path, errUnsettled)
	}
	f.done = after

	return Parse(f.path, text)
}

// content returns the text of the file, and what the file was before and after it was read.
func (f *file) content() (text string, before, after os.FileInfo, err error) {
	opened, err := os.OpenFile(f.path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe without a writer would block
	if err != nil {
		after, _ = os.Stat(f.path)

		return "", nil, after, cause(err)
	}
	defer opened.Close()
	if before, err = opened.Stat(); err != nil {
		return "", nil, nil, cause(err)
	}
	if !before.Mode().IsRegular() {
		return "", nil, before, errIrregular
	}
	content, err := io.ReadAll(io.LimitReader(opened, maxSize+1))
	after, _ = os.Stat(f.path) // by name: the file may have been replaced
	switch {
	case err != nil:
		return "", nil, after, cause(err)
	case len(content) > maxSize:
		return "", nil, after, fmt.Errorf("it is larger than %d MiB", maxSize>>20) //nolint:mnd // the unit
	}

	return string(content), before, after, nil
}

var errIrregular = errors.New("it is not a regular file: to run a program that prints the list, use --tasks-command")

// cause returns the error without the path, which the message has already.
func cause(err error) error {
	if path, ok := errors.AsType[*os.PathError](err); ok {
		return path.Err
	}

	return err
}

// same reports whether nothing shows that a file has changed from one look to another.
func same(a, b os.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}

	return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}

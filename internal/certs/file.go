package certs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"tenure/internal/secretfile"
)

// A File is the path of a file and the setting that names it, such as a flag, for messages.
type File struct{ Setting, Path string }

// errorf returns an error about the file.
func (f File) errorf(format string, args ...any) error {
	return fmt.Errorf("%s=%q "+format, append([]any{f.Setting, f.Path}, args...)...)
}

// maxFile bounds what is read of a file. Lists of the authorities of all browsers have 250 KB.
const maxFile = 4 << 20

// read returns the text of the file.
func (f File) read() ([]byte, error) {
	file, err := openFile(f.Path) // does not wait for the writer of a pipe
	if err != nil {
		return nil, f.unreadable(err)
	}
	defer file.Close()
	info, err := file.Stat()
	switch {
	case err != nil:
		return nil, f.unreadable(err)
	case !info.Mode().IsRegular():
		return nil, f.errorf("is not a file: name a file in PEM form")
	case info.Size() > maxFile:
		return nil, f.errorf("is larger than %d bytes: name a file in PEM form", maxFile)
	}
	text, err := io.ReadAll(io.LimitReader(file, maxFile))
	if err != nil {
		return nil, f.unreadable(err)
	}

	return text, nil
}

// readSecret returns the text of a file that others must not be able to read.
func (f File) readSecret() ([]byte, error) {
	text, err := secretfile.Read(f.Path, maxFile)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Setting, err)
	}

	return text, nil
}

func (f File) unreadable(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return f.errorf("does not exist: check the path")
	case errors.Is(err, fs.ErrPermission):
		return f.errorf("cannot be read by this user (permission denied): check its owner and mode, and those of its " +
			"directory")
	}
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		err = path.Err
	}

	return f.errorf("cannot be read (%w): check the path", err)
}

// Package secretfile reads files whose content must stay secret, such as keys and lists of users.
package secretfile

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// Read returns the content of a file of at most limit bytes. It follows symbolic links, because the secrets of
// Kubernetes are links, and then checks the file itself. It refuses
//
//   - a file that other users can read or write,
//   - a file that belongs to neither the user of the process nor root, because its owner can change it at any time,
//   - everything but a regular file. It does not wait for the writer of a FIFO.
//
// A file of root may be readable for its group. That is how packages and Kubernetes give a file to a service that must
// not change it.
//
// The error of a file that Read refuses names the file and says what to do.
func Read(name string, limit int64) (content []byte, err error) {
	f, err := open(name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file: name a file", name)
	}
	if err := private(name, info); err != nil {
		return nil, err
	}
	content, err = io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, errors.Unwrap(err))
	}
	if int64(len(content)) > limit {
		return nil, fmt.Errorf("%s has more than %d bytes: name another file", name, limit)
	}

	return content, nil
}

// missing says why a file cannot be opened.
func missing(err error) error {
	if path, ok := errors.AsType[*os.PathError](err); ok {
		return fmt.Errorf("cannot open %s: %w", path.Path, path.Err)
	}

	return err
}

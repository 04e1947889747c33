package certs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// A File is the path of a file and the setting that names it, such as a flag, for messages.
type File struct{ Setting, Path string }

// errorf returns an error about the file.
func (f File) errorf(format string, args ...any) error {
	return fmt.Errorf("%s=%q "+format, append([]any{f.Setting, f.Path}, args...)...)
}

// maxFile bounds what is read of a file. Lists of the authorities of all browsers have 250 KB.
const maxFile = 4 << 20

// read returns the text of the file. If the file is secret, others must not be able to read it.
func (f File) read(secret bool) ([]byte, error) {
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
	case secret && exposed(info):
		return nil, f.errorf("can be read by other users (mode %04o): run chmod 600 on it", info.Mode().Perm())
	}
	text, err := io.ReadAll(io.LimitReader(file, maxFile))
	if err != nil {
		return nil, f.unreadable(err)
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

// exposed reports whether users other than the owner of a file with a secret can read or change it. Like PostgreSQL,
// the package trusts the group of a file that root owns, and lets it read: so Kubernetes and the package ssl-cert of
// Debian give a key to a server that does not run as root.
func exposed(info os.FileInfo) bool {
	if ownedByRoot(info) {
		return info.Mode()&0o037 != 0
	}

	return info.Mode()&0o077 != 0
}

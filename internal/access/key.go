package access

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"tenure/internal/secretfile"
)

// KeySize is the length of the key that signs tokens, in bytes.
const KeySize = 32

// LoadKey returns the key in a file, with which an [Authority] signs the tokens that it issues. It creates a random key
// if the file does not exist. Several processes may do so at the same time: all get the same key.
func LoadKey(file string) ([]byte, error) {
	for {
		key, err := secretfile.Read(file, 1<<10)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			if err := createKey(file); err != nil && !errors.Is(err, fs.ErrExist) {
				return nil, fmt.Errorf("create the login key: %w", err)
			}
		case err != nil:
			return nil, fmt.Errorf("login key: %w", err)
		case len(key) != KeySize:
			return nil, fmt.Errorf("login key: %s has %d bytes, but a key has %d: "+
				"remove the file, and users have to log in again", file, len(key), KeySize)
		default:
			return key, nil
		}
	}
}

// createKey writes a random key to a new file, which has its name only when its content is complete and on disk.
func createKey(file string) (err error) {
	dir, err := os.Open(filepath.Dir(file))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	f, err := os.CreateTemp(dir.Name(), filepath.Base(file)+".new-*") // with mode 0600
	if err != nil {
		return err
	}
	key := make([]byte, KeySize)
	_, _ = rand.Read(key) // never fails
	_, err = f.Write(key)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Link(f.Name(), file)
	}

	return errors.Join(err, os.Remove(f.Name()), dir.Sync())
}

package lockcmd

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// A stateFile is the file of --state-file. It exists only while the lock is held, with the tokens and the deadline in
// it. A reader must compare the deadline with the time, because the file stays behind if this process is killed. If the
// path is empty, there is no file, and the methods do nothing.
type stateFile string

// state is the content of the file.
type state struct {
	Tokens   map[string]uint64 `json:"tokens"` // by name
	Deadline time.Time         `json:"deadline"`
	PID      int               `json:"pid"`
}

// check reports an error if the file cannot be created. It removes a file that an earlier process left behind.
func (f stateFile) check() error {
	if err := f.write(state{}); err != nil {
		return err
	}

	return f.remove()
}

// write replaces the file. A reader sees the old or the new content, never a part of it.
func (f stateFile) write(s state) error {
	if f == "" {
		return nil
	}
	path := string(f)
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	temporary, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".")
	if err != nil {
		return fmt.Errorf("state file %q: %w", path, err)
	}
	_, err = temporary.Write(append(text, '\n'))
	if closeErr := temporary.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(temporary.Name(), path)
	}
	if err != nil {
		_ = os.Remove(temporary.Name())

		return fmt.Errorf("state file %q: %w", path, err)
	}

	return nil
}

// remove removes the file. It is not an error if the file does not exist.
func (f stateFile) remove() error {
	if f == "" {
		return nil
	}
	if err := os.Remove(string(f)); err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("state file %q: %w", string(f), err)
	}

	return nil
}

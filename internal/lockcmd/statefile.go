package lockcmd

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// A stateFile is the file of --state-file. It exists only while the lock is held, with the tokens and the deadline in
// it. A reader must compare the deadline with the time, because the file stays behind if this process is killed.
type stateFile struct{ path string }

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
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	temporary, err := os.CreateTemp(filepath.Dir(f.path), filepath.Base(f.path)+".")
	if err != nil {
		return fmt.Errorf("state file %q: %w", f.path, err)
	}
	_, err = temporary.Write(append(text, '\n'))
	if closeErr := temporary.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(temporary.Name(), f.path)
	}
	if err != nil {
		_ = os.Remove(temporary.Name())

		return fmt.Errorf("state file %q: %w", f.path, err)
	}

	return nil
}

// remove removes the file. It is not an error if the file does not exist.
func (f stateFile) remove() error {
	if err := os.Remove(f.path); err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("state file %q: %w", f.path, err)
	}

	return nil
}

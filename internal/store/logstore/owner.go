package logstore

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"
	"unicode"

	"tenure/internal/groupdir"
)

// OwnerInfo identifies the process that has a store open, for messages to people. Programs must not make decisions
// based on it: a process id is meaningful only on the host or in the container where the process runs.
type OwnerInfo struct {
	PID     int       `json:"pid"` // positive; 0 if it is unknown
	Host    string    `json:"host"`
	Command string    `json:"command"` // the command line, cut to maxCommand bytes
	Since   time.Time `json:"-"`       // when the process opened the store
}

const (
	maxCommand = 200
	maxOwner   = 4096
)

// String returns one line: process 12 on host (command line, since 2006-01-02T15:04:05Z).
func (o OwnerInfo) String() string {
	process, details := "an unknown process", "since "+o.Since.Format(time.RFC3339)
	if o.PID != 0 && o.Host != "" {
		process = fmt.Sprintf("process %d on %s", o.PID, o.Host)
	}
	if o.Command != "" {
		details = o.Command + ", " + details
	}

	return fmt.Sprintf("%s (%s)", process, details)
}

// Owner returns the process that has the store in the directory open, as recorded in the OWNER file. Owner does not
// check the lock: a killed process leaves the file behind until the next process opens the store. So call it only after
// Open has returned store.ErrLocked.
func Owner(dir string) (OwnerInfo, bool) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return OwnerInfo{}, false
	}
	defer root.Close()
	f, err := groupdir.OpenRegular(root, ownerName, os.O_RDONLY, 0)
	if err != nil {
		return OwnerInfo{}, false
	}
	defer f.Close()

	return readOwner(f)
}

// ownerFile is a file of the operating system, or of a disk.
type ownerFile interface {
	io.ReaderAt
	Stat() (fs.FileInfo, error)
}

// readOwner tolerates any content: the file may be of another version, truncated, or not written yet.
func readOwner(f ownerFile) (o OwnerInfo, ok bool) {
	info, err := f.Stat()
	if err != nil {
		return OwnerInfo{}, false
	}
	text, err := io.ReadAll(io.NewSectionReader(f, 0, maxOwner))
	if err != nil || json.Unmarshal(text, &o) != nil {
		return OwnerInfo{}, false
	}

	// A process id that is not positive means a whole group of processes to kill(1).
	return OwnerInfo{max(o.PID, 0), printable(o.Host), printable(o.Command), info.ModTime()}, true
}

// writeOwner records this process as the owner.
func writeOwner(d disk) error {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown host"
	}
	command := strings.Join(os.Args, " ")
	text, err := json.Marshal(OwnerInfo{PID: os.Getpid(), Host: host, Command: command[:min(len(command), maxCommand)]})
	if err != nil {
		return err
	}
	f, err := d.Create(ownerName)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(append(text, '\n'), 0)

	return errors.Join(err, f.Close())
}

// printable replaces every character that is not printable by a space.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return ' '
		}

		return r
	}, text)
}

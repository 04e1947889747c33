package pebblestore

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// OwnerInfo tells people who has a store open. It is nothing to decide by: a process id means something only where the
// process runs, which may be another container.
type OwnerInfo struct {
	PID     int       `json:"pid"`
	Host    string    `json:"host"`
	Command string    `json:"command"` // the command line, at most maxCommand bytes of it
	Since   time.Time `json:"-"`       // when it got the store
}

const maxCommand = 200

// String gives one line: process 12 on host, command line, since 2006-01-02T15:04:05Z.
func (o OwnerInfo) String() string {
	var parts []string
	if who := fmt.Sprintf("process %d on %s", o.PID, o.Host); o.PID != 0 && o.Host != "" {
		parts = append(parts, who)
	}
	if o.Command != "" {
		parts = append(parts, o.Command)
	}

	return strings.Join(append(parts, "since "+o.Since.Format(time.RFC3339)), ", ")
}

// Owner returns who has the store in the directory open, if that is written down. It does not ask the lock, so it is
// for who got store.ErrLocked: a process that was killed leaves what it wrote until another one opens the store.
func Owner(dir string) (OwnerInfo, bool) { return readOwner(vfs.Default, dir) }

// readOwner takes what it finds: the text may be of another version, cut off or not there (yet).
func readOwner(disk vfs.FS, dir string) (o OwnerInfo, ok bool) {
	f, err := disk.Open(disk.PathJoin(dir, ownerName))
	if err != nil {
		return OwnerInfo{}, false
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return OwnerInfo{}, false
	}
	text, err := io.ReadAll(io.LimitReader(f, 4096))
	if err != nil || json.Unmarshal(text, &o) != nil {
		return OwnerInfo{}, false
	}

	return OwnerInfo{o.PID, printable(o.Host), printable(o.Command), info.ModTime()}, true
}

// writeOwner writes down that it is this process.
func writeOwner(disk vfs.FS, dir string) error {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown host"
	}
	command := strings.Join(os.Args, " ")
	text, err := json.Marshal(OwnerInfo{PID: os.Getpid(), Host: host, Command: command[:min(len(command), maxCommand)]})
	if err != nil {
		return err
	}
	f, err := disk.Create(disk.PathJoin(dir, ownerName), vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write(append(text, '\n'))

	return errors.Join(err, f.Close())
}

// printable leaves out what would spoil a line.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return ' '
		}

		return r
	}, text)
}

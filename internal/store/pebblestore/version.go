package pebblestore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tenure/internal/store"
)

// formatVersion is the version of the format of keys, values and files. Open refuses a store with a newer format.
// Stores with an older format remain readable forever. Code that converts a store in place must write the stamp first.
const formatVersion = 1

// stamp is the content of a store's VERSION file: the format of the store and the version of tenure that first wrote
// this format. A version of tenure that is too old to read anything else in the store can read the stamp, and so can
// report which version is needed. The stamp has no other use, so Open ignores a missing or damaged one.
type stamp struct {
	format uint64
	tenure string
}

var stampPattern = regexp.MustCompile(`^format (\d{1,9}), tenure ([[:graph:]]+(?: [[:graph:]]+)*)\n$`)

const maxStamp = 200

func (s stamp) line() []byte {
	return fmt.Appendf(nil, "format %d, tenure %s\n", s.format, strings.Join(strings.Fields(s.tenure), " "))
}

// readStamp returns the stamp, or the zero stamp if it cannot be read.
func readStamp(disk vfs.FS, dir string) stamp {
	f, err := disk.Open(disk.PathJoin(dir, stampName))
	if err != nil {
		return stamp{}
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxStamp))
	if err != nil {
		return stamp{}
	}
	parts := stampPattern.FindSubmatch(text)
	if parts == nil {
		return stamp{}
	}
	format, err := strconv.ParseUint(string(parts[1]), 10, 64)
	if err != nil {
		return stamp{}
	}

	return stamp{format, string(parts[2])}
}

// restamp writes the stamp unless the store already has one with the same format. It logs an error and continues.
func restamp(disk vfs.FS, dir string, s stamp, log *slog.Logger) {
	if readStamp(disk, dir).format == s.format {
		return
	}
	own := newFailstop(disk) // a failure here must not stop the store
	err := replaceFile(own, dir, stampName, s.line())
	if err == nil {
		err = syncDir(own, dir)
	}
	if err == nil {
		err = own.failure()
	}
	if err != nil {
		own.undo()
		log.WarnContext(context.Background(), "cannot write the store's VERSION file", "error", err)
	}
}

// newerFormat is the error for a format that this version cannot read.
type newerFormat struct {
	what          string // ownFormat or pebblesFormat
	format, known uint64 // the store's format, and the newest one that this version can read
}

const (
	ownFormat     = "format"
	pebblesFormat = "Pebble format"
)

func (n newerFormat) Error() string {
	return fmt.Sprintf("%s %d is newer than %d", n.what, n.format, n.known)
}

// refusal returns the error of Open for err. If the store has a newer format, the error says which version is needed.
// In that case err may also be store.ErrDamaged, since this version may take a newer format for damage.
func refusal(err error, s stamp, own string) error {
	var n newerFormat
	switch {
	case errors.As(err, &n):
	case errors.Is(err, store.ErrDamaged) && s.format > formatVersion:
		n = newerFormat{ownFormat, s.format, formatVersion}
	default:
		return err
	}
	by, run := "", "the version that wrote it, or a later one"
	if s.tenure != "" && s.tenure != own && (s.format >= n.format || n.what == pebblesFormat) {
		by, run = ", written by tenure "+s.tenure, "tenure "+s.tenure+" or later"
	}

	return fmt.Errorf("%w (%s %d%s; this is tenure %s, which reads up to %s %d): run %s",
		store.ErrNewer, n.what, n.format, by, own, n.what, n.known, run)
}

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

// formatVersion is the version of the keys, the values and the files. A store with a newer one is refused; one with an
// older one is read as it is, for ever. Whoever turns one into the other in its place writes the stamp first.
const formatVersion = 1

// stamp is the line in a store's file VERSION: the store's format, and the version of tenure that wrote it first. It is
// for the version that is too old to read anything else: that one can then tell which version is needed. What it says
// counts for no more than that, so a stamp that is missing or damaged keeps nobody from a store.
type stamp struct {
	format uint64
	tenure string
}

var stampPattern = regexp.MustCompile(`^format (\d{1,9}), tenure ([[:graph:]]+(?: [[:graph:]]+)*)\n$`)

const maxStamp = 200

func (s stamp) line() []byte {
	return fmt.Appendf(nil, "format %d, tenure %s\n", s.format, strings.Join(strings.Fields(s.tenure), " "))
}

// readStamp returns the stamp; the zero one if there is none that can be read.
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

// restamp gives a store its stamp if it has none of its format. It does without if that can't be written.
func restamp(disk vfs.FS, dir string, s stamp, log *slog.Logger) {
	if readStamp(disk, dir).format == s.format {
		return
	}
	own := newFailstop(disk) // what fails here stops nothing else
	err := replaceFile(own, dir, stampName, s.line())
	if err == nil {
		err = syncDir(own, dir)
	}
	if err == nil {
		err = own.failure()
	}
	if err != nil {
		own.undo()
		log.WarnContext(context.Background(), "the store's version is not written down", "error", err)
	}
}

// newerFormat is the error of a format that this version does not read.
type newerFormat struct {
	what          string // ownFormat or pebblesFormat
	format, known uint64
}

const (
	ownFormat     = "format"
	pebblesFormat = "Pebble's format"
)

func (n newerFormat) Error() string {
	return fmt.Sprintf("%s %d is above %d", n.what, n.format, n.known)
}

// refusal tells which version is needed if what failed is due to a newer format: what this version takes for damage
// may be whole to that one.
func refusal(err error, s stamp, own string) error {
	var n newerFormat
	switch {
	case errors.As(err, &n):
	case errors.Is(err, store.ErrDamaged) && s.format > formatVersion:
		n = newerFormat{ownFormat, s.format, formatVersion}
	default:
		return err
	}
	by, run := "", "the version that wrote it,"
	if s.tenure != "" && s.tenure != own && (s.format >= n.format || n.what == pebblesFormat) {
		by, run = " of tenure "+s.tenure, "tenure "+s.tenure
	}

	return fmt.Errorf("%w: %s %d%s, this is tenure %s, which reads up to %s %d: run %s or a later one",
		store.ErrNewer, n.what, n.format, by, own, n.what, n.known, run)
}

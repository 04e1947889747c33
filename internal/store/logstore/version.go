package logstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strconv"
	"strings"

	"tenure/internal/store"
)

// formatVersion is the version of the format of the log, of snapshots and of the records in them, which docs/store.md
// describes. Open also reads the formats from oldestFormat on, and refuses all others. Format 1 was a Pebble database.
// Format 3 has the same files as format 2, and more kinds and fields of records. In format 4, segments have a salt.
const (
	formatVersion = 4
	oldestFormat  = 2
)

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
func readStamp(d disk) stamp {
	f, err := d.Open(stampName)
	if err != nil {
		return stamp{}
	}
	defer f.Close()
	text, err := readAll(f, maxStamp)
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
func restamp(d disk, s stamp, log *slog.Logger) {
	if readStamp(d).format == s.format {
		return
	}
	err := replaceFile(d, stampName, s.line())
	if err == nil {
		err = d.Sync()
	}
	if err != nil {
		log.WarnContext(context.Background(), "cannot write the store's VERSION file", "error", err)
	}
}

// newerFormat and olderFormat are the errors for a store with a format that this version cannot read.
type (
	newerFormat struct{ format uint64 }
	olderFormat struct{ format uint64 }
)

func (n newerFormat) Error() string {
	return fmt.Sprintf("format %d is newer than %d", n.format, formatVersion)
}

func (o olderFormat) Error() string {
	return fmt.Sprintf("format %d is older than %d", o.format, formatVersion)
}

// refusal returns the error of Open for err. If the store has another format, the error says what to do. In that case
// err may also be store.ErrDamaged, since this version may take a newer format for damage.
func refusal(err error, s stamp, own string) error {
	var n newerFormat
	var o olderFormat
	switch {
	case errors.As(err, &o):
		by, run := "", "the version that wrote it"
		if s.tenure != "" && s.format == o.format {
			by, run = ", written by tenure "+s.tenure, "tenure "+s.tenure
		}

		return fmt.Errorf("%w (format %d%s; this is tenure %s, which reads format %d): run %s, or move the directory away "+
			"to start with an empty store", store.ErrOlder, o.format, by, own, formatVersion, run)
	case errors.As(err, &n):
	case errors.Is(err, store.ErrDamaged) && s.format > formatVersion:
		n = newerFormat{s.format}
	default:
		return err
	}
	by, run := "", "the version that wrote it, or a later one"
	if s.tenure != "" && s.tenure != own && s.format >= n.format {
		by, run = ", written by tenure "+s.tenure, "tenure "+s.tenure+" or later"
	}

	return fmt.Errorf("%w (format %d%s; this is tenure %s, which reads format %d): run %s",
		store.ErrNewer, n.format, by, own, formatVersion, run)
}

package pebblestore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"tenure/internal/store"
	"tenure/internal/version"
)

// Options of Open. The zero value works.
type Options struct {
	Logger  *slog.Logger // what Pebble says: at debug, its errors at error; nil: silent
	Version string       // of tenure, for the store's VERSION and for messages; "": the one that was built
	LogSize uint64       // bytes of log after which another one begins; Open replays one after a kill. 0: 4 MiB

	disk vfs.FS // nil: the operating system's
}

// SmallLog is a LogSize for who opens a store often, after kills: 5,000 commits are then opened in 4 ms, with the
// default in 12 ms, since the log is replayed twice. The price is paid where many nodes commit at once: of 64 a commit
// takes 2.7 ms in place of 0.5 at the 99th percentile, because each change of logs meets many.
const SmallLog = 512 << 10

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Version == "" {
		o.Version = version.String()
	}
	if o.disk == nil {
		o.disk = osFS{vfs.Default}
	}
	if o.LogSize == 0 {
		o.LogSize = defaultLogSize
	}

	return o
}

const (
	// pebbleFormat has checksums of every part of a table, and log records that tell what was synced before them. A
	// later one is never written without raising formatVersion.
	pebbleFormat = pebble.FormatTableFormatV6

	// defaultLogSize is that of a memtable; a larger batch gets a table of its own.
	defaultLogSize = 4 << 20

	// cacheSize is small: a space is read once, when its node is loaded.
	cacheSize = 4 << 20
)

// pebble returns the options for a database on the file system. Fatal gets what Pebble would end the process for, and
// what its background work can't get over.
func (o Options) pebble(disk vfs.FS, fatal func(error)) *pebble.Options {
	p := &pebble.Options{
		ErrorIfNotExists:   true,
		FS:                 disk,
		FormatMajorVersion: pebbleFormat,
		Merger:             runMerger,
		CacheSize:          cacheSize,
		MemTableSize:       o.LogSize,
		MaxOpenFiles:       128,
		Logger:             logger{o.Logger, fatal},

		// Nodes are small and writes are few: what piles up is soon gone, and a commit never waits for it.
		MemTableStopWritesThreshold: 8,
		L0StopWritesThreshold:       1 << 10,

		EventListener: &pebble.EventListener{
			BackgroundError: func(err error) { fatal(explain(err)) },
			DataCorruption: func(info pebble.DataCorruptionInfo) {
				fatal(fmt.Errorf("%w: %q: %s", store.ErrDamaged, info.Path, firstLine(info.Details)))
			},
		},
	}
	p.Experimental.CompactionScheduler = new(compactions)

	return p
}

// explain makes damage of what Pebble knows to be damage.
func explain(err error) error {
	if pebble.IsCorruptionError(err) && !errors.Is(err, store.ErrDamaged) {
		return fmt.Errorf("%w: %s", store.ErrDamaged, firstLine(err))
	}

	return err
}

// logger passes on what Pebble says.
type logger struct {
	log   *slog.Logger
	fatal func(error)
}

func (l logger) Infof(format string, args ...any) { l.say(slog.LevelDebug, format, args) }

func (l logger) Errorf(format string, args ...any) { l.say(slog.LevelError, format, args) }

// Fatalf returns, which Pebble does not expect: by then fatal has seen to it that nothing reaches the disk any more and
// that nothing is acknowledged.
func (l logger) Fatalf(format string, args ...any) {
	l.fatal(fmt.Errorf(format, args...))
	l.say(slog.LevelError, format, args)
}

func (l logger) say(level slog.Level, format string, args []any) {
	ctx := context.Background()
	if l.log.Enabled(ctx, level) {
		l.log.LogAttrs(ctx, level, "pebble", slog.String("text", fmt.Sprintf(format, args...)))
	}
}

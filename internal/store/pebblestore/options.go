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

// Options configure Open. The zero value works.
type Options struct {
	Logger  *slog.Logger // gets Pebble's messages at level debug and its errors at level error; nil means silent
	Version string       // version of tenure for the VERSION file and for messages; "" means the version of this build
	LogSize uint64       // size in bytes at which a new log starts; Open replays one log after a kill. 0 means 4 MiB

	disk vfs.FS // nil means the operating system's file system
}

// SmallLog is a LogSize for stores that are often opened after a kill. Opening a store with 5,000 commits in its log
// takes 4 ms instead of 12 ms with the default, since Open replays the log twice. The price is latency when many nodes
// commit at the same time: with 64 of them, the 99th percentile of a commit is 2.7 ms instead of 0.5 ms, because each
// switch to a new log delays many commits.
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
	// pebbleFormat has checksums over every part of a table, and log records that say how much of the log before them
	// was synced. Raise formatVersion before writing a later format.
	pebbleFormat = pebble.FormatTableFormatV6

	// defaultLogSize is also the size of a memtable. A larger batch gets a table of its own.
	defaultLogSize = 4 << 20

	// cacheSize is small because a space is read only once, when its node is loaded.
	cacheSize = 4 << 20
)

// pebble returns Pebble's options for a database on the file system. It calls fatal with errors for which Pebble would
// end the process, and with errors from which Pebble's background work cannot recover.
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

		// Nodes are small and writes are few, so background work soon catches up. Commits must never wait for it.
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

// explain turns Pebble's corruption errors into store.ErrDamaged.
func explain(err error) error {
	if pebble.IsCorruptionError(err) && !errors.Is(err, store.ErrDamaged) {
		return fmt.Errorf("%w: %s", store.ErrDamaged, firstLine(err))
	}

	return err
}

// logger passes Pebble's messages on to a slog.Logger.
type logger struct {
	log   *slog.Logger
	fatal func(error)
}

func (l logger) Infof(format string, args ...any) { l.say(slog.LevelDebug, format, args) }

func (l logger) Errorf(format string, args ...any) { l.say(slog.LevelError, format, args) }

// Fatalf returns, which Pebble does not expect. This is safe because fatal has already ensured that nothing more
// reaches the disk and that nothing more is acknowledged.
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

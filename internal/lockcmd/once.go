package lockcmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"

	"tenure/internal/cli"
	"tenure/internal/look"
	"tenure/internal/ydberr"
	"tenure/lock"
)

const (
	// maxRuns is how many successful runs a record holds. When it is full, the oldest one is dropped.
	maxRuns = 1000

	// maxKey is the largest size of a key in bytes. It keeps a full record far below limit.Data.
	maxKey = 256
)

// A run is a successful run of COMMAND, as an entry of the record.
type run struct {
	Key   string    `json:"key"`
	Token uint64    `json:"token"`
	By    string    `json:"by"`
	At    time.Time `json:"at"` // when COMMAND ended, by the clock of that machine
}

// A record lists the successful runs under a lock with --once, the newest one last. It is the data of a persistent
// semaphore. Only the holder of the lock may write it. So a run that is recorded under a lock has ended before the next
// holder reads the record.
type record struct {
	session coordination.Session
	name    string // of the semaphore
}

func recordOf(session coordination.Session, lock string) record {
	return record{session, lock + look.OnceSuffix}
}

// read returns the recorded runs.
func (r record) read(ctx context.Context) ([]run, error) {
	found, err := r.session.DescribeSemaphore(ctx, r.name)
	switch {
	case ydberr.Is(err, Ydb.StatusIds_NOT_FOUND):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read which keys are done from %q: %w", r.name, err)
	case len(found.Data) == 0:
		return nil, nil
	}
	var runs []run
	if err := json.Unmarshal(found.Data, &runs); err != nil {
		return nil, fmt.Errorf("semaphore %q does not hold a record of --once (%w): delete it, or use another NAME",
			r.name, err)
	}

	return runs, nil
}

// find returns the successful run for the key. Found is false if there was none.
func (r record) find(ctx context.Context, key string) (done run, found bool, err error) {
	runs, err := r.read(ctx)
	if err != nil {
		return run{}, false, err
	}
	i := slices.IndexFunc(runs, func(r run) bool { return r.Key == key })
	if i < 0 {
		return run{}, false, nil
	}

	return runs[i], true, nil
}

// add records a successful run. The caller must hold the lock.
func (r record) add(ctx context.Context, done run) error {
	runs, err := r.read(ctx)
	if err != nil {
		return err
	}
	runs = append(runs, done)
	data, err := json.Marshal(runs[max(0, len(runs)-maxRuns):])
	if err != nil {
		return err
	}
	err = r.session.UpdateSemaphore(ctx, r.name, options.WithUpdateData(data))
	if !ydberr.Is(err, Ydb.StatusIds_NOT_FOUND) {
		return err
	}
	err = r.session.CreateSemaphore(ctx, r.name, 1, options.WithCreateData(data))
	if errors.Is(err, coordination.ErrOperationStatusUnknown) || ydberr.Is(err, Ydb.StatusIds_ALREADY_EXISTS) {
		return r.session.UpdateSemaphore(ctx, r.name, options.WithUpdateData(data))
	}

	return err
}

// done reports whether COMMAND has already succeeded for the key of --once. It says so, and does not wait for the lock.
// If lock may wait, and the server does not let it look for now, done returns false: the wait for the lock says why.
func (l *locker) done(ctx context.Context, client *cli.Client) (bool, error) {
	if l.once == "" {
		return false, nil
	}
	limited, cancel := l.limitLook(ctx)
	defer cancel()
	session, err := l.Look(limited, client)
	switch {
	case ydberr.NoNode(err): // nobody has used it yet
		return false, nil
	case err != nil:
		return false, l.unlessLater(ctx, err)
	}
	defer cli.EndLook(ctx, session)
	done, found, err := recordOf(session, l.names[0]).find(limited, l.once)
	switch {
	case err != nil && (limited.Err() != nil || session.Context().Err() != nil):
		return false, l.unlessLater(ctx, err)
	case found:
		l.skip(done)
	}

	return found, err
}

// limitLook returns a context that ends with what is left of --wait.
func (l *locker) limitLook(ctx context.Context) (context.Context, context.CancelFunc) {
	if l.wait <= 0 {
		return context.WithCancel(ctx)
	}

	return context.WithTimeout(ctx, l.waitLeft())
}

// unlessLater returns the error of done, unless the wait for the lock meets the same problem and may outlast it.
func (l *locker) unlessLater(ctx context.Context, err error) error {
	if ctx.Err() != nil || l.wait == 0 || ydberr.Permanent(err) {
		return err
	}

	return nil
}

// skip says that COMMAND does not run, because it has already succeeded for the key.
func (l *locker) skip(done run) {
	l.report(event{Event: "skipped", Run: &done}, fmt.Sprintf("not running COMMAND: %s ran it for %q at %s (token %d)",
		done.By, done.Key, done.At.Local().Format(time.DateTime), done.Token))
}

// record records that COMMAND has succeeded for the key of --once.
func (l *locker) record(ctx context.Context, held *lock.Held) error {
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.Timeout)
	defer cancel()
	err := recordOf(held.Session(), l.names[0]).add(limited, run{
		Key: l.once, Token: held.Token(), By: l.card().Who, At: now(l.clock).UTC().Truncate(time.Second),
	})
	if err == nil {
		return nil
	}

	return &cli.ExitError{Code: cli.ExitFailure, Err: fmt.Errorf("COMMAND has succeeded, but that could not be recorded "+
		"for --once=%q, so it may run again: %w", l.once, err)}
}

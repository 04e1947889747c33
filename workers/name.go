package workers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"

	"tenure/internal/clock"
	"tenure/internal/identity"
	"tenure/internal/roster"
	"tenure/internal/term"
)

// ErrNameInUse is wrapped by the result of [Run] if another worker of the pool has the name of [WithName].
var ErrNameInUse = errors.New("the name of the worker is in use")

// nameLimit is how long a worker waits for a process with the same name to end, which may just have been killed.
const nameLimit = 5 * time.Second

// namePause is the pause between attempts to lock the file of a name.
const namePause = 10 * time.Millisecond

// nameFiles is the file of a worker with a stable name. The worker, and each process that Inherit has prepared, keeps
// it locked. So who can lock it knows that nobody works under the session whose id and key are in it.
type nameFiles struct {
	directory string // empty: there is no file
	file      *os.File
	earlier   card // of the session of an earlier run; zero: none
}

// A card is what the next run needs to end a session.
type card struct {
	Node    string `json:"node"`
	Session uint64 `json:"session"`
	Key     []byte `json:"key"`
}

// lock locks the file.
func (n *nameFiles) lock(ctx context.Context, c *config) error {
	if n.directory == "" {
		return nil
	}
	if err := os.MkdirAll(n.directory, 0o700); err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(strings.Join([]string{c.term.Path, c.poolName, c.pool.Worker}, "\x00")))
	path := filepath.Join(n.directory, "worker-"+hex.EncodeToString(sum[:12]))
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, nameLimit)
	defer cancel()
	for {
		locked, err := flock(f)
		switch {
		case err != nil:
			f.Close()

			return fmt.Errorf("lock %q: %w", path, err)
		case !locked && clock.Pause(limited, clock.Go(), namePause):
			continue
		case !locked:
			f.Close()
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}

			return fmt.Errorf("%w: %q, by a process on this machine, or by something that it has started",
				ErrNameInUse, c.pool.Worker)
		}
		n.file = f
		if data, err := io.ReadAll(f); err == nil {
			_ = json.Unmarshal(data, &n.earlier) // the file is empty, or damaged by a crash: the session times out
		}

		return nil
	}
}

func (n *nameFiles) unlock() {
	if n.file != nil {
		n.file.Close()
	}
}

// claim makes the worker the only one with its name. It ends the session of an earlier run, and remembers that of this
// one.
func (s *shift) claim() (coordination.Lease, error) {
	if !s.pool.Named {
		return nil, nil
	}
	if session := s.term.Ours(); session != nil && s.files.file != nil {
		if err := s.files.replace(s.watching, s.term); err != nil {
			return nil, err
		}
	}
	limited, cancel := context.WithTimeout(s.watching, 2*s.pool.Timeout)
	defer cancel()
	name := roster.NameOf(s.poolName, s.pool.Worker)
	lease, _, err := s.term.Acquire(limited, term.Request{Name: name})
	if err == nil || limited.Err() == nil || s.watching.Err() != nil || s.term.Context().Err() != nil {
		return lease, err
	}

	return nil, backoff.Permanent(fmt.Errorf("%w: %q%s", ErrNameInUse, s.pool.Worker, s.by(name)))
}

// by says who owns a semaphore.
func (s *shift) by(name string) string {
	ctx, cancel := term.Limit(s.calls)
	defer cancel()
	if found, err := s.term.Look(ctx, name); err == nil {
		for _, o := range found.Owners {
			return ", by " + identity.ReadCard(o.Data).Who
		}
	}

	return ""
}

// replace ends the session of the earlier run, and writes down the session of this one.
func (n *nameFiles) replace(ctx context.Context, t *term.Term) error {
	session := t.Ours()
	if n.earlier.Session != 0 && n.earlier.Node == session.Node() && n.earlier.Session != session.SessionID() {
		limited, cancel := term.Limit(ctx)
		defer cancel()
		_ = session.End(limited, n.earlier.Session, n.earlier.Key) // if it fails, the session times out
	}
	n.earlier = card{}
	data, err := json.Marshal(card{session.Node(), session.SessionID(), session.Key()})
	if err != nil {
		return err
	}
	if err := n.file.Truncate(0); err != nil {
		return err
	}
	_, err = n.file.WriteAt(append(data, '\n'), 0)

	return err
}

// Inherit makes a process that the command starts count as a part of this worker: as long as it runs, the session is
// not ended early, and no other worker gets the name ([WithName]). Call it before the command is started. The session
// of package tenure has a method of this name too, which Inherit calls.
func (t *Task) Inherit(cmd *exec.Cmd) {
	if session, ok := t.lease.Session().(interface{ Inherit(cmd *exec.Cmd) }); ok {
		session.Inherit(cmd)
	}
	if t.files.file != nil {
		cmd.ExtraFiles = append(cmd.ExtraFiles, t.files.file)
	}
}

package embedded

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"tenure/internal/clock"
	"tenure/internal/store/pebblestore"
)

// patience is how long somebody waits for a host's answer in silence.
const patience = 2 * time.Second

// vigil sees to it that nobody waits for a host without being told for whom. Its methods may be called from several
// goroutines.
type vigil struct {
	clock  clock.Clock
	dir    string
	notice func(string)

	waiting sync.WaitGroup // who may call notice

	mu     sync.Mutex          // guards the rest
	heed   context.CancelFunc  // ends the wait; nil: nobody waits
	said   map[string]struct{} // what was told since the host was heard: texts of silence and of causes
	closed bool

	telling sync.Mutex // one notice after the other
}

// want says that somebody waits for an answer of the host from now on.
func (v *vigil) want() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.heed != nil || v.closed {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	v.heed = cancel
	v.waiting.Go(func() { // ended by heard or close
		if clock.Pause(ctx, v.clock, patience) && !v.spoken() {
			v.tell("", v.silent())
		}
	})
}

// heard says that the host has answered.
func (v *vigil) heard() {
	v.mu.Lock()
	defer v.mu.Unlock()
	clear(v.said)
	if v.heed != nil {
		v.heed()
		v.heed = nil
	}
}

// spoken reports whether it was told already why the host is not heard.
func (v *vigil) spoken() bool {
	v.mu.Lock()
	defer v.mu.Unlock()

	return len(v.said) > 0
}

// fault passes on why this process can't serve. Errors that differ only in what was done when the system's error came
// count as one.
func (v *vigil) fault(err error) { v.tell(reason(err).Error(), err.Error()) }

// tell passes a line on, unless one of the same kind was told and nothing has been heard since.
func (v *vigil) tell(kind, line string) {
	v.telling.Lock()
	defer v.telling.Unlock()
	if v.news(kind) {
		defer v.waiting.Done()
		v.notice(line)
	}
}

// news says whether the kind is to be told, which close then waits for.
func (v *vigil) news(kind string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, again := v.said[kind]; again || v.closed {
		return false
	}
	if v.said == nil {
		v.said = make(map[string]struct{})
	}
	v.said[kind] = struct{}{}
	v.waiting.Add(1)

	return true
}

// silent says who is waited for, and what can be done.
func (v *vigil) silent() string {
	who, known := pebblestore.Owner(v.dir)
	here, err := os.Hostname()
	switch {
	case !known:
		return fmt.Sprintf("waiting for an unknown process, which has the store in %q open and does not answer: find the "+
			"process that has locked %q and end it, so that another one can take over", v.dir, filepath.Join(v.dir, lockName))
	case !exists(filepath.Join(v.dir, socketName)):
		return fmt.Sprintf("waiting for %s, which has the store in %q open but does not serve it there: if it is "+
			"\"tenure serve\", pass its address with --ydb or TENURE_DSN; otherwise end it", who, v.dir)
	case err != nil || here != who.Host:
		return fmt.Sprintf("waiting for %s, which hosts the server in %q and does not answer: on its host, resume the "+
			"process if it is stopped, or end it so that another one can take over", who, v.dir)
	default:
		return fmt.Sprintf("waiting for %s, which hosts the server in %q and does not answer: resume the process if it is "+
			"stopped (kill -CONT %d), or end it (kill -9 %d) so that another one can take over", who, v.dir, who.PID, who.PID)
	}
}

func exists(path string) bool {
	_, err := os.Lstat(path)

	return err == nil
}

// close ends the vigil; no notice comes after it.
func (v *vigil) close() {
	v.mu.Lock()
	v.closed = true
	v.mu.Unlock()
	v.heard()
	v.waiting.Wait()
}

package embedded

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"tenure/internal/clock"
	"tenure/internal/store/logstore"
)

// patience is how long a caller waits for an answer of the host before it gets a notice.
const patience = 2 * time.Second

// vigil gives notice if a caller has to wait for the host, and names the process that the caller is waiting for. Its
// methods are safe for concurrent use.
type vigil struct {
	clock   clock.Clock
	dir     string
	setting string // see Config.AddressSetting
	notice  func(string)

	waiting sync.WaitGroup // goroutines that may call notice

	mu      sync.Mutex          // guards the following fields
	heed    context.CancelFunc  // ends the current wait; nil if no caller is waiting
	said    map[string]struct{} // kinds of the notices since the host last answered; see tell
	resting bool                // see rest
	closed  bool

	telling sync.Mutex // held during a call of notice, so that calls do not overlap
}

// want records that a caller is now waiting for an answer of the host.
func (v *vigil) want() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.heed != nil || v.resting || v.closed {
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

// heard records that the host has answered.
func (v *vigil) heard() {
	v.mu.Lock()
	defer v.mu.Unlock()
	clear(v.said)
	if v.heed != nil {
		v.heed()
		v.heed = nil
	}
}

// rest ends the current wait and, until it is called with false, ignores new ones. The time during which this process
// is suspended says nothing about the host.
func (v *vigil) rest(on bool) {
	v.heard()
	v.mu.Lock()
	defer v.mu.Unlock()
	v.resting = on
}

// spoken reports whether there was a notice since the host last answered.
func (v *vigil) spoken() bool {
	v.mu.Lock()
	defer v.mu.Unlock()

	return len(v.said) > 0
}

// fault gives notice of an error that keeps this process from serving. Errors are of the same kind if they wrap the
// same error of the system, even if different operations failed.
func (v *vigil) fault(err error) { v.tell(reason(err).Error(), err.Error()) }

// tell calls notice with the line, unless there was a notice of the same kind since the host last answered. The kind is
// "" for the notice that the host does not answer, and the text of the system's error for a fault.
func (v *vigil) tell(kind, line string) {
	v.telling.Lock()
	defer v.telling.Unlock()
	if v.news(kind) {
		defer v.waiting.Done()
		v.notice(line)
	}
}

// news reports whether a notice of the kind is due. If it is, the caller must call waiting.Done after the notice, and
// close waits for that.
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

// silent returns the notice that the host does not answer. It names the process and says what the user can do.
func (v *vigil) silent() string {
	who, known := logstore.Owner(v.dir)
	here, err := os.Hostname()
	switch {
	case !known:
		return fmt.Sprintf("waiting for an unknown process, which has the store in %q open and does not answer: find the "+
			"process that has locked %q and end it, so that another one can take over", v.dir, filepath.Join(v.dir, lockName))
	case !exists(filepath.Join(v.dir, socketName)):
		return fmt.Sprintf("waiting for %s, which has the store in %q open but does not serve it there: if it is "+
			"\"tenure serve\", connect to its address with %s; otherwise end it", who, v.dir, v.setting)
	case err != nil || here != who.Host || who.PID == 0:
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

// close ends the vigil. When it has returned, no notice is in progress and none follows.
func (v *vigil) close() {
	v.mu.Lock()
	v.closed = true
	v.mu.Unlock()
	v.heard()
	v.waiting.Wait()
}

// Package filewatch notices changes of files by looking at them from time to time.
//
// It does not read the files and does not use notifications of the kernel: Kubernetes replaces symbolic links, editors
// rename files, and to look at a few files costs nothing.
package filewatch

import (
	"context"
	"os"
	"sync"
	"time"

	"tenure/internal/clock"
)

// Interval is the time between two looks at the files. Two of them must be shorter than 5 s, the time in which a server
// ends the streams of callers whose access was withdrawn in one file after a change of another.
const Interval = 2 * time.Second

// A Watcher remembers what a set of files looked like. Its methods may be called from several goroutines.
type Watcher struct {
	clock clock.Clock
	paths []string

	mu   sync.Mutex // guards seen
	seen []os.FileInfo
}

// New looks at the files for the first time. Call it before the files are read, so that no change is missed. A file may
// be missing, and a path may be a symbolic link, which is followed.
func New(clk clock.Clock, paths ...string) *Watcher {
	w := &Watcher{clock: clk, paths: paths, seen: make([]os.FileInfo, len(paths))}
	w.Changed()

	return w
}

// Changed looks at the files and reports whether one of them has changed since the last look. A file has changed if it
// is another file, if it has another size, modification time or mode, or if it has appeared or disappeared.
func (w *Watcher) Changed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	changed := false
	for i, path := range w.paths {
		info, err := os.Stat(path)
		if err != nil {
			info = nil
		}
		changed = changed || !same(w.seen[i], info)
		w.seen[i] = info
	}

	return changed
}

// same reports whether nothing shows that a file was changed. The mode counts because a file that was refused for its
// mode is read again after chmod.
func same(a, b os.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}

	return os.SameFile(a, b) && a.Size() == b.Size() && a.Mode() == b.Mode() && a.ModTime().Equal(b.ModTime())
}

// Watch looks at the files every [Interval] and tells looked whether one of them has changed, until ctx ends. The next
// look comes an interval after looked has returned.
func (w *Watcher) Watch(ctx context.Context, looked func(changed bool)) {
	timer := w.clock.NewTimer()
	defer timer.Stop()
	for {
		now := w.clock.Now()
		timer.Set(now, now.Add(Interval))
		select {
		case <-ctx.Done():
			return
		case <-timer.C():
		}
		looked(w.Changed())
	}
}

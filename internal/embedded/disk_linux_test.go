package embedded_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"

	"tenure"
	"tenure/internal/embedded"
	"tenure/internal/store/logstore"
)

const (
	path = "/local/test"

	// soon is the time limit for everything that the tests wait for.
	soon = time.Minute
)

func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, soon, time.Millisecond, what)
}

// disk is a small disk for a state directory. Filler is a file, or a directory of files, that fills the disk.
type disk struct{ dir, state, filler string }

func newDisk(t *testing.T, options string) *disk {
	t.Helper()
	dir := embedded.Tmpfs(t, options)

	return &disk{dir, filepath.Join(dir, "state"), filepath.Join(dir, "filler")}
}

// fill fills the disk except for the given number of pages. It may be called again to fill space that was freed since.
func (d *disk) fill(t *testing.T, pages int) {
	t.Helper()
	f, err := os.OpenFile(d.filler, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	require.NoError(t, err)
	defer f.Close()
	page := os.Getpagesize()
	for err == nil {
		_, err = f.Write(make([]byte, page))
	}
	require.ErrorIs(t, err, syscall.ENOSPC)
	end, err := f.Seek(0, io.SeekEnd)
	require.NoError(t, err)
	require.NoError(t, f.Truncate(max(0, end-int64(pages*page))))
}

// fillNames creates files until the disk has no inodes left.
func (d *disk) fillNames(t *testing.T) {
	t.Helper()
	require.NoError(t, os.MkdirAll(d.filler, 0o700))
	err := error(nil)
	for i := 0; err == nil; i++ {
		err = os.WriteFile(filepath.Join(d.filler, strconv.Itoa(i)), nil, 0o600)
	}
	require.ErrorIs(t, err, syscall.ENOSPC)
}

// size returns the size of all files in the state directory.
func (d *disk) size(t *testing.T) (size int64) {
	t.Helper()
	files, err := os.ReadDir(d.state)
	require.NoError(t, err)
	for _, f := range files {
		if info, err := f.Info(); err == nil { // otherwise it has just been removed
			size += info.Size()
		}
	}

	return size
}

func (d *disk) makeRoom(t *testing.T) {
	t.Helper()
	require.NoError(t, os.RemoveAll(d.filler))
}

// requireFull requires that the message is a single line that says what to do about the full disk.
func (d *disk) requireFull(t *testing.T, line string) {
	t.Helper()
	require.NotContains(t, line, "\n")
	require.Contains(t, line, fmt.Sprintf("no space left on device: free some space on the disk of %q", d.state))
}

// padding makes the data large, so that the host soon needs more space than it has reserved in advance.
var padding = strings.Repeat(" and more", 3<<10)

// crew consists of clients of one server that contend for one lock and do work under it. It records what was
// acknowledged to them.
type crew struct {
	t       *testing.T
	disk    *disk
	workers []*worker
	stop    context.CancelFunc
	working sync.WaitGroup

	mu     sync.Mutex    // guards the fields below, and some fields of workers
	token  uint64        // the greatest token so far
	holder *tenure.Lease // the most recent lease
	made   []string      // semaphores whose creation was acknowledged
}

type worker struct {
	crew   *crew
	name   string
	client *tenure.Client

	// These fields are guarded by crew.mu.
	turns        int      // acknowledged updates
	tried, acked int      // the semaphore's data has a number from acked to tried
	told         []string // notices
}

// newCrew starts a crew.
func newCrew(t *testing.T, d *disk, size int) *crew {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	c := &crew{t: t, disk: d, stop: cancel}
	for i := range size {
		w := &worker{crew: c, name: fmt.Sprint("worker-", i)}
		client, err := tenure.Open(ctx, tenure.Embedded, tenure.WithDir(d.state), tenure.WithNotice(w.notice))
		require.NoError(t, err)
		w.client = client
		c.workers = append(c.workers, w)
	}
	// A new host gives sessions this grace period. The crew must not wait that long for sessions that were lost while
	// no process served.
	longGrace := coordination.NodeConfig{SessionGracePeriodMillis: 30_000}
	require.NoError(t, c.workers[0].client.CreateNode(ctx, path, longGrace))
	for _, w := range c.workers {
		c.working.Go(func() { w.work(ctx) })
	}
	t.Cleanup(func() {
		cancel()
		c.working.Wait()
		for _, w := range c.workers {
			closeSoon(t, w.client)
		}
	})
	c.awaitWork()

	return c
}

func closeSoon(t *testing.T, c *tenure.Client) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), soon)
	defer cancel()
	_ = c.Close(ctx) // returns the error of a host that has failed
}

func (w *worker) notice(line string) {
	w.crew.mu.Lock()
	defer w.crew.mu.Unlock()
	w.told = append(w.told, line)
}

// work takes turns until ctx ends. When a session is lost, it continues in a new one.
func (w *worker) work(ctx context.Context) {
	for ctx.Err() == nil {
		s, err := w.client.Session(ctx, path, options.WithSessionTimeout(time.Second))
		if err != nil {
			continue // on a full disk, the lifeline may not be created
		}
		for err == nil && ctx.Err() == nil {
			err = w.turn(s)
		}
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		_ = s.Close(end) // if this fails, the session ends at its timeout
		cancel()
	}
}

// turn acquires the lock, does some work and releases the lock. After an error the session is of no further use.
func (w *worker) turn(s coordination.Session) error {
	l, err := s.AcquireSemaphore(s.Context(), "job", coordination.Exclusive, options.WithEphemeral(true))
	if err != nil {
		return err
	}
	lease := l.(*tenure.Lease)
	token, err := lease.Token(lease.Context())
	if err != nil {
		return err
	}
	number := w.crew.begin(w, lease, token)
	data := fmt.Appendf(nil, "%d%s", number, padding)
	switch err = s.UpdateSemaphore(lease.Context(), w.name, options.WithUpdateData(data)); {
	case err == nil:
		w.crew.acknowledged(w, number)
	case number == 1: // the semaphore does not exist yet, or its creation got no answer
		_ = s.CreateSemaphore(lease.Context(), w.name, 1)
	}
	if number%20 == 0 {
		name := fmt.Sprint(w.name, " has done ", number)
		if s.CreateSemaphore(lease.Context(), name, 1, options.WithCreateData([]byte(name))) == nil {
			w.crew.hasMade(name)
		}
	}

	return lease.Release()
}

// begin records a turn. It checks that the token is greater than all earlier ones and that no other worker has a valid
// lease.
func (c *crew) begin(w *worker, l *tenure.Lease, token uint64) (number int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if token <= c.token {
		c.t.Errorf("%s has token %d, but an earlier token was %d", w.name, token, c.token)
	}
	c.token = token
	if c.holder != nil && c.holder.Valid() && l.Valid() {
		c.t.Errorf("%s holds the lock, and so does another worker", w.name)
	}
	c.holder = l
	if w.acked > 0 || w.tried == 0 {
		w.tried++
	}

	return w.tried
}

func (c *crew) acknowledged(w *worker, number int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w.turns++
	w.acked = number
}

func (c *crew) hasMade(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.made = append(c.made, name)
}

// awaitWork waits until each worker has completed a turn that began after the call.
func (c *crew) awaitWork() {
	c.t.Helper()
	before := c.turns()
	await(c.t, "all work", func() bool { return finished(before, c.turns()) })
}

// turns returns the number of acknowledged updates of each worker.
func (c *crew) turns() (all []int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range c.workers {
		all = append(all, w.turns)
	}

	return all
}

// finished reports whether each worker has completed a turn that began after the first call of turns.
func finished(before, now []int) bool {
	for i := range now {
		if now[i] < before[i]+2 { // the first turn may have ended before the call without being counted yet
			return false
		}
	}

	return true
}

// notices returns the notices of each worker since the last call of forgetNotices.
func (c *crew) notices() (all [][]string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range c.workers {
		all = append(all, slices.Clone(w.told))
	}

	return all
}

func (c *crew) forgetNotices() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range c.workers {
		w.told = nil
	}
}

// awaitNotices waits until each worker has got a notice, and requires that all notices are about a full disk. It calls
// fill now and then, so that the disk stays full.
func (c *crew) awaitNotices(fill func()) {
	c.t.Helper()
	looks := 0
	await(c.t, "all workers get a notice", func() bool {
		if looks++; looks%100 == 0 {
			fill()
		}

		return !slices.ContainsFunc(c.notices(), func(told []string) bool { return len(told) == 0 })
	})
	for _, told := range c.notices() {
		for _, line := range told {
			c.disk.requireFull(c.t, line)
		}
	}
}

// end stops the workers and requires that everything that was acknowledged is still there.
func (c *crew) end() {
	c.t.Helper()
	c.stop()
	c.working.Wait()
	for _, w := range c.workers {
		closeSoon(c.t, w.client)
	}
	client, err := tenure.Open(c.t.Context(), tenure.Embedded, tenure.WithDir(c.disk.state))
	require.NoError(c.t, err)
	defer closeSoon(c.t, client)
	s, err := client.Session(c.t.Context(), path)
	require.NoError(c.t, err)
	for _, w := range c.workers {
		d, err := s.DescribeSemaphore(c.t.Context(), w.name)
		require.NoError(c.t, err)
		number, err := strconv.Atoi(strings.TrimSuffix(string(d.Data), padding))
		require.NoError(c.t, err)
		require.GreaterOrEqual(c.t, number, w.acked, w.name)
		require.LessOrEqual(c.t, number, w.tried, w.name)
	}
	for _, name := range c.made {
		d, err := s.DescribeSemaphore(c.t.Context(), name)
		require.NoError(c.t, err)
		require.Equal(c.t, name, string(d.Data))
	}
	l, err := s.AcquireSemaphore(c.t.Context(), "job", coordination.Exclusive, options.WithEphemeral(true))
	require.NoError(c.t, err)
	token, err := l.(*tenure.Lease).Token(c.t.Context())
	require.NoError(c.t, err)
	require.Greater(c.t, token, c.token)
	c.t.Logf("token %d, %d semaphores", token, len(c.made))
}

// If the disk is full before the state directory exists, Open returns an error and leaves nothing that prevents a later
// Open from succeeding.
func TestDisk_FullAtFirst(t *testing.T) {
	t.Parallel()
	if !embedded.OwnMounts(t) {
		return
	}
	for pages := 0; ; pages++ {
		d := newDisk(t, "size=16m")
		d.fill(t, pages)
		c, err := tenure.Open(t.Context(), tenure.Embedded, tenure.WithDir(d.state))
		if err == nil {
			require.Positive(t, pages)
			closeSoon(t, c)

			return
		}
		d.requireFull(t, err.Error())
		_, err = tenure.Open(t.Context(), tenure.Embedded, tenure.WithDir(d.state))
		require.Error(t, err, "the first attempt has freed space")
		d.requireFull(t, err.Error())
		d.makeRoom(t)
		if pages%6 == 0 {
			newCrew(t, d, 2).end()

			continue
		}
		c, err = tenure.Open(t.Context(), tenure.Embedded, tenure.WithDir(d.state))
		require.NoError(t, err)
		closeSoon(t, c)
	}
}

// A host stops when the disk becomes full, whatever it is doing. All clients wait, get a notice with the reason, and
// continue when there is space again.
func TestDisk_Full(t *testing.T) {
	t.Parallel()
	if !embedded.OwnMounts(t) {
		return
	}
	d := newDisk(t, "size=16m")
	c := newCrew(t, d, 3)
	rounds := 12
	if testing.Short() {
		rounds = 4
	}
	for range rounds {
		c.forgetNotices()
		d.fill(t, rand.IntN(20)) //nolint:gosec // needs no secure randomness
		c.awaitNotices(func() { d.fill(t, 0) })
		d.makeRoom(t)
		c.awaitWork()
	}
	c.end()
}

// The files that the host needs exist in advance. So existing sessions continue on a disk without free inodes, even
// when the log is longer than what was prepared. Only a new session fails, with an error that says why. If the host
// shuts down, either another process becomes the host or all get a notice.
func TestDisk_NoInodes(t *testing.T) {
	t.Parallel()
	if !embedded.OwnMounts(t) {
		return
	}
	d := newDisk(t, "size=64m,nr_inodes=200")
	host, err := tenure.Open(t.Context(), tenure.Embedded, tenure.WithDir(d.state))
	require.NoError(t, err)
	c := newCrew(t, d, 3)
	d.fillNames(t)
	for size := d.size(t); d.size(t) < size+logstore.SmallLog; {
		c.awaitWork()
	}
	d.fillNames(t)
	_, err = c.workers[0].client.Session(t.Context(), path)
	require.Error(t, err)
	d.requireFull(t, err.Error())
	require.Equal(t, [][]string{nil, nil, nil}, c.notices())

	before := c.turns()
	closeSoon(t, host)
	await(t, "all workers work or get a notice", func() bool {
		untold := func(told []string) bool { return told == nil }

		return finished(before, c.turns()) || !slices.ContainsFunc(c.notices(), untold)
	})
	for _, line := range slices.Concat(c.notices()...) {
		d.requireFull(t, line)
	}
	d.makeRoom(t)
	c.awaitWork()
	c.end()
}

// If too few inodes are left for the files of a host, Open says so, whichever file is the first without an inode.
func TestDisk_TooFewInodes(t *testing.T) {
	t.Parallel()
	if !embedded.OwnMounts(t) {
		return
	}
	d := newDisk(t, "size=64m,nr_inodes=200")
	newCrew(t, d, 2).end()
	for free := 0; ; free++ {
		d.fillNames(t)
		for i := range free {
			require.NoError(t, os.Remove(filepath.Join(d.filler, strconv.Itoa(i))))
		}
		c, err := tenure.Open(t.Context(), tenure.Embedded, tenure.WithDir(d.state))
		if err == nil {
			require.Greater(t, free, 2, "a host has a socket, a status socket and a record of the owner")
			closeSoon(t, c)

			break
		}
		d.requireFull(t, err.Error())
	}
	d.makeRoom(t)
	newCrew(t, d, 2).end()
}

// If the disk is full when the host shuts down, no process can become the host until there is space. Each client gets
// only one notice of this.
func TestDisk_FullAtHandOver(t *testing.T) {
	t.Parallel()
	if !embedded.OwnMounts(t) {
		return
	}
	d := newDisk(t, "size=16m")
	host, err := tenure.Open(t.Context(), tenure.Embedded, tenure.WithDir(d.state))
	require.NoError(t, err)
	c := newCrew(t, d, 3)
	d.fill(t, 0)
	closeSoon(t, host)
	c.awaitNotices(func() { d.fill(t, 0) })
	// A host that fails leaves some space, so a worker can become the next host and answer until the space is used up.
	await(t, "no process can become the host", func() bool {
		d.fill(t, 0)
		client, err := tenure.Open(t.Context(), tenure.Embedded, tenure.WithDir(d.state))
		if err == nil {
			closeSoon(t, client)
		}

		return err != nil
	})
	c.forgetNotices()
	for range 100 { // meanwhile the workers keep trying
		_, err = tenure.Open(t.Context(), tenure.Embedded, tenure.WithDir(d.state))
		require.Error(t, err)
		d.requireFull(t, err.Error())
	}
	for _, told := range c.notices() {
		require.LessOrEqual(t, len(told), 1)
	}
	d.makeRoom(t)
	c.awaitWork()
	c.end()
}

// A client that held a lock when the disk became full, and that has closed its session since, does not delay the next
// holder once there is space.
func TestDisk_FullUnderAHolder(t *testing.T) {
	t.Parallel()
	if !embedded.OwnMounts(t) {
		return
	}
	d := newDisk(t, "size=16m")
	c := newCrew(t, d, 2)
	holder, err := c.workers[0].client.Session(t.Context(), path, options.WithSessionTimeout(time.Second))
	require.NoError(t, err)
	_, err = holder.AcquireSemaphore(t.Context(), "held", coordination.Exclusive, options.WithEphemeral(true))
	require.NoError(t, err)

	c.forgetNotices()
	d.fill(t, 0)
	c.awaitNotices(func() { d.fill(t, 0) })
	<-holder.Context().Done()
	require.NoError(t, holder.Close(t.Context()))
	d.makeRoom(t)
	c.awaitWork()

	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	next, err := c.workers[1].client.Session(ctx, path)
	require.NoError(t, err)
	_, err = next.AcquireSemaphore(ctx, "held", coordination.Exclusive, options.WithEphemeral(true))
	require.NoError(t, err)
	c.end()
}

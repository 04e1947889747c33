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
)

const (
	path = "/local/test"

	// soon is the most that anything takes that is awaited here.
	soon = 20 * time.Second
)

func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, soon, time.Millisecond, what)
}

// disk is a small one, for a state directory and a file that fills it.
type disk struct{ dir, state, filler string }

func newDisk(t *testing.T, options string) *disk {
	t.Helper()
	dir := embedded.Tmpfs(t, options)

	return &disk{dir, filepath.Join(dir, "state"), filepath.Join(dir, "filler")}
}

// fill leaves so many pages free. It may be called again, for what has become free since.
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

// fillNames takes the names that the disk can still give to files.
func (d *disk) fillNames(t *testing.T) {
	t.Helper()
	require.NoError(t, os.MkdirAll(d.filler, 0o700))
	err := error(nil)
	for i := 0; err == nil; i++ {
		err = os.WriteFile(filepath.Join(d.filler, strconv.Itoa(i)), nil, 0o600)
	}
	require.ErrorIs(t, err, syscall.ENOSPC)
}

func (d *disk) makeRoom(t *testing.T) {
	t.Helper()
	require.NoError(t, os.RemoveAll(d.filler))
}

// requireFull holds that a line says what there is to do, and where.
func (d *disk) requireFull(t *testing.T, line string) {
	t.Helper()
	require.NotContains(t, line, "\n")
	require.Contains(t, line, fmt.Sprintf("no space left on device: free some space on the disk of %q", d.state))
}

// padding makes data large, so that the host soon needs more of the disk than it has taken in advance.
var padding = strings.Repeat(" and more", 1<<10)

// crew is some clients of one server that do work under one lock, and what has been acknowledged to them.
type crew struct {
	t       *testing.T
	disk    *disk
	workers []*worker
	stop    context.CancelFunc
	working sync.WaitGroup

	mu     sync.Mutex // guards the rest, and what is said to be guarded by it
	token  uint64     // the highest that was seen
	holder *tenure.Lease
	made   []string // semaphores
}

type worker struct {
	crew   *crew
	name   string
	client *tenure.Client

	turns        int // guarded by crew.mu, like the rest
	tried, acked int // the semaphore's data is one of these, or between them
	told         []string
}

// newCrew begins to work.
func newCrew(t *testing.T, d *disk, size int) *crew {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	c := &crew{t: t, disk: d, stop: cancel}
	for i := range size {
		w := &worker{crew: c, name: fmt.Sprint("worker-", i)}
		client, err := tenure.Open(ctx, "", tenure.WithDir(d.state), tenure.WithNotice(w.notice))
		require.NoError(t, err)
		w.client = client
		c.workers = append(c.workers, w)
	}
	// Sessions that were lost while nobody served must not be waited for: a new host would give them all this time.
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
	_ = c.Close(ctx) // of a host that has failed, it says so
}

func (w *worker) notice(line string) {
	w.crew.mu.Lock()
	defer w.crew.mu.Unlock()
	w.told = append(w.told, line)
}

// work goes on in one session after another.
func (w *worker) work(ctx context.Context) {
	for ctx.Err() == nil {
		s, err := w.client.Session(ctx, path, options.WithSessionTimeout(time.Second))
		if err != nil {
			continue // it may have no lifeline on a full disk
		}
		for err == nil && ctx.Err() == nil {
			err = w.turn(s)
		}
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		_ = s.Close(end) // else it ends by its timeout
		cancel()
	}
}

// turn does something under the lock; an error says that there is nothing more to do in the session.
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
	case number == 1: // it is not there yet, or its creation was not answered
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

// begin notes a turn, which has a higher token than all before, and no other beside it.
func (c *crew) begin(w *worker, l *tenure.Lease, token uint64) (number int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if token <= c.token {
		c.t.Errorf("%s has token %d, %d was there before", w.name, token, c.token)
	}
	c.token = token
	if c.holder != nil && c.holder.Valid() && l.Valid() {
		c.t.Errorf("%s holds the lock, and so does another", w.name)
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

// awaitWork waits until each worker has done something from now on.
func (c *crew) awaitWork() {
	c.t.Helper()
	count := func() (turns []int) {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, w := range c.workers {
			turns = append(turns, w.turns)
		}

		return turns
	}
	before := count()
	await(c.t, "all work", func() bool {
		for i, now := range count() {
			if now < before[i]+2 { // the first may have been done and not yet noted
				return false
			}
		}

		return true
	})
}

// notices returns what was told to each worker since it was forgotten.
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

// awaitNotices waits until each worker has been told that the disk is full. Meanwhile it stays full, since fill is
// called now and then.
func (c *crew) awaitNotices(fill func()) {
	c.t.Helper()
	looks := 0
	await(c.t, "all are told", func() bool {
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

// end ends the work and holds that all is there which was acknowledged.
func (c *crew) end() {
	c.t.Helper()
	c.stop()
	c.working.Wait()
	for _, w := range c.workers {
		closeSoon(c.t, w.client)
	}
	client, err := tenure.Open(c.t.Context(), "", tenure.WithDir(c.disk.state))
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

// A disk that is full before there is anything on it is an error of Open, and leaves nothing that would be in the way.
func TestDisk_FullAtFirst(t *testing.T) {
	t.Parallel()
	if !embedded.OwnMounts(t) {
		return
	}
	for pages := 0; ; pages++ {
		d := newDisk(t, "size=16m")
		d.fill(t, pages)
		c, err := tenure.Open(t.Context(), "", tenure.WithDir(d.state))
		if err == nil {
			require.Positive(t, pages)
			closeSoon(t, c)

			return
		}
		d.requireFull(t, err.Error())
		_, err = tenure.Open(t.Context(), "", tenure.WithDir(d.state))
		require.Error(t, err, "the first one has left more room")
		d.requireFull(t, err.Error())
		d.makeRoom(t)
		newCrew(t, d, 2).end()
	}
}

// A disk that becomes full ends the host, at whatever it is. All wait, are told why, and go on when there is room.
func TestDisk_Full(t *testing.T) {
	t.Parallel()
	if !embedded.OwnMounts(t) {
		return
	}
	d := newDisk(t, "size=16m")
	c := newCrew(t, d, 3)
	for range 20 {
		c.forgetNotices()
		d.fill(t, rand.IntN(20)) //nolint:gosec // any will do
		c.awaitNotices(func() { d.fill(t, 0) })
		d.makeRoom(t)
		c.awaitWork()
	}
	c.end()
}

// A disk that can give no more names to files is full too.
func TestDisk_NoNames(t *testing.T) {
	t.Parallel()
	if !embedded.OwnMounts(t) {
		return
	}
	d := newDisk(t, "size=64m,nr_inodes=200")
	c := newCrew(t, d, 3)
	for range 3 {
		c.forgetNotices()
		d.fillNames(t)
		c.awaitNotices(func() { d.fillNames(t) })
		d.makeRoom(t)
		c.awaitWork()
	}
	c.end()
}

// A disk that is full when the host goes lets nobody host until there is room. That is said once.
func TestDisk_FullAtHandOver(t *testing.T) {
	t.Parallel()
	if !embedded.OwnMounts(t) {
		return
	}
	d := newDisk(t, "size=16m")
	host, err := tenure.Open(t.Context(), "", tenure.WithDir(d.state))
	require.NoError(t, err)
	c := newCrew(t, d, 3)
	d.fill(t, 0)
	closeSoon(t, host)
	c.awaitNotices(func() { d.fill(t, 0) })
	for range 100 { // others try all the time
		_, err = tenure.Open(t.Context(), "", tenure.WithDir(d.state))
		require.Error(t, err)
		d.requireFull(t, err.Error())
	}
	for _, told := range c.notices() {
		require.Len(t, told, 1)
	}
	d.makeRoom(t)
	c.awaitWork()
	c.end()
}

// Who held when the disk became full, and has stopped since, is not waited for when there is room.
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

package cluster_test

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"tenure/internal/backup"
	"tenure/internal/node"
	"tenure/internal/ownership"
	"tenure/internal/store"
	"tenure/internal/store/etcdstore"
	"tenure/internal/store/logstore"
	"tenure/internal/store/storetest"
)

// all returns the records of a snapshot, in a form that is easy to compare.
func all(t *testing.T, snapshot iter.Seq2[store.Record, error]) (records []string) {
	t.Helper()
	for r, err := range snapshot {
		require.NoError(t, err)
		records = append(records, fmt.Sprintf("%d %q=%q", r.Space, r.Key, r.Value))
	}

	return records
}

// many yields records: a catalog, a large node and a small one.
func many() (records []store.Record) {
	add := func(space store.Space, key, value string) {
		records = append(records, store.Record{Space: space, Record: node.Record{Key: []byte(key), Value: []byte(value)}})
	}
	add(store.Catalog, "c", "\x00\xff")
	add(store.Catalog, "e/\xff", "v")
	for i := range 2_500 {
		add(7, fmt.Sprintf("%05d", i), fmt.Sprint(i))
	}
	add(7, "x", strings.Repeat("x", 1<<20))
	add(7, "y", strings.Repeat("y", 1<<20))
	add(1<<40, "\xff\xff", "")

	return records
}

func texts(records []store.Record) (out []string) {
	for _, r := range records {
		out = append(out, fmt.Sprintf("%d %q=%q", r.Space, r.Key, r.Value))
	}

	return out
}

// A creation writes all records or none, and no server can use what it has written before it is finished.
func TestCreation(t *testing.T) {
	t.Parallel()
	m := startMember(t)
	c, prefix := m.client(), m.prefix()
	cluster := etcdstore.Cluster{URLs: []string{m.url}}
	create := func() *etcdstore.Creation {
		t.Helper()
		made, err := etcdstore.Create(t.Context(), cluster, prefix)
		require.NoError(t, err)

		return made
	}
	keys := func() int64 {
		r, err := c.Get(t.Context(), prefix, clientv3.WithPrefix(), clientv3.WithCountOnly())
		require.NoError(t, err)

		return r.Count
	}
	fill := func(made *etcdstore.Creation) {
		t.Helper()
		for _, r := range many() {
			require.NoError(t, made.Add(r))
		}
	}
	refused := func(want string) {
		t.Helper()
		_, err := etcdstore.Connect(t.Context(), cluster, etcdstore.Options{Prefix: prefix, Database: "/local"})
		require.ErrorContains(t, err, want)
		_, err = etcdstore.OpenReader(t.Context(), cluster, prefix)
		require.ErrorContains(t, err, want)
	}

	made := create()
	fill(made)
	refused("a restore to this prefix has not been completed")
	_, err := etcdstore.Create(t.Context(), cluster, prefix)
	require.ErrorContains(t, err, "another restore to this prefix is in progress")
	made.Abort()
	require.Zero(t, keys())

	crashed := create()
	fill(crashed)
	_, err = c.Delete(t.Context(), prefix+"restoring") // as if it had been dead for a while
	require.NoError(t, err)
	refused("a restore to this prefix has not been completed")
	made = create()
	require.Less(t, keys(), int64(5), "what the other one has left is gone")
	fill(made)
	require.ErrorContains(t, crashed.Finish("/local"), "another restore to this prefix has begun meanwhile")
	require.NoError(t, made.Finish("/local"))

	_, err = etcdstore.Create(t.Context(), cluster, prefix)
	require.ErrorIs(t, err, etcdstore.ErrNotEmpty)
	r, err := etcdstore.OpenReader(t.Context(), cluster, prefix)
	require.NoError(t, err)
	require.Equal(t, texts(many()), all(t, r.Snapshot(t.Context())))
	require.NoError(t, r.Close())
	s, err := etcdstore.Connect(t.Context(), cluster, etcdstore.Options{Prefix: prefix, Database: "/local"})
	require.NoError(t, err)
	require.NoError(t, s.Claim(t.Context(), 1<<40))
	require.NoError(t, s.Commit(t.Context(), store.Batch{Space: 1 << 40, Changes: []node.Record{storetest.Put("k", "v")}}))
	require.Equal(t, []string{`"k"="v"`, `"\xff\xff"=""`}, storetest.Records(t, s, 1<<40))
	require.NoError(t, s.Close())
}

// A prefix that belongs to something else, or whose servers still run, stays as it is.
func TestCreation_Refuses(t *testing.T) {
	t.Parallel()
	m := startMember(t)
	c := m.client()
	cluster := etcdstore.Cluster{URLs: []string{m.url}}
	prefix := m.prefix()
	_, err := c.Put(t.Context(), prefix+"key", "of another program")
	require.NoError(t, err)
	_, err = etcdstore.Create(t.Context(), cluster, prefix)
	require.ErrorIs(t, err, etcdstore.ErrNotEmpty)
	require.ErrorContains(t, err, `there is the key "`+prefix+`key"`)
	r, err := c.Get(t.Context(), prefix, clientv3.WithPrefix())
	require.NoError(t, err)
	require.Len(t, r.Kvs, 1)

	prefix = m.prefix()
	_, err = etcdstore.OpenReader(t.Context(), cluster, prefix)
	require.ErrorContains(t, err, "no server has used the prefix "+prefix)
	made, err := etcdstore.Create(t.Context(), cluster, prefix)
	require.NoError(t, err)
	// A server registers again whose keys somebody has deleted.
	_, err = c.Put(t.Context(), prefix+ownership.ServerKey("it"), "{}")
	require.NoError(t, err)
	require.ErrorContains(t, made.Finish("/local"), "servers with this prefix are running")
}

// While servers change what they own, a snapshot has each node after one of its commits, and all of them at one
// revision of etcd: a change that began after another one was acknowledged is never there without that.
func TestSnapshot_IsOfOneInstant(t *testing.T) {
	t.Parallel()
	m := startMember(t)
	c, prefix := m.client(), m.prefix()
	a, b := open(t, c, prefix), open(t, c, prefix)
	require.NoError(t, a.Claim(t.Context(), 1))
	require.NoError(t, b.Claim(t.Context(), 2))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := 1; ctx.Err() == nil; i++ { // first a, and then b
			for space, s := range []store.Store{a, b} {
				_ = s.Commit(ctx, store.Batch{Space: store.Space(space + 1), Changes: []node.Record{
					storetest.Put("i", fmt.Sprint(i)), storetest.Put(fmt.Sprint("k", i%50), fmt.Sprint(i)),
				}})
			}
		}
	}()
	last := 0
	for last < 1_500 { // so that there are folds
		var of [3]int
		newest := [3]int{}
		for r, err := range b.Snapshot(t.Context()) {
			require.NoError(t, err)
			var n int
			_, err := fmt.Sscan(string(r.Value), &n)
			require.NoError(t, err)
			if string(r.Key) == "i" {
				of[r.Space] = n
			} else {
				newest[r.Space] = max(newest[r.Space], n)
			}
		}
		require.Equal(t, of, newest, "each node is consistent")
		require.GreaterOrEqual(t, of[1], of[2])
		require.LessOrEqual(t, of[1], of[2]+1)
		last = of[2]
	}
	cancel()
	<-done
}

// A snapshot during which etcd is compacted fails, so that a backup begins again: the rest would be of another instant.
func TestSnapshot_Compacted(t *testing.T) {
	t.Parallel()
	m := startMember(t)
	c, prefix := m.client(), m.prefix()
	s := open(t, c, prefix)
	require.NoError(t, s.Claim(t.Context(), 1))
	require.NoError(t, s.Claim(t.Context(), 2))
	compacted := false
	var failed error
	commit(t, s, "k", "1")
	for _, err := range s.Snapshot(t.Context()) {
		if failed = err; err != nil || compacted {
			continue
		}
		compacted = true
		r, err := c.Put(t.Context(), "x", "y")
		require.NoError(t, err)
		_, err = c.Compact(t.Context(), r.Header.Revision)
		require.NoError(t, err)
	}
	require.True(t, compacted)
	require.ErrorIs(t, failed, etcdstore.ErrCompacted)
}

// A backup goes from a directory to etcd and back. What is there is what the backup has, apart from the fencing tokens
// and ids, which each restore raises.
func TestBackup_GoesThereAndBack(t *testing.T) {
	t.Parallel()
	m := startMember(t)
	cluster, prefix := etcdstore.Cluster{URLs: []string{m.url}}, m.prefix()
	text, err := os.ReadFile("../../internal/backup/testdata/format1.backup")
	require.NoError(t, err)
	options := backup.Options{KeepSessions: true}
	restored := func() []string { // what a restore of the backup writes
		var records []string
		_, err := backup.Restore(bytes.NewReader(text), options, func(r store.Record) error {
			records = append(records, fmt.Sprintf("%d %q=%q", r.Space, r.Key, r.Value))

			return nil
		})
		require.NoError(t, err)

		return records
	}
	write := func(snapshot iter.Seq2[store.Record, error]) {
		t.Helper()
		var b bytes.Buffer
		require.NoError(t, backup.Write(&b, time.UnixMilli(1), snapshot))
		text = b.Bytes()
	}
	first, err := backup.Check(bytes.NewReader(text))
	require.NoError(t, err)
	require.NotZero(t, first.Sessions)

	made, err := etcdstore.Create(t.Context(), cluster, prefix)
	require.NoError(t, err)
	want := restored()
	_, err = backup.Restore(bytes.NewReader(text), options, made.Add)
	require.NoError(t, err)
	require.NoError(t, made.Finish("/local"))
	r, err := etcdstore.OpenReader(t.Context(), cluster, prefix)
	require.NoError(t, err)
	require.Equal(t, want, all(t, r.Snapshot(t.Context())))
	write(r.Snapshot(t.Context()))
	require.NoError(t, r.Close())

	dir := filepath.Join(t.TempDir(), "data")
	disk, err := logstore.Create(dir, logstore.Options{})
	require.NoError(t, err)
	want = restored()
	_, err = backup.Restore(bytes.NewReader(text), options, disk.Add)
	require.NoError(t, err)
	require.NoError(t, disk.Finish())
	s, err := logstore.Open(dir, logstore.Options{})
	require.NoError(t, err)
	require.Equal(t, want, all(t, s.Snapshot(t.Context())))
	write(s.Snapshot(t.Context()))
	require.NoError(t, s.Close())

	last, err := backup.Check(bytes.NewReader(text))
	require.NoError(t, err)
	require.Equal(t, []int{first.Nodes, first.Semaphores, first.Sessions},
		[]int{last.Nodes, last.Semaphores, last.Sessions})
}

// The commands move a server to a cluster and back with everything that it has, and say what they refuse.
func TestCommands_Move(t *testing.T) {
	t.Parallel()
	m := startMember(t)
	dir := t.TempDir()
	data, file, again := filepath.Join(dir, "data"), filepath.Join(dir, "a.backup"), filepath.Join(dir, "b.backup")
	single := serve(t, "--data", data)
	requireRun(t, "semaphore", "create", "--limit", "3", "--data", "some text", "kept", "--ydb", single.dsn)
	single.stop()
	requireRun(t, "backup", "--data", data, file)

	etcd := []string{"--etcd", m.url, "--etcd-prefix", "/moved/"}
	out := requireRun(t, append([]string{"restore", file, "--wait", "0s"}, etcd...)...)
	require.Contains(t, out, "to etcd at "+m.url+" with the prefix /moved/, for servers of the database /local: the "+
		"backup has 1 node, 1 semaphore")
	code, _, stderr := run(t, append([]string{"restore", file}, etcd...)...)
	require.Equal(t, 125, code)
	require.Contains(t, stderr, "the prefix is not empty: there is the key")
	one, other := serve(t, etcd...), serve(t, etcd...)
	const semaphore = `{"name":"kept","held":false,"limit":3,"data":"some text","holders":[],"waiters":[]}` + "\n"
	for _, s := range []*server{one, other} {
		_, out, _ = run(t, "who", "-o", "json", "kept", "--ydb", s.dsn)
		require.JSONEq(t, semaphore, out)
	}

	code, _, stderr = run(t, "backup", "--admin", one.admin, again)
	require.Equal(t, 125, code)
	require.Contains(t, stderr, "pass its --etcd to tenure backup")
	requireRun(t, append([]string{"backup", again}, etcd...)...)
	back := filepath.Join(dir, "back")
	requireRun(t, "restore", again, "--to", back, "--wait", "0s")
	single = serve(t, "--data", back)
	_, out, _ = run(t, "who", "-o", "json", "kept", "--ydb", single.dsn)
	require.JSONEq(t, semaphore, out)
}

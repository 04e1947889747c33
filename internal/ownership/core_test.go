package ownership_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/node"
	"tenure/internal/ownership"
	"tenure/internal/store"
)

// bench is a core beside an etcd in which the servers a and b are registered.
type bench struct {
	*testing.T
	etcd *etcd
	core *ownership.Core
	sent []ownership.Send // that have not been answered
	told []ownership.Action
}

func newBench(t *testing.T, e *etcd, cfg ownership.Config) *bench {
	t.Helper()
	for _, s := range []string{"a", "b"} {
		if e.revision < 3 {
			e.do(t, ownership.Op{Kind: ownership.Put, Key: ownership.ServerKey(s)})
		}
	}
	if cfg.Registration == 0 {
		kv, _ := e.kv(ownership.ServerKey(cfg.Server))
		cfg.Registration = kv.Create
	}
	cfg.Space = 1

	return &bench{T: t, etcd: e, core: ownership.New(cfg)}
}

func (e *etcd) do(t *testing.T, ops ...ownership.Op) {
	t.Helper()
	_, err := e.apply(ownership.Txn{Then: ops}, 0)
	require.NoError(t, err)
}

func (b *bench) call(f func(*ownership.Effects)) {
	b.Helper()
	var fx ownership.Effects
	f(&fx)
	for _, a := range fx.Actions {
		if s, ok := a.(ownership.Send); ok {
			b.sent = append(b.sent, s)
		} else {
			b.told = append(b.told, a)
		}
	}
}

// take returns the only transaction that waits for an answer.
func (b *bench) take() ownership.Send {
	b.Helper()
	require.Len(b, b.sent, 1)
	s := b.sent[0]
	b.sent = nil

	return s
}

// carryOut carries out a transaction, and answers it unless its answer is lost.
func (b *bench) carryOut(s ownership.Send, lost bool) {
	b.Helper()
	r, err := b.etcd.apply(s.Txn, 0)
	require.NoError(b, err)
	if !lost {
		b.call(func(fx *ownership.Effects) { b.core.Answer(s.ID, r, fx) })
	}
}

func (b *bench) unknown(s ownership.Send) {
	b.Helper()
	b.call(func(fx *ownership.Effects) { b.core.Unknown(s.ID, fx) })
}

// finish answers everything, and returns what the core has reported since the last call.
func (b *bench) finish() []ownership.Action {
	b.Helper()
	for len(b.sent) > 0 {
		s := b.sent[0]
		b.sent = b.sent[1:]
		b.carryOut(s, false)
	}
	told := b.told
	b.told = nil

	return told
}

func (b *bench) claim() *bench {
	b.Helper()
	b.call(b.core.Claim)
	require.Equal(b, []ownership.Action{ownership.Claimed{}}, b.finish())

	return b
}

func (b *bench) refused(cause error) {
	b.Helper()
	b.call(b.core.Claim)
	require.Equal(b, []ownership.Action{ownership.Over{Cause: cause}}, b.finish())
}

func (b *bench) commit(records ...node.Record) {
	b.Helper()
	b.call(func(fx *ownership.Effects) { b.core.Commit(store.Batch{Space: 1, Changes: records}, fx) })
}

func (b *bench) load() map[string]string {
	b.Helper()
	have := make(map[string]string)
	l := ownership.NewLoading(1, 0)
	for t, more := l.Next(); more; t, more = l.Next() {
		r, err := b.etcd.apply(t, 0)
		require.NoError(b, err)
		records, err := l.Take(r)
		require.NoError(b, err)
		for _, r := range records {
			require.NotNil(b, r.Value)
			have[string(r.Key)] = string(r.Value)
		}
	}

	return have
}

func record(key, value string) node.Record {
	return node.Record{Key: []byte(key), Value: append([]byte{}, value...)}
}

var committed = []ownership.Action{ownership.Committed{}}

func TestClaim(t *testing.T) {
	t.Parallel()
	own := ownership.OwnerKey(1)
	set := func(e *etcd, o ownership.Owner) {
		e.do(t, ownership.Op{
			Kind: ownership.Put, Key: own,
			Value: fmt.Appendf(nil, `{"server":%q,"epoch":%d,"dropped":%v}`, o.Server, o.Epoch, o.Dropped),
		})
	}
	a := ownership.Config{Server: "a", Settled: true}

	t.Run("of a space that nobody owns", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, newEtcd(), ownership.Config{Server: "a"}).claim()
		kv, _ := b.etcd.kv(own)
		require.JSONEq(t, `{"server":"a","epoch":1}`, string(kv.Value))
		require.Equal(t, kv.Mod, b.core.Fence())
	})
	t.Run("of a space that a living server owns", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, newEtcd(), a)
		set(b.etcd, ownership.Owner{Server: "b", Epoch: 4})
		b.refused(&store.OwnedError{Server: "b"})
	})
	t.Run("from a server that is gone", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, newEtcd(), a)
		set(b.etcd, ownership.Owner{Server: "gone", Epoch: 4})
		b.claim()
		require.Equal(t, uint64(5), b.core.Epoch())
	})
	t.Run("from a server that is gone, too early", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, newEtcd(), ownership.Config{Server: "a"})
		set(b.etcd, ownership.Owner{Server: "gone", Epoch: 4})
		b.refused(&store.OwnedError{Server: "gone"})
	})
	t.Run("of a space that is handed over to this server", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, newEtcd(), ownership.Config{Server: "a"})
		set(b.etcd, ownership.Owner{Server: "a", Epoch: 4})
		b.claim()
	})
	t.Run("of a dropped space", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, newEtcd(), a)
		set(b.etcd, ownership.Owner{Dropped: true})
		b.refused(store.ErrDropped)
	})
	t.Run("without a registration", func(t *testing.T) {
		t.Parallel()
		newBench(t, newEtcd(), ownership.Config{Server: "a", Registration: 99}).refused(ownership.ErrUnregistered)
	})
	t.Run("that another claim overtakes", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, newEtcd(), a)
		b.call(b.core.Claim)
		b.carryOut(b.take(), false)
		newBench(t, b.etcd, ownership.Config{Server: "b"}).claim()
		require.Equal(t, []ownership.Action{ownership.Over{Cause: &store.OwnedError{Server: "b"}}}, b.finish())
	})
	t.Run("whose answer is lost", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, newEtcd(), a)
		b.call(b.core.Claim)
		b.carryOut(b.take(), false)
		first := b.take()
		b.carryOut(first, true)
		b.unknown(first)
		require.Equal(t, []ownership.Action{ownership.Claimed{}}, b.finish())
		kv, _ := b.etcd.kv(own)
		require.Equal(t, kv.Mod, b.core.Fence())
	})
}

func TestCommit_SendsTheSameAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t, newEtcd(), ownership.Config{Server: "a"}).claim()
	b.commit(record("k", "v"))
	first := b.take()
	b.carryOut(first, true)
	b.unknown(first)
	second := b.take()
	require.Equal(t, 2, second.Attempt)
	require.NotEqual(t, first.ID, second.ID)
	require.Equal(t, first.Txn, second.Txn)

	b.call(func(fx *ownership.Effects) { b.core.Answer(first.ID, ownership.Result{Succeeded: true}, fx) })
	require.Empty(t, b.told, "the answer to an attempt that was given up is ignored")
	b.carryOut(second, false)
	require.Equal(t, committed, b.finish())
	require.Equal(t, map[string]string{"k": "v"}, b.load())
}

func TestCommit_IsFenced(t *testing.T) {
	t.Parallel()
	b := newBench(t, newEtcd(), ownership.Config{Server: "a"}).claim()
	b.etcd.do(t, ownership.Op{Kind: ownership.Delete, Key: ownership.ServerKey("a")})
	other := newBench(t, b.etcd, ownership.Config{Server: "b", Settled: true}).claim()
	b.commit(record("k", "v"))
	require.Equal(t, []ownership.Action{ownership.Over{Cause: store.ErrFenced}}, b.finish())
	require.ErrorIs(t, b.core.Err(), store.ErrFenced)
	require.Empty(t, b.load())

	b.commit(record("k", "v"))
	require.Empty(t, b.finish(), "nothing follows the end")
	other.commit(record("k", "w"))
	require.Equal(t, committed, other.finish())
}

// An entry is written in parts. A crash between them leaves a torn entry, which the next owner ignores and whose number
// it does not use.
func TestCommit_TornEntry(t *testing.T) {
	t.Parallel()
	b := newBench(t, newEtcd(), ownership.Config{Server: "a", PartBytes: 10}).claim()
	b.commit(record("k", "1"))
	require.Equal(t, committed, b.finish())
	b.commit(record("k", "a value of more than one part"))
	b.carryOut(b.take(), false)
	late := b.take()

	next := newBench(t, b.etcd, ownership.Config{Server: "a", PartBytes: 10}).claim()
	require.Equal(t, map[string]string{"k": "1"}, next.load())
	b.carryOut(late, true)
	require.Equal(t, map[string]string{"k": "1"}, next.load())
	next.commit(record("l", "another value of more than one part"))
	require.Equal(t, committed, next.finish())
	require.Equal(t, map[string]string{"k": "1", "l": "another value of more than one part"}, next.load())
}

// A step of a fold that etcd carries out again, after a later one, would bring back an old value.
func TestFold_LateRepetition(t *testing.T) {
	t.Parallel()
	b := newBench(t, newEtcd(), ownership.Config{Server: "a", FoldEntries: 1}).claim()
	var late []ownership.Send
	for _, v := range []string{"1", "2"} {
		b.commit(record("k", v))
		b.carryOut(b.take(), false)
		late = append(late, b.take()) // the fold
		b.carryOut(late[len(late)-1], false)
		require.Equal(t, committed, b.finish())
	}
	for _, s := range late {
		b.carryOut(s, true)
		require.Equal(t, map[string]string{"k": "2"}, b.load())
	}
	require.Empty(t, b.etcd.journal(1))
}

// A fold does not walk over the entries that earlier folds have deleted, also after another claim. etcd remembers them
// until it is compacted.
func TestFold_DeletesNewEntriesOnly(t *testing.T) {
	t.Parallel()
	e := newEtcd()
	end := "j/0000000000000001/0000000000000001/"
	for range 2 {
		b := newBench(t, e, ownership.Config{Server: "a", FoldEntries: 3}).claim()
		for i := range 6 {
			b.commit(record("k", fmt.Sprint(i)))
			b.carryOut(b.take(), false)
			for _, s := range b.sent { // a fold
				for _, op := range s.Txn.Then {
					if op.Kind == ownership.Delete && op.End != "" {
						require.Equal(t, end, op.Key)
						end = op.End
					}
				}
			}
			require.Equal(t, committed, b.finish())
		}
	}
	require.Equal(t, "j/0000000000000001/000000000000000d/", end)
	require.Empty(t, e.journal(1))
}

// A commit that etcd carries out again, after it was folded, leaves an entry that everybody ignores.
func TestCommit_LateRepetition(t *testing.T) {
	t.Parallel()
	b := newBench(t, newEtcd(), ownership.Config{Server: "a", FoldEntries: 2}).claim()
	b.commit(record("k", "1"))
	late := b.take()
	b.carryOut(late, false)
	b.commit(record("k", "2"))
	b.finish()
	require.Empty(t, b.etcd.journal(1))

	b.carryOut(late, true)
	require.Len(t, b.etcd.journal(1), 1)
	want := map[string]string{"k": "2"}
	require.Equal(t, want, b.load())
	require.Equal(t, want, newBench(t, b.etcd, ownership.Config{Server: "a", FoldEntries: 1}).claim().load())
}

// After etcd was put back to an earlier state, another server may have claimed the space at the same revision.
func TestFence_EtcdPutBack(t *testing.T) {
	t.Parallel()
	for name, use := range map[string]func(*bench){
		"commit":    func(b *bench) { b.commit(record("k", "1")) },
		"proof":     func(b *bench) { b.call(func(fx *ownership.Effects) { b.core.Confirm(fx) }) },
		"hand-over": func(b *bench) { b.call(func(fx *ownership.Effects) { b.core.Release("", fx) }) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, newEtcd(), ownership.Config{Server: "a"}).claim()
			key := ownership.OwnerKey(1)
			had, _ := b.etcd.kv(key)
			b.etcd = newEtcd()
			for b.etcd.revision < had.Mod-1 {
				b.etcd.do(t, ownership.Op{Kind: ownership.Put, Key: "other"})
			}
			b.etcd.do(t, ownership.Op{Kind: ownership.Put, Key: key, Value: []byte(`{"server":"b","epoch":1}`)})
			has, _ := b.etcd.kv(key)
			require.Equal(t, had.Mod, has.Mod)

			use(b)
			require.Equal(t, []ownership.Action{ownership.Over{Cause: store.ErrFenced}}, b.finish())
		})
	}
}

// The result of a fold that arrives during a hand-over does not end the claim.
func TestRelease_DuringFold(t *testing.T) {
	t.Parallel()
	b := newBench(t, newEtcd(), ownership.Config{Server: "a", FoldEntries: 1}).claim()
	b.commit(record("k", "1"))
	b.carryOut(b.take(), false)
	fold := b.take()
	b.carryOut(fold, true)
	b.unknown(fold)
	again := b.take()
	b.told = nil
	b.call(func(fx *ownership.Effects) { b.core.Release("", fx) })
	b.carryOut(again, false)
	require.Equal(t, []ownership.Action{ownership.Over{Cause: ownership.ErrReleased}}, b.finish())
}

func TestConfirm(t *testing.T) {
	t.Parallel()
	b := newBench(t, newEtcd(), ownership.Config{Server: "a"}).claim()
	confirm := func() (ticket uint64) {
		b.call(func(fx *ownership.Effects) { ticket = b.core.Confirm(fx) })

		return ticket
	}
	require.Equal(t, uint64(1), confirm())
	first := b.take()
	require.Equal(t, uint64(2), confirm())
	require.Equal(t, uint64(3), confirm())
	b.carryOut(first, false)
	require.Equal(t, []ownership.Action{ownership.Confirmed{Ticket: 1}}, b.told, "the others came after it had begun")
	require.Len(t, b.sent, 1, "they share one read")
	require.Equal(t, []ownership.Action{ownership.Confirmed{Ticket: 1}, ownership.Confirmed{Ticket: 3}}, b.finish())

	confirm()
	lost := b.take()
	confirm()
	b.unknown(lost)
	require.Equal(t, []ownership.Action{ownership.Confirmed{Ticket: 5}}, b.finish(), "a repetition begins anew")

	newBench(t, b.etcd, ownership.Config{Server: "a"}).claim()
	confirm()
	require.Equal(t, []ownership.Action{ownership.Over{Cause: store.ErrFenced}}, b.finish())
}

func TestRelease(t *testing.T) {
	t.Parallel()
	b := newBench(t, newEtcd(), ownership.Config{Server: "a"}).claim()
	b.commit(record("k", "1"))
	b.finish()
	b.call(func(fx *ownership.Effects) { b.core.Release("b", fx) })
	lost := b.take()
	b.carryOut(lost, true)
	b.unknown(lost)
	require.Equal(t, []ownership.Action{ownership.Over{Cause: ownership.ErrReleased}}, b.finish())

	newBench(t, b.etcd, ownership.Config{Server: "a", Settled: true}).refused(&store.OwnedError{Server: "b"})
	other := newBench(t, b.etcd, ownership.Config{Server: "b"}).claim()
	require.Equal(t, map[string]string{"k": "1"}, other.load())
}

// A space is left to the server that should have it, unless that does not serve it.
func TestClaim_Target(t *testing.T) {
	t.Parallel()
	owned := func(by string) error { return &store.OwnedError{Server: by} }
	by := func(s string) ownership.Owner { return ownership.Owner{Server: s, Epoch: 1} }
	to := func(s string) ownership.Owner { return ownership.Owner{Target: s, Epoch: 2} }
	c := []string{"c"}
	for name, tc := range map[string]struct {
		owner   ownership.Owner
		alive   []string
		unready bool // not settled
		target  string
		avoid   []string
		gone    []string
		want    error
	}{
		"free":                         {target: "b", want: owned("b")},
		"free, asked in vain":          {target: "b", avoid: []string{"b"}},
		"free, for this one":           {target: "a"},
		"its own":                      {owner: by("a"), target: "b"},
		"another one's":                {owner: by("c"), alive: c, target: "b", want: owned("c")},
		"another one's, asked in vain": {owner: by("c"), alive: c, avoid: c, want: owned("c")},
		"a dead one's":                 {owner: by("c"), target: "b", want: owned("b")},
		"a dead one's, early":          {owner: by("c"), unready: true, target: "b", want: owned("b")},
		"a dead one's, early and in vain": {
			owner: by("c"), unready: true, target: "b", avoid: []string{"b"}, want: owned("c"),
		},
		"known to be dead":                    {owner: by("c"), unready: true, gone: c},
		"said to be dead, but alive":          {owner: by("c"), alive: c, gone: c, want: owned("c")},
		"handed over":                         {owner: to("c"), alive: c, target: "b", want: owned("c")},
		"handed over, asked in vain":          {owner: to("c"), alive: c, avoid: c},
		"handed over to this one":             {owner: to("a")},
		"handed over to a dead one":           {owner: to("c"), unready: true},
		"handed over to a dead one, a target": {owner: to("c"), target: "b", want: owned("b")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, newEtcd(), ownership.Config{
				Server: "a", Settled: !tc.unready, Target: tc.target, Avoid: tc.avoid, Gone: tc.gone,
			})
			for _, s := range tc.alive {
				b.etcd.do(t, ownership.Op{Kind: ownership.Put, Key: ownership.ServerKey(s)})
			}
			if tc.owner.Epoch > 0 {
				value, err := json.Marshal(tc.owner)
				require.NoError(t, err)
				b.etcd.do(t, ownership.Op{Kind: ownership.Put, Key: ownership.OwnerKey(1), Value: value})
			}
			if tc.want != nil {
				b.refused(tc.want)

				return
			}
			b.claim()
			kv, _ := b.etcd.kv(ownership.OwnerKey(1))
			require.JSONEq(t, fmt.Sprintf(`{"server":"a","epoch":%d}`, tc.owner.Epoch+1), string(kv.Value))
		})
	}
}

func TestClaim_ReadsAnewAfterCompaction(t *testing.T) {
	t.Parallel()
	b := newBench(t, newEtcd(), ownership.Config{Server: "a"}).claim()
	b.commit(record("k", "1"))
	b.finish()
	next := newBench(t, b.etcd, ownership.Config{Server: "a"})
	next.call(next.core.Claim)
	next.carryOut(next.take(), false)
	next.carryOut(next.take(), false)
	page := next.take()
	b.etcd.do(t, ownership.Op{Kind: ownership.Put, Key: "other"})
	b.etcd.compacted = b.etcd.revision
	_, err := b.etcd.apply(page.Txn, 0)
	require.ErrorIs(t, err, ownership.ErrCompacted)
	next.call(func(fx *ownership.Effects) { next.core.Refused(page.ID, err, fx) })
	require.Equal(t, []ownership.Action{ownership.Claimed{}}, next.finish())
	require.Equal(t, uint64(3), next.core.Epoch())
}

// TestLoading reads spaces that do not fit on a page, with journals of many sizes.
func TestLoading(t *testing.T) {
	t.Parallel()
	for seed := range uint64(10) {
		random := rand.New(rand.NewPCG(seed, 0))
		pick := func(of ...int) int { return of[random.IntN(len(of))] }
		e := newEtcd()
		cfg := ownership.Config{Server: "a", PartBytes: pick(100, 1<<20), FoldEntries: pick(2, 3, 1000)}
		b := newBench(t, e, cfg).claim()
		want := make(map[string]string)
		for i := range 1 + random.IntN(4) {
			first := random.IntN(1500)
			var changes []node.Record
			for k := range pick(1, 70, 999, 1000, 1001, 1500) {
				key := fmt.Sprintf("%04d", first+k)
				if i > 0 && k%3 == 0 {
					changes = append(changes, node.Record{Key: []byte(key)})
					delete(want, key)
				} else {
					changes = append(changes, record(key, fmt.Sprint(i)))
					want[key] = fmt.Sprint(i)
				}
			}
			b.commit(changes...)
			require.Equal(t, committed, b.finish())
		}
		require.Equal(t, want, b.load())
		next := newBench(t, e, cfg).claim()
		require.Equal(t, want, next.load())
	}
}

func TestLoading_Damage(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(*etcd, []ownership.KV){
		"a part is gone": func(e *etcd, parts []ownership.KV) {
			e.do(t, ownership.Op{Kind: ownership.Delete, Key: parts[1].Key})
		},
		"an entry is gone": func(e *etcd, parts []ownership.KV) {
			e.do(t, ownership.Op{Kind: ownership.Delete, Key: parts[0].Key, End: parts[3].Key})
		},
		"the end of an entry is gone": func(e *etcd, parts []ownership.KV) {
			e.do(t, ownership.Op{Kind: ownership.Delete, Key: parts[2].Key})
		},
		"a part has moved": func(e *etcd, parts []ownership.KV) {
			e.do(t, ownership.Op{Kind: ownership.Put, Key: parts[1].Key, Value: parts[0].Value})
		},
		"a byte has changed": func(e *etcd, parts []ownership.KV) {
			value := append([]byte{}, parts[1].Value...)
			value[5] ^= 1
			e.do(t, ownership.Op{Kind: ownership.Put, Key: parts[1].Key, Value: value})
		},
		"a part is empty": func(e *etcd, parts []ownership.KV) {
			e.do(t, ownership.Op{Kind: ownership.Put, Key: parts[1].Key})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, newEtcd(), ownership.Config{Server: "a", PartBytes: 10}).claim()
			for range 2 {
				b.commit(record("key", "a value of three parts"))
				require.Equal(t, committed, b.finish())
			}
			parts := b.etcd.journal(1)
			require.Len(t, parts, 6)
			damage(b.etcd, parts)
			next := newBench(t, b.etcd, ownership.Config{Server: "a"})
			next.call(next.core.Claim)
			next.finish()
			require.ErrorIs(t, next.core.Err(), store.ErrDamaged)
		})
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	big := node.Record{Key: []byte("k"), Value: make([]byte, ownership.MaxRecord-1)}
	drop := slices.Repeat([]store.Space{1}, ownership.MaxDrops)
	require.NoError(t, ownership.Check(store.Batch{Changes: []node.Record{big}, Drop: drop}))
	require.Error(t, ownership.Check(store.Batch{Drop: append(drop, 2)}))
	require.Error(t, ownership.Check(store.Batch{Space: 1, Drop: []store.Space{store.Catalog}}))
	big.Value = append(big.Value, 0)
	require.Error(t, ownership.Check(store.Batch{Changes: []node.Record{big}}))
}

package node_test

import (
	"bytes"
	"fmt"
	"iter"
	"reflect"
	"slices"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"

	"tenure/internal/clock"
	"tenure/internal/node"
)

// tester is the common interface of *testing.T and *rapid.T.
type tester interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	FailNow()
}

// pair runs a node and its model side by side. It sends each request to both and fails the test if their replies
// differ. It also runs a second node with the same inputs, and fails the test if its effects differ from those of the
// first in any way, such as in the order of two deletions. No effect may depend on the iteration order of a map.
type pair struct {
	t       tester
	config  node.Config
	node    *node.Node
	twin    *node.Node // gets the same inputs and must produce identical effects
	model   *model
	durable records
	now     clock.Instant
	date    uint64 // of the wall clock, in ms; 0: unknown
}

// same treats nil and empty as equal, and compares byte slices as a whole because cmp is slow on a megabyte.
var same = cmp.Options{
	cmp.AllowUnexported(state{}, countersRecord{}, sessionRecord{}, semaphoreRecord{}, linkRecord{}),
	cmp.Comparer(bytes.Equal),
	cmp.FilterPath(func(p cmp.Path) bool { return p.Last().Type() != reflect.TypeFor[[]byte]() }, cmpopts.EquateEmpty()),
}

func newPair(t tester) *pair {
	p := &pair{t: t, node: node.New(), twin: node.New(), model: &model{}, durable: records{}, now: 1}
	p.node.Listen()
	p.twin.Listen()

	return p
}

// apply applies the requests as one batch at p.now and commits the changes.
func (p *pair) apply(requests ...node.Request) node.Effects {
	p.t.Helper()
	var fx, twinFX node.Effects
	var want []node.Reply
	var events []node.Event
	p.node.SetDate(p.date)
	p.twin.SetDate(p.date)
	p.model.date = p.date
	for _, r := range requests {
		replies, wake := p.model.apply(p.now, r)
		want, events = append(want, replies...), append(events, p.model.emitted...)
		p.node.Apply(p.now, r, &fx)
		p.twin.Apply(p.now, r, &twinFX)
		if diff := cmp.Diff(want, fx.Replies, same); diff != "" {
			p.t.Fatalf("after %s: replies of the model (-) and the node (+):\n%s", shown(r), diff)
		}
		if diff := cmp.Diff(events, fx.Events, same); diff != "" {
			p.t.Fatalf("after %s: events of the model (-) and the node (+):\n%s", shown(r), diff)
		}
		if wake != fx.Wake {
			p.t.Fatalf("after %s: the model wakes at %d, the node at %d, now is %d", shown(r), wake, fx.Wake, p.model.now)
		}
	}
	if !reflect.DeepEqual(fx, twinFX) {
		p.t.Fatalf("two nodes with the same inputs have different effects: %s and %s", shown(fx), shown(twinFX))
	}
	p.durable.commit(fx.Changes)

	return fx
}

// shown formats x for a failure message, without the megabyte of data that a request may carry.
func shown(x any) string {
	s := fmt.Sprintf("%T%+v", x, x)

	return s[:min(len(s), 500)]
}

// restart loads the node again from the durable records, as if it had been lost at p.now.
func (p *pair) restart(config node.Config) {
	p.t.Helper()
	p.config = config
	p.node = p.load(p.durable.all())
	p.twin = p.load(p.durable.backwards())
	p.node.Listen()
	p.twin.Listen()
	p.model.config = config
	p.model.restart(p.now)
}

func (p *pair) load(stored iter.Seq2[node.Record, error]) *node.Node {
	p.t.Helper()
	n, err := node.Load(p.now, p.config, stored)
	require.NoError(p.t, err, "load records that the node itself has written")

	return n
}

// requireSameState compares the model with the durable state, with a node loaded from it, and with the running node.
func (p *pair) requireSameState() {
	p.t.Helper()
	got, err := p.durable.state()
	require.NoError(p.t, err)
	want := p.model.state()
	p.forgetOwnersTimeouts(&got)
	p.forgetOwnersTimeouts(&want)
	if diff := cmp.Diff(want, got, same); diff != "" {
		p.t.Fatalf("durable state of the model (-) and the node (+):\n%s", diff)
	}

	loaded := p.load(p.durable.all())
	loaded.Check()
	var fx node.Effects
	loaded.Apply(p.now, node.Attach{Stream: 1}, &fx)
	require.Len(p.t, fx.Replies, 1)
	attached, ok := fx.Replies[0].Message.(node.Attached)
	require.True(p.t, ok, "attach to the loaded node: %+v", fx.Replies[0])
	p.requireSameDescriptions("loaded", loaded, node.From{Stream: 1, Session: attached.Session})

	p.node.Check()
	p.requireSameSessions()
	p.requireSameSnapshot()
	p.requireSameAges()
	for _, s := range p.model.sessions {
		if s.stream != 0 {
			p.requireSameDescriptions("running", p.node, node.From{Stream: s.stream, Session: s.id})

			break
		}
	}
}

func (p *pair) requireSameDescriptions(which string, n *node.Node, from node.From) {
	p.t.Helper()
	for _, sem := range p.model.semaphores {
		var fx node.Effects
		n.Apply(p.model.now, node.Describe{
			From: from, Req: 7, Semaphore: sem.name, IncludeOwners: true, IncludeWaiters: true,
		}, &fx)
		description := p.model.description(sem)
		if which == "loaded" { // the time of a grant is not in a record
			for i := range description.Owners {
				description.Owners[i].Granted = 0
			}
		}
		want := []node.Reply{{Stream: from.Stream, Message: node.Described{
			Result: result(7, node.Success, ""), Semaphore: description,
		}}}
		if diff := cmp.Diff(want, fx.Replies, same); diff != "" {
			p.t.Fatalf("description by the model (-) and the %s node (+):\n%s", which, diff)
		}
		require.Empty(p.t, fx.Changes, "changes by a describe")
	}
}

// forgetOwnersTimeouts clears the timeouts of owners, which have no meaning in the protocol.
func (p *pair) forgetOwnersTimeouts(s *state) {
	for i, l := range s.links {
		owned := slices.ContainsFunc(p.model.links, func(x *modelLink) bool { return x.order == l.order && p.model.owns(x) })
		if owned {
			s.links[i].timeout = 0
		}
	}
}

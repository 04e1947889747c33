package node_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"

	"tenure/internal/clock"
	"tenure/internal/node"
)

// TestNode_Scenarios runs the scenarios in testdata/*.txt, each of which shows one rule of docs/protocol.md. A file
// contains the expected effects, and every step is also compared with the model. To rewrite the files, run go test
// -run Scenarios -rewrite, and give the reason in the commit message.
//
// A block is a list of commands, one per line, followed by the effects of all of them: the changed records, the
// replies, and the next wake-up if it differs from the previous one. A block that starts with quiet prints nothing, and
// fails if a request is refused, or if it is answered with not acquired or not released. A block that starts with batch
// collects all effects in one Effects.
//
// Sessions are named by their id, such as s1. Streams are named after the attaches of the session: s1 is the first
// stream of session 1 and s1.2 is the stream of its second attach. Refused attaches are not counted. The requests of a
// session are numbered from 1: acquired #3 answers the third request, and pending #3 says that the third request waits.
// A value x*5 means xxxxx.
//
//	attach s1 timeout=5s seq=1 key=k description=d     create a session; the default is timeout=10s
//	reattach s1 ...                                    attach to an existing session
//	detach s1, abandon s1, stop s1                     end a stream
//	expire s1                                          end a detached session before its deadline
//	acquire s1 job count=2 timeout=5s data=x ephemeral the default is count=1 timeout=forever
//	release s1 job
//	create s1 job limit=3 data=x                       the default is limit=1
//	update s1 job data=x
//	delete s1 job force
//	describe s1 job owners waiters watch-data watch-owners
//	advance 5s                                         move the clock ahead and send a Tick
//	pass 5s                                            move the clock ahead without a Tick
//	back 5s                                            move the clock back
//	restart self-check=1s grace=10s                    load the node from its records and send a Tick
//	records                                            print all records
//	date 5s                                            set the wall clock; until then it is unknown
//	events                                             print events from now on, as they appear in the audit log
//
// The arguments session=2, name= and req=7 override the values that a command sends by default.
func TestNode_Scenarios(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			var s *scenario
			datadriven.RunTest(t, file, func(t *testing.T, d *datadriven.TestData) string {
				t.Helper()
				if d.Cmd == "new" { // each case starts on an empty node
					s = nil

					return ""
				}
				if s == nil {
					s = newScenario(t)
				}

				return s.block(t, d)
			})
		})
	}
}

type scenario struct {
	*pair
	streams map[string]node.StreamID // by label
	labels  map[node.StreamID]string
	ids     map[string]uint64 // session ids by label
	reqs    map[string]uint64 // requests by session
	names   map[uint64]string // of semaphores, including deleted ones
	last    node.StreamID
	wake    clock.Instant
	events  bool
	out     strings.Builder
}

func newScenario(t *testing.T) *scenario {
	t.Helper()

	return &scenario{
		pair: newPair(t), streams: map[string]node.StreamID{}, labels: map[node.StreamID]string{},
		ids: map[string]uint64{}, reqs: map[string]uint64{}, names: map[uint64]string{},
	}
}

// block runs the commands of one block and returns their effects.
func (s *scenario) block(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	s.t = t
	s.out.Reset()
	lines := strings.Split(d.Input, "\n")
	mode := d.Cmd
	if mode != "quiet" && mode != "batch" {
		mode, lines = "", slices.Insert(lines, 0, d.FullCmd())
	}

	var batch []node.Request
	for _, line := range lines {
		if strings.TrimSpace(line) == "" {
			continue
		}
		cmd, args, err := datadriven.ParseLine(line)
		require.NoError(t, err)
		req := s.command(cmd, arguments{t: t, line: line, args: args})
		switch {
		case req == nil:
		case mode == "batch":
			batch = append(batch, req)
		default:
			s.do(mode == "quiet", req)
		}
	}
	if mode == "batch" {
		s.do(false, batch...)
	}
	if mode == "quiet" {
		return ""
	}

	return s.out.String()
}

// do applies the requests and prints the effects.
func (s *scenario) do(quiet bool, requests ...node.Request) {
	fx := s.apply(requests...)
	s.requireSameState()
	for _, c := range fx.Changes {
		s.say("%s", s.change(c))
	}
	for _, r := range fx.Replies {
		line, good := s.reply(r)
		require.True(s.t, !quiet || good, "a request in a quiet block failed: %s", line)
		s.say("%s", line)
	}
	for _, e := range fx.Events {
		if s.events {
			s.say("%s", event(e))
		}
	}
	for _, r := range requests {
		if a, ok := r.(node.Attach); ok && slices.ContainsFunc(fx.Replies, func(r node.Reply) bool {
			_, refused := r.Message.(node.Failure)

			return refused && r.Stream == a.Stream
		}) {
			delete(s.streams, s.labels[a.Stream]) // the next attach reuses the label
		}
	}
	if fx.Wake != s.wake {
		s.wake = fx.Wake
		if s.wake == 0 {
			s.say("wake never")
		} else {
			s.say("wake %v", s.wake.Sub(s.model.now))
		}
	}
}

func (s *scenario) say(format string, args ...any) { fmt.Fprintf(&s.out, format+"\n", args...) }

// command returns the request for the command, or nil if the command is not a request.
func (s *scenario) command(cmd string, a arguments) node.Request {
	defer a.requireUsed()
	switch cmd {
	case "attach", "reattach":
		return s.attach(cmd == "reattach", a)
	case "detach":
		return node.Detach{Stream: s.from(a).Stream}
	case "abandon":
		return node.Abandon{Stream: s.from(a).Stream}
	case "expire":
		return node.Expire{Session: s.from(a).Session}
	case "stop":
		return node.Stop{From: s.from(a)}
	case "acquire":
		return node.Acquire{
			From: s.from(a), Req: s.req(a), Semaphore: s.semaphore(a),
			Count: a.number("count", 1), TimeoutMillis: a.millis("timeout", node.Forever), Data: []byte(a.text("data")),
			Ephemeral: a.has("ephemeral"),
		}
	case "release":
		return node.Release{From: s.from(a), Req: s.req(a), Semaphore: s.semaphore(a)}
	case "create":
		return node.Create{
			From: s.from(a), Req: s.req(a), Semaphore: s.semaphore(a),
			Limit: a.number("limit", 1), Data: []byte(a.text("data")),
		}
	case "update":
		return node.Update{From: s.from(a), Req: s.req(a), Semaphore: s.semaphore(a), Data: []byte(a.text("data"))}
	case "delete":
		return node.Delete{From: s.from(a), Req: s.req(a), Semaphore: s.semaphore(a), Force: a.has("force")}
	case "describe":
		return node.Describe{
			From: s.from(a), Req: s.req(a), Semaphore: s.semaphore(a),
			IncludeOwners: a.has("owners"), IncludeWaiters: a.has("waiters"),
			WatchData: a.has("watch-data"), WatchOwners: a.has("watch-owners"),
		}
	case "advance":
		s.now = s.now.Add(a.duration(0))

		return node.Tick{}
	case "pass":
		s.now = s.now.Add(a.duration(0))
	case "back":
		s.now = s.now.Add(-a.duration(0))
	case "restart":
		s.restart(node.Config{
			SelfCheckPeriodMillis:    uint32(a.millis("self-check", 0)),
			SessionGracePeriodMillis: uint32(a.millis("grace", 0)),
		})

		return node.Tick{}
	case "date":
		s.date = firstDate + uint64(a.duration(0).Milliseconds())
	case "events":
		s.events = true
	case "records":
		s.records()
	default:
		a.t.Fatalf("%s: unknown command", a.line)
	}

	return nil
}

// attach labels the new stream with the name of its session, and appends a number from the second attach on.
func (s *scenario) attach(again bool, a arguments) node.Request {
	s.last++
	session := a.args[0].Key
	label := session
	for i := 2; s.streams[label] != 0; i++ {
		label = fmt.Sprintf("%s.%d", session, i)
	}
	s.streams[label], s.labels[s.last] = s.last, label
	id, err := strconv.ParseUint(strings.TrimPrefix(session, "s"), 10, 64)
	require.NoError(a.t, err, a.line)
	s.ids[label] = id
	r := node.Attach{
		Stream: s.last, Seq: a.number("seq", 0), TimeoutMillis: a.millis("timeout", 10_000),
		Description: a.text("description"), ProtectionKey: []byte(a.text("key")),
	}
	if again {
		r.Session = id
	}

	return r
}

func (s *scenario) from(a arguments) node.From {
	label := a.args[0].Key
	require.Contains(a.t, s.streams, label, a.line)

	return node.From{Stream: s.streams[label], Session: a.number("session", s.ids[label])}
}

func (s *scenario) req(a arguments) uint64 {
	session, _, _ := strings.Cut(a.args[0].Key, ".")
	s.reqs[session]++

	return a.number("req", s.reqs[session])
}

func (s *scenario) semaphore(a arguments) string {
	if a.has("name") {
		return a.text("name")
	}

	return a.args[1].Key
}

func (s *scenario) records() {
	for r, err := range s.durable.all() {
		require.NoError(s.t, err)
		line := s.change(r)
		s.say("%s", strings.TrimPrefix(line, "put "))
	}
}

// arguments holds the arguments of one command. The first one, and the second if the command names a semaphore, are
// positional. The others are looked up by name.
type arguments struct {
	t    *testing.T
	line string
	args []datadriven.CmdArg
}

func (a arguments) has(name string) bool {
	return slices.ContainsFunc(a.args, func(arg datadriven.CmdArg) bool { return arg.Key == name })
}

func (a arguments) value(name string) (string, bool) {
	for _, arg := range a.args {
		if arg.Key == name && len(arg.Vals) == 1 {
			return arg.Vals[0], true
		}
	}

	return "", false
}

// text returns the value of the argument. It expands x*5 to xxxxx.
func (a arguments) text(name string) string {
	v, _ := a.value(name)
	if s, times, ok := strings.Cut(v, "*"); ok {
		n, err := strconv.Atoi(times)
		require.NoError(a.t, err, a.line)

		return strings.Repeat(s, n)
	}

	return v
}

func (a arguments) number(name string, unset uint64) uint64 {
	v, ok := a.value(name)
	if !ok {
		return unset
	}
	n, err := strconv.ParseUint(v, 10, 64)
	require.NoError(a.t, err, a.line)

	return n
}

// millis accepts a duration, the word forever, or a number of milliseconds.
func (a arguments) millis(name string, unset uint64) uint64 {
	switch v, ok := a.value(name); {
	case !ok:
		return unset
	case v == "forever":
		return node.Forever
	case strings.Trim(v, "0123456789") == "":
		return a.number(name, unset)
	default:
		d, err := time.ParseDuration(v)
		require.NoError(a.t, err, a.line)

		return uint64(d.Milliseconds())
	}
}

func (a arguments) duration(i int) time.Duration {
	d, err := time.ParseDuration(a.args[i].Key)
	require.NoError(a.t, err, a.line)

	return d
}

var knownArguments = map[string]bool{
	"count": true, "data": true, "description": true, "ephemeral": true, "force": true, "grace": true, "key": true,
	"limit": true, "name": true, "owners": true, "req": true, "self-check": true, "seq": true, "session": true,
	"timeout": true, "waiters": true, "watch-data": true, "watch-owners": true,
}

// requireUsed fails the test on an unknown argument. Otherwise a misspelt one would be ignored without notice.
func (a arguments) requireUsed() {
	for i, arg := range a.args {
		require.True(a.t, i < 2 && len(arg.Vals) == 0 || knownArguments[arg.Key], "%s: %s", a.line, arg.Key)
	}
}

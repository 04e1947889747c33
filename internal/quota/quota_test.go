package quota_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/clock"
	"tenure/internal/quota"
)

// Each row is a sequence of events of one user, and those that are refused, with the limit. An event is a word:
//
//	new, back     a stream asks for a new session, or comes back to one
//	gone          a stream ends, and its session stays
//	end           a session ends
//	req, release  a request
//	pass          a stream asks for a new session that another server serves
//	accept        a stream asks for a new session that another server has passed on
//	+1s           time passes
//
// An event with *n takes place n times.
func TestUse(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		all, user quota.Limits
		events    string
		refused   string // the limits in the order of the refusals
	}{
		"no limits":         {events: "new*1000 req*1000 release*1000"},
		"streams":           {user: quota.Limits{Streams: 2}, events: "new*3 gone new", refused: "user_streams"},
		"streams come back": {user: quota.Limits{Streams: 1}, events: "new back*2", refused: "user_streams"},
		"sessions": {
			user: quota.Limits{Sessions: 2}, events: "new gone new gone new back end new", refused: "user_sessions",
		},
		"all sessions": {all: quota.Limits{Sessions: 1}, events: "new*2 end new", refused: "sessions"},
		"attaches": {
			user: quota.Limits{Attaches: 1, AttachBurst: 2}, events: "new*3 back*2 +1s new*2",
			refused: "user_attaches*2",
		},
		"all attaches": {
			all: quota.Limits{Attaches: 1, AttachBurst: 1}, events: "new*2 back +1s new", refused: "attach_rate",
		},
		"requests": {
			user: quota.Limits{Rate: 2, RateBurst: 2}, events: "req*3 +1s req*3", refused: "user_rate*2",
		},
		"a burst does not grow": {
			user: quota.Limits{Rate: 2, RateBurst: 2}, events: "+1s*3 req*3", refused: "user_rate",
		},
		"all requests": {all: quota.Limits{Rate: 1, RateBurst: 1}, events: "req*2 +1s req", refused: "request_rate"},
		"releases are paid for": {
			user: quota.Limits{Rate: 1, RateBurst: 1}, events: "release*3 +1s req +1s req", refused: "user_rate",
		},
		"a stream counts where it is passed on": {
			user: quota.Limits{Streams: 1, Sessions: 1}, events: "pass*2 gone pass", refused: "user_streams",
		},
		"and its session where it is served": {
			user: quota.Limits{Streams: 1, Sessions: 2}, events: "new accept*2", refused: "user_sessions",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			now := clock.Instant(time.Hour)
			s := quota.New(now, tc.all, func(string) quota.Limits { return tc.user })
			u := s.User(now, "u")
			var refused []string
			for event := range strings.FieldsSeq(repeated(tc.events)) {
				var limit quota.Limit
				switch event {
				case "new":
					if limit = u.Enter(now, true); limit == "" {
						u.Keep(1)
						s.User(now, "").Keep(1)
						u.Begun()
					}
				case "accept":
					if limit = u.Accept(now, true); limit == "" {
						u.Keep(1)
						s.User(now, "").Keep(1)
						u.Begun()
					}
				case "pass":
					limit = u.Pass(true)
				case "back":
					limit = u.Enter(now, false)
				case "gone":
					u.Leave()
				case "end":
					u.Keep(-1)
					s.User(now, "").Keep(-1)
				case "req":
					limit = u.Request(now)
				case "release":
					u.Release(now)
				case "+1s":
					now = now.Add(time.Second)
				}
				if limit != "" {
					refused = append(refused, string(limit))
				}
			}
			require.Equal(t, strings.Fields(repeated(tc.refused)), append([]string{}, refused...))
		})
	}
}

// repeated replaces each "word*n" by n words.
func repeated(words string) string {
	var all []string
	for word := range strings.FieldsSeq(words) {
		word, times, _ := strings.Cut(word, "*")
		n, _ := strconv.Atoi(times)
		for range max(n, 1) {
			all = append(all, word)
		}
	}

	return strings.Join(all, " ")
}

// A refusal by the limits of all users leaves nothing behind.
func TestUse_RefusedByAll(t *testing.T) {
	t.Parallel()
	s := quota.New(1, quota.Limits{Sessions: 1}, func(string) quota.Limits { return quota.Limits{} })
	u := s.User(1, "u")
	require.Empty(t, u.Enter(1, true))
	require.Equal(t, quota.Sessions, u.Enter(1, true))
	streams, sessions := u.Used()
	require.Equal(t, []int{1, 1}, []int{streams, sessions})
	u.Begun()
	u.Leave()
	streams, sessions = u.Used()
	require.Zero(t, streams+sessions)
}

// New limits apply immediately, and what was used before counts.
func TestServer_Change(t *testing.T) {
	t.Parallel()
	of := func(l quota.Limits) func(string) quota.Limits { return func(string) quota.Limits { return l } }
	s := quota.New(1, quota.Limits{}, of(quota.Limits{}))
	u := s.User(1, "u")
	for range 5 {
		require.Empty(t, u.Enter(1, false))
		require.Empty(t, u.Request(1))
	}
	s.Change(1, of(quota.Limits{Streams: 2, Rate: 1, RateBurst: 1}))
	require.Equal(t, quota.UserStreams, u.Enter(1, true))
	require.Empty(t, u.Request(1), "there was no limit before")
	require.Equal(t, quota.UserRate, u.Request(1))
	s.Change(1, of(quota.Limits{Streams: 6, Rate: 1, RateBurst: 2}))
	require.Empty(t, u.Enter(1, true))
	require.Empty(t, u.Request(1))
	require.Equal(t, quota.UserRate, u.Request(1))
	require.Same(t, u, s.User(1, "u"))
}

func BenchmarkUse_Request(b *testing.B) {
	s := quota.New(1, quota.Limits{Rate: 1e9, RateBurst: 1e9}, func(string) quota.Limits { return quota.Limits{} })
	u := s.User(1, "u")
	b.ReportAllocs()
	for b.Loop() {
		u.Request(1)
	}
}

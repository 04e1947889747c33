package quota_test

import (
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
//	+1s           time passes
func TestUse(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		all, user quota.Limits
		events    string
		refused   string // the limits in the order of the refusals
	}{
		"no limits":         {events: strings.Repeat("new req release ", 1_000)},
		"streams":           {user: quota.Limits{Streams: 2}, events: "new new new gone new", refused: "user_streams"},
		"streams come back": {user: quota.Limits{Streams: 1}, events: "new back back", refused: "user_streams"},
		"sessions":          {user: quota.Limits{Sessions: 2}, events: "new gone new gone new back end new", refused: "user_sessions"},
		"all sessions":      {all: quota.Limits{Sessions: 1}, events: "new new end new", refused: "sessions"},
		"attaches": {
			user: quota.Limits{Attaches: 1, AttachBurst: 2}, events: "new new new back back +1s new new",
			refused: "user_attaches user_attaches",
		},
		"all attaches": {
			all: quota.Limits{Attaches: 1, AttachBurst: 1}, events: "new new back +1s new", refused: "attach_rate",
		},
		"requests": {
			user: quota.Limits{Rate: 2, RateBurst: 2}, events: "req req req +1s req req req", refused: "user_rate user_rate",
		},
		"a burst does not grow": {
			user: quota.Limits{Rate: 2, RateBurst: 2}, events: "+1s +1s +1s req req req", refused: "user_rate",
		},
		"all requests": {all: quota.Limits{Rate: 1, RateBurst: 1}, events: "req req +1s req", refused: "request_rate"},
		"releases are paid for": {
			user: quota.Limits{Rate: 1, RateBurst: 1}, events: "release release release +1s req +1s req", refused: "user_rate",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			now := clock.Instant(time.Hour)
			s := quota.New(now, tc.all, func(string) quota.Limits { return tc.user })
			u := s.User(now, "u")
			var refused []string
			for _, event := range strings.Fields(tc.events) {
				var limit quota.Limit
				switch event {
				case "new":
					if limit = u.Enter(now, true); limit == "" {
						u.Keep(1)
						s.User(now, "").Keep(1)
						u.Begun()
					}
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
			require.Equal(t, tc.refused, strings.Join(refused, " "))
		})
	}
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

// New limits apply at once, and what was used before counts.
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

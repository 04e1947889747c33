//go:build unix

package embedded

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/clock"
)

// judge feeds events to a history, one a second. Each is written as "verb who token" or "verb who".
func judge(events ...string) (*History, error) {
	h := newHistory()
	for i, text := range events {
		e := Event{At: clock.Instant(i+1) * clock.Instant(time.Second), Task: "lock"}
		_, err := fmt.Sscan(text+" 0", &e.Verb, &e.Who, &e.Token)
		if e.Verb == Kill {
			e.Task = []string{AsWaiter, AsHost}[e.Token]
		}
		if err := errors.Join(err, h.add(e)); err != nil {
			return h, err
		}
	}

	return h, nil
}

// History accepts correct records and rejects incorrect ones.
func TestHistory(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ events, err string }{
		"one after another":             {"ask 1|begin 1 3|work 1 3|ask 2|end 1 3|begin 2 4|work 2 4|end 2 4", ""},
		"after a kill":                  {"begin 1 3|work 1 3|kill 1|begin 2 4|work 2 4", ""},
		"works and ends after its kill": {"begin 1 3|kill 1|work 1 3|end 1 3|begin 2 4", ""},
		"begins after its kill":         {"kill 1|begin 1 3|work 1 3|begin 2 4", ""},
		"after a loss":                  {"begin 1 3|lost 1 3|begin 2 4", ""},
		"stopped":                       {"begin 1 3|stop 1|begin 2 4|lost 1 3|work 2 4", ""},
		"two at the same time":          {"begin 1 3|begin 2 4", "H3"},
		"the other is dead":             {"begin 1 3|kill 2|begin 2 4", "H3"},
		"stopped, then works":           {"begin 1 3|stop 1|work 1 3|begin 2 4", "H3"},
		"works under an old token":      {"begin 1 3|kill 1|begin 2 4|work 1 3", "H2"},
		"ends too late":                 {"begin 1 3|kill 1|begin 2 4|end 1 3", "H2"},
		"works after an end":            {"begin 1 3|end 1 3|work 1 3", "H2"},
		"works after a loss":            {"begin 1 3|lost 1 3|work 1 3", "H2"},
		"works without a begin":         {"begin 1 3|work 2 3", "H2"},
		"works under another token":     {"begin 1 3|work 1 4", "H2"},
		"works before any begin":        {"work 1 1", "H2"},
		"same token":                    {"begin 1 3|end 1 3|begin 2 3", "H1"},
		"token falls":                   {"begin 1 3|end 1 3|begin 2 2", "H1"},
		"passed over":                   {"ask 9" + passes(fairTurns+1), "H4"},
		"nearly passed over":            {"ask 9" + passes(fairTurns), ""},
		"dead, so not waiting":          {"ask 9|kill 9|ask 9" + passes(fairTurns+1), ""},
		"asked to end, so not waiting":  {"ask 9|quit 9|ask 9" + passes(fairTurns+1), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := judge(strings.Split(test.events, "|")...)
			if test.err == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, test.err)
			}
		})
	}
}

func passes(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "|begin 1 %d|end 1 %d", i+1, i+1)
	}

	return b.String()
}

// A gap lasts from a kill to the next begin. The events of judge are a second apart.
func TestHistory_Gaps(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		events string
		want   map[string][]time.Duration
	}{
		"holder":                     {"begin 1 3|kill 1|ask 2|begin 2 4", gapsOf(AsHolder, 2)},
		"host and holder":            {"begin 1 3|kill 1 1|ask 2|ask 3|begin 2 4", gapsOf(AsHostHolder, 3)},
		"waiter":                     {"ask 2|begin 1 3|kill 2|end 1 3|begin 3 4", gapsOf("", 0)},
		"host, the holder works on":  {"ask 2|begin 1 3|kill 3 1|work 1 3|end 1 3|begin 2 4", gapsOf(AsHost, 1)},
		"host, no holder":            {"ask 2|begin 1 3|end 1 3|ask 1|kill 3 1|ask 4|begin 2 4", gapsOf(AsHost, 2)},
		"host, no waiter":            {"begin 1 3|kill 3 1|end 1 3|begin 2 4", gapsOf("", 0)},
		"two kills":                  {"begin 1 3|kill 1|kill 2|begin 3 4", gapsOf(AsHolder, 2)},
		"a kill after each begin":    {"begin 1 3|kill 1|begin 2 4|kill 2|begin 3 5", gapsOf(AsHolder, 1, 1)},
		"holder ends before it dies": {"begin 1 3|kill 1|end 1 3|begin 2 4", gapsOf(AsHolder, 1)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, err := judge(strings.Split(test.events, "|")...)
			require.NoError(t, err)
			require.Equal(t, test.want, h.Gaps)
			require.Empty(t, h.struck)
		})
	}
}

func gapsOf(what string, seconds ...int) map[string][]time.Duration {
	gaps := map[string][]time.Duration{}
	for _, s := range seconds {
		if s > 0 {
			gaps[what] = append(gaps[what], time.Duration(s)*time.Second)
		}
	}

	return gaps
}

func TestRecord(t *testing.T) {
	t.Parallel()
	path := t.TempDir() + "/record"
	r, err := OpenRecord(path)
	require.NoError(t, err)
	other, err := OpenRecord(path)
	require.NoError(t, err)
	before := clock.System().Now()
	require.NoError(t, r.Append(Begin, 1, "job-1", 17))
	require.NoError(t, other.Append(Kill, 1234567, AsWaiter, 0))
	require.ErrorContains(t, r.Append(Begin, 1, strings.Repeat("x", lineSize), 0), "is too long")

	events, err := r.Read(0)
	require.NoError(t, err)
	require.Len(t, events, 2)
	require.GreaterOrEqual(t, events[0].At, before)
	require.GreaterOrEqual(t, events[1].At, events[0].At)
	require.Equal(t, Event{events[0].At, Begin, 1, "job-1", 17}, events[0])
	require.Equal(t, Event{events[1].At, Kill, 1234567, AsWaiter, 0}, events[1])
	rest, err := r.Read(1)
	require.NoError(t, err)
	require.Equal(t, events[1:], rest)

	_, err = r.file.WriteString(strings.Repeat("x", lineSize-1) + "\n")
	require.NoError(t, err)
	_, err = r.Read(0)
	require.ErrorContains(t, err, "xxx")
	require.NoError(t, errors.Join(r.Close(), other.Close()))
}

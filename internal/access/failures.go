package access

import (
	"maps"
	"time"
)

// A rule says how failed logins lock a user, an address, or both.
type rule struct {
	allowed     int           // failures before the first lock
	first, last time.Duration // the first lock, and the longest; each failure after a lock doubles it
}

// The rules. Each counts the failures at one service, see Origin. The first one stops somebody who guesses the password
// of a user. It does not lock the user out elsewhere: otherwise everybody could lock out everybody. The second one
// slows down a guess from many addresses, for so short a time that the user gets through. The third one slows down a
// client that tries many users.
var (
	pairRule    = rule{5, time.Minute, time.Hour}
	userRule    = rule{100, 10 * time.Second, time.Minute}
	addressRule = rule{50, 10 * time.Second, time.Minute}
)

// forgetAfter is the time after which failures are forgotten, counted from the last one or the end of its lock.
const forgetAfter = time.Hour

// rememberFor is how long a successful login counts.
const rememberFor = 30 * 24 * time.Hour

// maxFailures is the number of users, addresses and pairs whose failures are remembered.
const maxFailures = 30_000

// failures are failed logins by user, by address, and by both.
type failures map[subject]failure

// A subject is what a rule is about.
type subject struct {
	rule *rule
	user string // empty for a rule about the address alone
	from Origin // without an address for a rule about the user alone
}

type failure struct {
	count   int
	until   time.Time // locked until then
	forgets time.Time
	good    bool // the user has logged in from the address
}

// subjects returns the subjects of a login. The pair is the first one.
func subjects(user string, from Origin) [3]subject {
	everywhere := Origin{Service: from.Service}

	return [...]subject{{&pairRule, user, from}, {&userRule, user, everywhere}, {&addressRule, "", from}}
}

// locked reports whether logins of the user from the address are refused, and until when. A user who has logged in from
// the address before is locked out only by failures of that pair.
func (f failures) locked(user string, from Origin, now time.Time) (until time.Time, locked bool) {
	for _, s := range subjects(user, from) {
		entry := f[s]
		if entry.until.After(now) && entry.until.After(until) {
			until, locked = entry.until, true
		}
		if entry.good {
			break
		}
	}

	return until, locked
}

// fail counts a failed login.
func (f failures) fail(user string, from Origin, now time.Time) {
	f.forget(now)
	for _, s := range subjects(user, from) {
		entry := f[s]
		if !now.Before(entry.forgets) {
			entry.count = 0
		}
		entry.count++
		entry.until = now
		if over := entry.count - s.rule.allowed; over >= 0 {
			entry.until = now.Add(min(s.rule.first<<min(over, 10), s.rule.last))
		}
		entry.forgets = entry.until.Add(forgetAfter)
		f[s] = entry
	}
}

// succeed forgets the failures of the user at the address.
func (f failures) succeed(user string, from Origin, now time.Time) {
	f.forget(now)
	f[subjects(user, from)[0]] = failure{good: true, forgets: now.Add(rememberFor)}
}

// forget makes room if there is none: it removes what has expired, and otherwise everything that is not locked.
func (f failures) forget(now time.Time) {
	if len(f) < maxFailures {
		return
	}
	maps.DeleteFunc(f, func(_ subject, entry failure) bool { return !now.Before(entry.forgets) })
	if len(f) >= maxFailures {
		maps.DeleteFunc(f, func(_ subject, entry failure) bool { return !entry.until.After(now) })
	}
	if len(f) >= maxFailures {
		clear(f)
	}
}

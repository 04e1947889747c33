package access

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// Limits of the checks of passwords.
const (
	checks        = 2  // passwords that are checked at the same time; each takes a processor for 0.3 s
	waiting       = 64 // logins that wait for a check
	waitingOfOne  = 8  // of them, those from one address
	maxPassword   = 72 // bytes; bcrypt ignores the rest
	maxRemembered = 10_000
)

// A LoginError reports a login that is refused. Callers get [TextLogin], whatever the reason is.
type LoginError struct {
	Reason LoginReason
	User   string
	Until  time.Time // of a lock
}

// A LoginReason says why a login is refused. It is the value of a label of metrics.
type LoginReason string

// The reasons.
const (
	WrongPassword LoginReason = "wrong_password" // or no such user, or a user without a password
	LockedOut     LoginReason = "locked_out"
)

// Error returns a text for logs.
func (e *LoginError) Error() string {
	if e.Reason == LockedOut {
		until := e.Until.UTC().Format(time.RFC3339)

		return fmt.Sprintf("user %q is locked out until %s after wrong passwords", e.User, until)
	}

	return fmt.Sprintf("user %q: wrong user or password", e.User)
}

// ErrBusy reports that too many logins wait for the check of their passwords. The caller can try again.
var ErrBusy = errors.New("too many logins at the same time: try again later")

// logins is the state of the logins of an authority.
type logins struct {
	slots  chan struct{}                     // holds a value for each check that runs
	secret [32]byte                          // keys the digests of passwords
	hash   func(hash, password []byte) error // bcrypt.CompareHashAndPassword, except in tests

	mu         sync.Mutex // guards the fields below
	failures   failures
	remembered map[sum]bool     // digests of passwords that are right
	running    map[sum]*attempt // checks that run or wait, by the digest of user and password
	waiting    map[Origin]int   // logins that wait
	total      int              // the sum of waiting
}

// An attempt is the check of one password. Logins with the same user and password share it.
type attempt struct {
	done chan struct{} // closed when the fields below are set
	ok   bool
	err  error
}

func (l *logins) init() {
	l.slots, l.hash = make(chan struct{}, checks), bcrypt.CompareHashAndPassword
	_, _ = rand.Read(l.secret[:]) // never fails
	l.failures = failures{}
	l.remembered = map[sum]bool{}
	l.running = map[sum]*attempt{}
	l.waiting = map[Origin]int{}
}

// An Origin is where a login comes from. Failures at one service lock nobody out of another one. So somebody who fails
// on the page behind a proxy does not lock out the clients of gRPC behind the same proxy.
type Origin struct {
	Service string
	Address string // of the client, without its port
}

// Login checks the password of a user and returns a token for it. It waits while other passwords are checked. If the
// login is refused, the error is a *[LoginError]. It is ErrBusy if too many logins wait, and that of ctx if ctx ends
// first.
//
// After some failures, logins of the user from that origin are refused for a while, also with the right password. An
// unknown user takes as long as a known one. Login remembers passwords that were right, so that the logins of a fleet
// need one check.
func (a *Authority) Login(ctx context.Context, user, password string, from Origin, now time.Time) (string, error) {
	for {
		p := a.policy.Load()
		u := p.users[user]
		known := u != nil && u.password != "" && !u.passwordExpired(now) && len(password) <= maxPassword
		gen := ""
		if known {
			gen = u.gen
		}
		ok, err := a.logins.verify(ctx, query{user, password, from, gen}, now, func() bool {
			return a.logins.compare(p, u, known, password)
		})
		switch {
		case errors.Is(err, errAgain):
			continue
		case err != nil:
			return "", err
		case !ok || !known:
			return "", &LoginError{Reason: WrongPassword, User: user}
		}

		return a.issue(u, now)
	}
}

// errAgain reports that the login with which this one shared a check was given up.
var errAgain = errors.New("the check was given up")

// A query is a login. The generation is that of the user's password, and empty if there is no such user.
type query struct {
	user, password string
	from           Origin
	gen            string
}

// digest identifies the user, the password in the query and the one in the policy.
func (l *logins) digest(q query) (digest sum) {
	mac := hmac.New(sha256.New, l.secret[:])
	for _, part := range []string{q.user, q.gen, q.password} {
		fmt.Fprintf(mac, "%d:%s", len(part), part)
	}
	mac.Sum(digest[:0])

	return digest
}

// verify returns the result of check for the query. It counts failures.
func (l *logins) verify(ctx context.Context, q query, now time.Time, check func() bool) (bool, error) {
	digest := l.digest(q)
	l.mu.Lock()
	if until, locked := l.failures.locked(q.user, q.from, now); locked {
		l.mu.Unlock()

		return false, &LoginError{LockedOut, q.user, until}
	}
	if q.gen != "" && l.remembered[digest] {
		l.failures.succeed(q.user, q.from, now)
		l.mu.Unlock()

		return true, nil
	}
	run := l.running[digest]
	if run != nil {
		l.mu.Unlock()
		select {
		case <-run.done:
			return run.ok, run.err
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
	if l.total >= waiting || l.waiting[q.from] >= waitingOfOne {
		l.mu.Unlock()

		return false, ErrBusy
	}
	run = &attempt{done: make(chan struct{})}
	l.running[digest] = run
	l.total++
	l.waiting[q.from]++
	l.mu.Unlock()

	err := l.wait(ctx, q, now)
	if err == nil {
		run.ok = check()
		<-l.slots
	}
	l.finish(q, digest, run, now, err)

	return run.ok, err
}

// wait waits until the password may be checked.
func (l *logins) wait(ctx context.Context, q query, now time.Time) error {
	select {
	case l.slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	l.mu.Lock() // others may have failed meanwhile
	defer l.mu.Unlock()
	if until, locked := l.failures.locked(q.user, q.from, now); locked {
		<-l.slots

		return &LoginError{LockedOut, q.user, until}
	}

	return nil
}

// finish ends an attempt.
func (l *logins) finish(q query, digest sum, run *attempt, now time.Time, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.running, digest)
	l.total--
	if l.waiting[q.from]--; l.waiting[q.from] == 0 {
		delete(l.waiting, q.from)
	}
	switch {
	case err != nil && !errors.As(err, new(*LoginError)):
		run.err = errAgain
	case err != nil:
		run.err = err
	case run.ok:
		l.failures.succeed(q.user, q.from, now)
		if len(l.remembered) >= maxRemembered {
			clear(l.remembered)
		}
		l.remembered[digest] = true
	default:
		l.failures.fail(q.user, q.from, now)
	}
	close(run.done)
}

// compare reports whether the password is that of the user. It takes as long for an unknown user: the work is that of
// the policy's largest cost in any case.
func (l *logins) compare(p *Policy, u *User, known bool, password string) bool {
	hash := decoy(p.maxCost)
	if known {
		hash = u.password
	}
	err := l.hash([]byte(hash), []byte(password))
	for c := cost(hash); c < p.maxCost; c++ { // the work doubles with each step: 2ⁿ + 2ⁿ + 2ⁿ⁺¹ + ... = 2ᵐ
		_ = l.hash([]byte(decoy(c)), []byte(password))
	}

	return known && err == nil
}

// decoy returns a hash of no known password.
func decoy(cost int) string {
	return fmt.Sprintf("$2b$%02d$%s", cost, strings.Repeat("O", 53))
}

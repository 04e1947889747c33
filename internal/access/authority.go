package access

import (
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// A Reason says why a caller is not identified. It is the value of a label of metrics, so there are few.
type Reason string

// The reasons.
const (
	NothingShown         Reason = "nothing_shown"
	UnknownToken         Reason = "unknown_token"
	ExpiredToken         Reason = "expired_token"
	BadSignature         Reason = "bad_signature"         // of a token that looks like one of Login
	WrongDatabase        Reason = "wrong_database"        // the token of Login is for another database
	ExpiredLogin         Reason = "expired_login"         // the token of Login is too old
	RevokedLogin         Reason = "revoked_login"         // the user is gone, or has another password
	UnknownCertificate   Reason = "unknown_certificate"   // no name of the certificate is that of a user
	AmbiguousCertificate Reason = "ambiguous_certificate" // its names are those of several users
	ExpiredCertificate   Reason = "expired_certificate"   // by the tokens file
	UntrustedCertificate Reason = "untrusted_certificate" // its authority is not one of clients any more
	UnknownUID           Reason = "unknown_uid"
	ExpiredUID           Reason = "expired_uid"
)

// Texts for callers, which are those of YDB. They do not tell one reason from another.
const (
	TextNothingShown = "Access denied without user token"
	TextDenied       = "Could not find correct token validator"
	TextLogin        = "Invalid user or password"
)

// A DeniedError reports a caller that is not identified.
type DeniedError struct {
	Reason Reason
	Shown  Shown
}

// Error returns a text for logs. Callers get [DeniedError.Text].
func (e *DeniedError) Error() string { return fmt.Sprintf("%s: %s", e.Shown, e.Reason) }

// ReasonOf returns the reason of an error of Identify, Again or Login, for a label of metrics.
func ReasonOf(err error) string {
	if denied, ok := errors.AsType[*DeniedError](err); ok {
		return string(denied.Reason)
	}
	if login, ok := errors.AsType[*LoginError](err); ok {
		return string(login.Reason)
	}
	if errors.Is(err, ErrBusy) {
		return "busy"
	}

	return "other"
}

// Text returns the text for the caller.
func (e *DeniedError) Text() string {
	if e.Reason == NothingShown {
		return TextNothingShown
	}

	return TextDenied
}

// AuthorityConfig holds the settings of an [Authority].
type AuthorityConfig struct {
	Key      []byte        // signs the tokens that Login issues; nil: a random one
	Database string        // the tokens are for this database
	Lifetime time.Duration // of the tokens; 0: DefaultLifetime
	OwnUIDs  []uint32      // processes with one of these have all rights, unless the tokens file says who they are
}

// DefaultLifetime is how long a token that Login issued is valid.
const DefaultLifetime = 12 * time.Hour

// OwnName is the name of a user with one of the server's own uids. No tokens file can define it.
const OwnName = "root@builtin"

// An Authority identifies callers by the current policy. Its methods are safe for concurrent use.
type Authority struct {
	config AuthorityConfig
	policy atomic.Pointer[Policy]
	own    *User // a process with one of the server's own uids
	logins logins
}

// NewAuthority returns an authority with a policy.
func NewAuthority(p *Policy, config AuthorityConfig) *Authority {
	if config.Lifetime == 0 {
		config.Lifetime = DefaultLifetime
	}
	if config.Key == nil {
		config.Key = make([]byte, KeySize)
		_, _ = rand.Read(config.Key) // never fails
	}
	a := &Authority{config: config, own: &User{Name: OwnName, grants: grants{"/": Full}}}
	a.logins.init()
	a.policy.Store(p)

	return a
}

// Policy returns the current policy.
func (a *Authority) Policy() *Policy { return a.policy.Load() }

// Replace makes p the current policy. Users of the policy before keep their rights. So the caller must identify running
// streams again, with [Authority.Again].
func (a *Authority) Replace(p *Policy) { a.policy.Store(p) }

// Identify returns the user who showed s. If there is none, the error is a *[DeniedError].
func (a *Authority) Identify(s Shown, now time.Time) (*User, error) {
	if s.kind == shownLogin && s.login.reason == "" && now.Unix() >= s.login.expires {
		return nil, &DeniedError{ExpiredLogin, s}
	}

	return a.Again(s, now)
}

// Again is like Identify for a running stream, which Identify has accepted before: a token that Login issued does not
// end a stream when it expires. It does when its user is gone or has another password.
func (a *Authority) Again(s Shown, now time.Time) (*User, error) {
	user, reason := a.find(a.policy.Load(), s, now)
	if reason != "" {
		return nil, &DeniedError{reason, s}
	}

	return user, nil
}

func (a *Authority) find(p *Policy, s Shown, now time.Time) (*User, Reason) {
	switch s.kind {
	case shownToken:
		c, ok := p.tokens[s.sum]

		return c.check(ok, now, UnknownToken, ExpiredToken)
	case shownLogin:
		u := p.users[s.login.user]
		switch {
		case s.login.reason != "":
			return nil, s.login.reason
		case u == nil, subtle.ConstantTimeCompare([]byte(u.gen), []byte(s.login.gen)) == 0,
			u.passwordExpired(now):
			return nil, RevokedLogin
		}

		return u, ""
	case shownCertificate:
		return p.findCertificate(s.names, now)
	case shownUID:
		c, ok := p.peers[s.uid]
		if !ok && slices.Contains(a.config.OwnUIDs, s.uid) {
			return a.own, ""
		}

		return c.check(ok, now, UnknownUID, ExpiredUID)
	}

	return nil, NothingShown
}

// check returns the user of a credential that is known and has not expired.
func (c credential) check(known bool, now time.Time, unknown, expired Reason) (*User, Reason) {
	switch {
	case !known:
		return nil, unknown
	case c.expired(now):
		return nil, expired
	}

	return c.user, ""
}

// findCertificate returns the user whom the names of a certificate identify. They must not identify several.
func (p *Policy) findCertificate(names string, now time.Time) (*User, Reason) {
	var user *User
	reason := UnknownCertificate
	for name := range strings.SplitSeq(names, "\n") {
		c, ok := p.certs[name]
		switch {
		case !ok:
		case c.expired(now):
			reason = ExpiredCertificate
		case user != nil && user != c.user:
			return nil, AmbiguousCertificate
		default:
			user = c.user
		}
	}
	if user == nil {
		return nil, reason
	}

	return user, ""
}

// passwordExpired reports whether the user's password is not valid any more.
func (u *User) passwordExpired(now time.Time) bool { return credential{u, u.until}.expired(now) }

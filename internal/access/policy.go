package access

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Policy says which users exist, how they are identified, and what each may do. It is immutable and safe for
// concurrent use.
type Policy struct {
	file    string
	hash    string
	users   map[string]*User
	tokens  map[sum]credential
	certs   map[string]credential // by CN:name, DNS:name or URI:name
	peers   map[uint32]credential
	grants  map[string]grants // by user, group, or everybody
	limits  Limits            // of users without limits of their own
	maxCost int               // the largest cost of a password, and at least minCost
	noted   []note
}

// sum is the SHA-256 of a token.
type sum [32]byte

// A credential identifies its user until it expires.
type credential struct {
	user    *User
	expires time.Time // zero: never
}

// expired reports whether the credential is not valid at an instant.
func (c credential) expired(now time.Time) bool { return !c.expires.IsZero() && !now.Before(c.expires) }

// A note is a fact that may have no effect.
type note struct {
	line    int
	text    string    // a warning in any case
	path    string    // a grant on this path
	expires time.Time // a credential that ends then
}

// grants are the rights of somebody, by path. A grant covers its path and everything below it.
type grants map[string]Rights

// on returns the rights on a path.
func (g grants) on(path string) Rights {
	rights := g["/"]
	for i := 1; i < len(path); i++ {
		if path[i] == '/' {
			rights |= g[path[:i]]
		}
	}

	return rights | g[path]
}

// A User is who calls. It belongs to one policy: after a change of the tokens file, the same name is another User. Its
// methods are safe for concurrent use.
type User struct {
	Name   string
	Groups []string // in alphabetical order
	Limits Limits

	grants   grants // own ones, those of the groups, and those of all
	password string // bcrypt; empty: the user cannot log in
	until    time.Time
	gen      string // identifies the password
}

// Rights returns the rights on an absolute path without doubled or trailing slashes. It does not allocate.
func (u *User) Rights(path string) Rights { return u.grants.on(path) }

// Limits are what a user may use of a server at the same time, or in a second. 0 means no limit.
type Limits struct {
	Streams  int     // at the same time
	Sessions int     // at the same time
	Rate     float64 // requests a second
	Attaches float64 // new sessions a second
}

// Limits returns the limits of the user with the name. If the file does not name the user, they are those of all users.
func (p *Policy) Limits(user string) Limits {
	if u := p.users[user]; u != nil {
		return u.Limits
	}

	return p.limits
}

// DefaultLimits apply to a user for whom the tokens file sets no others.
var DefaultLimits = Limits{Streams: 2000, Rate: 1000, Attaches: 20}

// AttachBurst returns the number of sessions that may begin at the same time: those of ten seconds, because a whole
// fleet comes back after a restart.
func (l Limits) AttachBurst() int { return burst(l.Attaches, 10) }

// RateBurst returns the number of requests that may arrive at the same time: those of a second.
func (l Limits) RateBurst() int { return burst(l.Rate, 1) }

func burst(rate, seconds float64) int { return int(max(1, rate*seconds)) }

// AllUsers is the name that YDB gives to all users.
const AllUsers = "all-users@well-known"

// A Permission is what a user, a group or [AllUsers] may do on a path.
type Permission struct {
	Subject string
	Rights  Rights
}

// Permissions returns what the grants on the path and above it give, one entry for each subject, in alphabetical order.
func (p *Policy) Permissions(path string) []Permission {
	var list []Permission
	for name, g := range p.grants {
		if rights := g.on(path); rights != 0 {
			if name == everybody {
				name = AllUsers
			}
			list = append(list, Permission{name, rights})
		}
	}
	slices.SortFunc(list, func(a, b Permission) int { return strings.Compare(a.Subject, b.Subject) })

	return list
}

// Hash returns a short digest of the file that the policy was read from. Servers with the same file have the same.
func (p *Policy) Hash() string { return p.hash }

// File returns the name of the file that the policy was read from.
func (p *Policy) File() string { return p.file }

// Users returns the number of users.
func (p *Policy) Users() int { return len(p.users) }

// A Warning is about a fact of the tokens file that has no effect.
type Warning struct {
	Line int
	Text string // what is wrong and what to do
}

// Warnings returns the facts without effect for a server of the database. They do not make the file invalid. Otherwise
// the removal of a user whose grants are still there would be refused, and the user would keep its access.
func (p *Policy) Warnings(database string, now time.Time) []Warning {
	var list []Warning
	for _, n := range p.noted {
		text := n.text
		switch {
		case n.path != "" && n.path != "/" && !within(n.path, database) && !within(database, n.path):
			text = fmt.Sprintf("grant: the path %q is not in the database %q, so the grant has no effect: "+
				"write a path in the database", n.path, database)
		case credential{expires: n.expires}.expired(now):
			text = "user: what the line shows has expired: remove the line, or replace it"
		case text == "":
			continue
		}
		list = append(list, Warning{n.line, text})
	}

	return list
}

// within reports whether the path is the directory or below it.
func within(path, dir string) bool {
	rest, ok := strings.CutPrefix(path, dir)

	return ok && (rest == "" || rest[0] == '/')
}

// Granted reports whether a grant of the file names the user, a group of the user, or all users.
func (p *Policy) Granted(user string) bool {
	u := p.users[user]

	return u != nil && len(u.grants) > 0
}

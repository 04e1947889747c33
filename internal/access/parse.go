package access

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A SyntaxError is an error in a tokens file.
type SyntaxError struct {
	File string
	Line int   // from 1; 0: the whole file
	Err  error // what is wrong and what to do
}

func (e *SyntaxError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %v", e.File, e.Err)
	}

	return fmt.Sprintf("%s:%d: %v", e.File, e.Line, e.Err)
}

func (e *SyntaxError) Unwrap() error { return e.Err }

// Parse reads a tokens file. The name of the file is for messages. If one line is wrong, Parse returns a *[SyntaxError]
// and no policy. A file without users is an error, because it would lock everybody out.
//
// Each line is one fact. Lines about the same user, grants to the same name, and limits of the same name add up. A word
// that begins with # begins a comment. A file may begin with a byte order mark, and its lines may end with CR LF.
func Parse(file string, text []byte) (*Policy, error) {
	f := newFacts()
	digest := sha256.Sum256(text)
	number := 0
	for line := range strings.SplitSeq(strings.TrimPrefix(string(text), "\ufeff"), "\n") {
		number++
		words, err := splitLine(strings.TrimSuffix(line, "\r"))
		if err == nil && len(words) > 0 {
			err = f.add(number, words)
		}
		if err != nil {
			return nil, &SyntaxError{file, number, err}
		}
	}
	if line, err := f.check(); err != nil {
		return nil, &SyntaxError{file, line, err}
	}
	p := f.policy()
	p.file, p.hash = file, hex.EncodeToString(digest[:6])

	return p, nil
}

// facts are the lines of a file.
type facts struct {
	users  map[string]*userFacts
	groups map[string]bool
	grants map[string]grants
	limits map[string]*limitFacts
	owners map[string]owner // of credentials, by their text in canonical form
	noted  []note
	naming []naming
}

// userFacts are the lines about a user.
type userFacts struct {
	line        int // the first one
	groups      []string
	credentials []fact
	password    *fact
}

// A fact is a credential of a user.
type fact struct {
	text string // in canonical form, such as CN:name
	credential
}

// owner is who has a credential.
type owner struct {
	name string
	line int
}

// naming is a line that names a user or a group.
type naming struct {
	line       int
	what, name string
}

func newFacts() *facts {
	return &facts{
		users:  map[string]*userFacts{},
		groups: map[string]bool{},
		grants: map[string]grants{},
		limits: map[string]*limitFacts{},
		owners: map[string]owner{},
	}
}

func (f *facts) add(line int, words []word) error {
	kind, args := words[0].text, words[1:]
	switch kind {
	case "user":
		return f.addUser(line, args)
	case "grant":
		return f.addGrant(line, args)
	case "limit":
		return f.addLimit(line, args)
	}

	return fmt.Errorf("unknown word %q: a line begins with user, grant, limit or #", kind)
}

func (f *facts) addGrant(line int, args []word) error {
	if len(args) < 3 {
		return errors.New("grant: a word is missing: write grant NAME PATH RIGHT..., e.g. grant deploy /local/deploy use")
	}
	name, path := args[0].text, args[1].text
	if name != everybody {
		if err := CheckName(name); err != nil {
			return fmt.Errorf("grant: %w", err)
		}
	}
	if err := checkPath(path); err != nil {
		return fmt.Errorf("grant: %w", err)
	}
	var rights Rights
	for _, arg := range args[2:] {
		for word := range strings.SplitSeq(arg.text, ",") {
			r, err := parseRights(word)
			if err != nil {
				return fmt.Errorf("grant: %w", err)
			}
			rights |= r
		}
	}
	if f.grants[name] == nil {
		f.grants[name] = grants{}
	}
	f.grants[name][path] |= rights
	f.noted = append(f.noted, note{line: line, path: path})
	f.naming = append(f.naming, naming{line, "grant", name})

	return nil
}

// check returns the first error that needs all lines to be seen, and its line. It notes the lines without effect.
func (f *facts) check() (line int, err error) {
	if len(f.users) == 0 {
		return 0, errors.New("the file has no user, so nobody could call the server: " +
			"add one with tenure token new NAME --tokens FILE")
	}
	for _, name := range slices.SortedFunc(maps.Keys(f.users), func(a, b string) int {
		return f.users[a].line - f.users[b].line
	}) {
		u := f.users[name]
		if f.groups[name] {
			return u.line, fmt.Errorf("user: %q is a user and also a group: give one of them another name", name)
		}
		if len(u.credentials) == 0 && u.password == nil {
			return u.line, fmt.Errorf("user: nothing identifies %q: "+
				"add token=, password=, cert= or peer=, or remove the user", name)
		}
	}
	for _, n := range f.naming {
		if n.name != everybody && f.users[n.name] == nil && (n.what == "limit" || !f.groups[n.name]) {
			f.noted = append(f.noted, note{line: n.line, text: f.unknown(n)})
			delete(f.grants, n.name)
		}
	}
	slices.SortStableFunc(f.noted, func(a, b note) int { return a.line - b.line })

	return 0, nil
}

// unknown says that a name is not known, and which known one is like it.
func (f *facts) unknown(n naming) string {
	what := "a user or a group"
	candidates := slices.Collect(maps.Keys(f.users))
	if n.what == "limit" {
		what = "a user"
	} else {
		candidates = slices.AppendSeq(candidates, maps.Keys(f.groups))
	}
	slices.Sort(candidates)
	for _, c := range candidates {
		if alike(c, n.name) {
			return fmt.Sprintf("%s: %q is not %s of this file, so the line has no effect: write %q, if you mean that",
				n.what, n.name, what, c)
		}
	}

	return fmt.Sprintf("%s: %q is not %s of this file, so the line has no effect: remove the line", n.what, n.name, what)
}

// alike reports whether a single typing error makes one name the other, or only the case of letters differs.
func alike(a, b string) bool {
	if strings.EqualFold(a, b) {
		return true
	}
	start := 0
	for start < min(len(a), len(b)) && a[start] == b[start] {
		start++
	}
	end := 0
	for end < min(len(a), len(b))-start && a[len(a)-1-end] == b[len(b)-1-end] {
		end++
	}
	x, y := a[start:len(a)-end], b[start:len(b)-end]

	return len(x) <= 1 && len(y) <= 1 || len(x) == 2 && len(y) == 2 && x[0] == y[1] && x[1] == y[0]
}

// policy makes the policy that the facts describe. They have been checked.
func (f *facts) policy() *Policy {
	p := &Policy{
		users:  map[string]*User{},
		tokens: map[sum]credential{},
		certs:  map[string]credential{},
		peers:  map[uint32]credential{},
		grants: f.grants,
		limits: f.limits[everybody].over(DefaultLimits),
		noted:  f.noted,

		maxCost: minCost,
	}
	for name, uf := range f.users {
		slices.Sort(uf.groups)
		u := &User{Name: name, Groups: slices.Compact(uf.groups), Limits: f.limits[name].over(p.limits), grants: grants{}}
		for _, holder := range slices.Concat([]string{everybody, name}, u.Groups) {
			for path, rights := range f.grants[holder] {
				u.grants[path] |= rights
			}
		}
		if uf.password != nil {
			u.password, u.until = uf.password.text, uf.password.expires
			u.gen = generation(name, u.password)
			p.maxCost = max(p.maxCost, cost(u.password))
		}
		for _, c := range uf.credentials {
			c.user = u
			p.identify(c)
		}
		p.users[name] = u
	}

	return p
}

// generation identifies the password of a user. It is part of the tokens that Login issues.
func generation(name, password string) string {
	digest := sha256.Sum256(bytes.Join([][]byte{[]byte(name), []byte(password)}, []byte{0}))

	return hex.EncodeToString(digest[:8])
}

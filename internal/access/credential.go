package access

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// Prefixes of credentials in canonical form.
const (
	tokenPrefix = "sha256:"
	peerPrefix  = "uid:"
)

// Costs of passwords. A smaller one is guessed too fast, and a larger one keeps a processor busy for a second.
const (
	minCost = 10
	maxCost = 14
)

func (f *facts) addUser(line int, args []word) error {
	if len(args) == 0 {
		return errors.New("user: the name is missing: write e.g. user deploy token=sha256:HASH")
	}
	name := args[0].text
	if err := CheckName(name); err != nil {
		return fmt.Errorf("user: %w", err)
	}
	if len(args) == 1 {
		return fmt.Errorf("user: nothing is said about %q: add token=, password=, cert=, peer= or groups=", name)
	}
	u := f.users[name]
	if u == nil {
		u = &userFacts{line: line}
	}
	expires, err := expiry(args[1:])
	if err != nil {
		return fmt.Errorf("user: %w", err)
	}
	found := false
	for _, arg := range args[1:] {
		credential, err := f.addWord(u, arg, expires)
		if err == nil && credential != "" {
			err = f.claim(credential, owner{name, line})
		}
		if err != nil {
			return fmt.Errorf("user: %w", err)
		}
		found = found || credential != "" || arg.key == "password"
	}
	if !expires.IsZero() {
		if !found {
			return errors.New("user: expires= is about token=, password=, cert= or peer= on the same line: add one of them")
		}
		f.noted = append(f.noted, note{line: line, expires: expires})
	}
	f.users[name] = u

	return nil
}

// addWord adds what a word of a user's line says. If that is a credential that identifies a user, it returns its
// canonical form.
func (f *facts) addWord(u *userFacts, arg word, expires time.Time) (credentialText string, err error) {
	switch arg.key {
	case "token":
		credentialText, err = tokenWord(arg.value)
	case "cert":
		credentialText, err = certWord(arg.value)
	case "peer":
		credentialText, err = peerWord(arg.value)
	case "password":
		if u.password != nil {
			return "", errors.New("the user has two passwords: remove one of them")
		}
		u.password = &fact{arg.value, credential{expires: expires}}

		return "", passwordWord(arg.value)
	case "groups":
		return "", f.addGroups(u, arg.value)
	case "expires":
		return "", nil
	default:
		return "", fmt.Errorf("unknown word %q: write token=, password=, cert=, peer=, groups= or expires=", arg.text)
	}
	u.credentials = append(u.credentials, fact{credentialText, credential{expires: expires}})

	return credentialText, err
}

// claim notes who has a credential. A credential identifies one user, and a second line about it is a mistake: the
// removal of one of the lines would not revoke it.
func (f *facts) claim(credential string, by owner) error {
	before, ok := f.owners[credential]
	if !ok {
		f.owners[credential] = by

		return nil
	}
	what := "this certificate name"
	switch {
	case strings.HasPrefix(credential, tokenPrefix):
		what = "this token"
	case strings.HasPrefix(credential, peerPrefix):
		what = "this uid"
	}
	if before.name == by.name {
		return fmt.Errorf("%s is also on line %d: remove one of the two", what, before.line)
	}

	return fmt.Errorf("%s is also that of %q, on line %d: remove one of the two", what, before.name, before.line)
}

func (f *facts) addGroups(u *userFacts, list string) error {
	for name := range strings.SplitSeq(list, ",") {
		if err := CheckName(name); err != nil {
			return fmt.Errorf("groups=%s: %w", list, err)
		}
		u.groups = append(u.groups, name)
		f.groups[name] = true
	}

	return nil
}

// expiry returns the time after expires= in the words of a line.
func expiry(args []word) (time.Time, error) {
	var expires time.Time
	for _, arg := range args {
		if arg.key != "expires" {
			continue
		}
		if !expires.IsZero() {
			return expires, errors.New("the line has two expires=: write a line for each of them")
		}
		t, err := time.Parse(time.DateOnly, arg.value)
		if err != nil {
			t, err = time.Parse(time.RFC3339, arg.value)
		}
		if err != nil || t.Year() < 1970 {
			return expires, fmt.Errorf("expires=%q is not a date: write 2027-06-01, which ends at the beginning of that day "+
				"in UTC, or 2027-06-01T12:00:00Z", arg.value)
		}
		expires = t
	}

	return expires, nil
}

func tokenWord(value string) (string, error) {
	if IsToken(value) {
		return "", errors.New("the token itself is in the file, and so no secret any more: " +
			"make another one with tenure token new NAME, and write the hash that it prints")
	}
	text, ok := strings.CutPrefix(value, tokenPrefix)
	digest, err := hex.DecodeString(text)
	if !ok || err != nil || len(digest) != len(sum{}) {
		return "", fmt.Errorf("token=%.80q is not sha256: and 64 hexadecimal digits: "+
			"write what tenure token hash prints for the token", value)
	}

	return tokenPrefix + strings.ToLower(text), nil
}

func certWord(value string) (string, error) {
	kind, name, ok := strings.Cut(value, ":")
	if !ok || name == "" || kind != "CN" && kind != "DNS" && kind != "URI" {
		return "", fmt.Errorf("cert=%q is not a name of a certificate: write CN:name, DNS:name or URI:uri", value)
	}

	return value, nil
}

func peerWord(value string) (string, error) {
	text, ok := strings.CutPrefix(value, peerPrefix)
	uid, err := strconv.ParseUint(text, 10, 32)
	if !ok || err != nil {
		return "", fmt.Errorf("peer=%q is not uid: and a number: write e.g. peer=uid:1000", value)
	}

	return peerPrefix + strconv.FormatUint(uid, 10), nil
}

// passwordWord refuses what is not the bcrypt hash of a password with a sensible cost.
func passwordWord(value string) error {
	const howTo = "write what tenure token hash --password prints"
	switch {
	case !strings.HasPrefix(value, "$2a$") && !strings.HasPrefix(value, "$2b$") && !strings.HasPrefix(value, "$2y$"),
		len(value) != 60, !isBcrypt(value[7:]):
		return errors.New("password= is not a bcrypt hash, which has 60 characters and begins with $2b$: " + howTo)
	case cost(value) < minCost, cost(value) > maxCost:
		return fmt.Errorf("password=: the cost %d is not between %d and %d: %s", cost(value), minCost, maxCost, howTo)
	}

	return nil
}

// isBcrypt reports whether the text has only characters that bcrypt uses for salts and hashes.
func isBcrypt(text string) bool {
	const alphabet = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

	return strings.Trim(text, alphabet) == ""
}

// cost returns the cost of a bcrypt hash, or 0 if it has none.
func cost(hash string) int {
	n, err := bcrypt.Cost([]byte(hash))
	if err != nil {
		return 0
	}

	return n
}

// identify makes the credential identify its user.
func (p *Policy) identify(c fact) {
	kind, rest, _ := strings.Cut(c.text, ":")
	switch kind {
	case "sha256":
		var key sum
		_, _ = hex.Decode(key[:], []byte(rest)) // it has been checked
		p.tokens[key] = c.credential
	case "uid":
		uid, _ := strconv.ParseUint(rest, 10, 32) // it has been checked
		p.peers[uint32(uid)] = c.credential
	default:
		p.certs[c.text] = c.credential
	}
}

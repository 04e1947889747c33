package access

import (
	"crypto/sha256"
	"crypto/x509"
	"strconv"
	"strings"
	"unicode"
)

// Shown is what a caller showed to be identified. It is comparable and small, and it does not contain the secret: a
// token cannot be reconstructed from it. The zero value means that the caller showed nothing.
type Shown struct {
	kind  kind
	sum   sum    // of a token
	uid   uint32 // of a process on this machine
	names string // of a certificate: one CN:name, DNS:name or URI:name in each line
	login login  // of a token that Login issued
}

type kind uint8

const (
	nothing kind = iota
	shownToken
	shownLogin
	shownCertificate
	shownUID
)

// login are the claims of a token that Login issued.
type login struct {
	user, gen string
	expires   int64  // in seconds since 1970
	reason    Reason // why the token is not valid; empty: its signature is valid
}

// None reports whether the caller showed nothing.
func (s Shown) None() bool { return s.kind == nothing }

// String returns a text for logs: the first digits of the hash of a token, the names in a certificate, or the uid.
func (s Shown) String() string {
	switch s.kind {
	case shownToken:
		return "token " + shorten(s.sum)
	case shownLogin:
		return "login " + strconv.Quote(s.login.user) + " " + shorten(s.sum)
	case shownCertificate:
		names := s.names[:min(len(s.names), 200)]

		return "certificate " + strings.ToValidUTF8(strings.ReplaceAll(names, "\n", " "), "")
	case shownUID:
		return peerPrefix + strconv.FormatUint(uint64(s.uid), 10)
	}

	return "nothing"
}

const hexDigits = "0123456789abcdef"

// shorten returns the first 8 digits of a hash.
func shorten(s sum) string {
	text := make([]byte, 0, 8)
	for _, b := range s[:4] {
		text = append(text, hexDigits[b>>4], hexDigits[b&15])
	}

	return string(text)
}

// schemes may precede a token: other SDKs send them.
var schemes = []string{"Bearer ", "Login "}

// Bare returns the token without blanks around it and without one scheme before it.
func Bare(text string) string {
	text = strings.TrimSpace(text)
	for _, scheme := range schemes {
		if len(text) > len(scheme) && strings.EqualFold(text[:len(scheme)], scheme) {
			return strings.TrimSpace(text[len(scheme):])
		}
	}

	return text
}

// ShowToken returns what a caller shows with the ticket of a request. An empty ticket shows nothing. If the ticket is a
// token that Login issued, ShowToken checks its signature.
func (a *Authority) ShowToken(ticket string) Shown {
	token := Bare(ticket)
	if token == "" {
		return Shown{}
	}
	s := Shown{kind: shownToken, sum: sha256.Sum256([]byte(token))}
	if claims, ok := a.claims(token); ok {
		s.kind, s.login = shownLogin, claims
	}

	return s
}

// ShowCertificate returns what a caller shows with a client certificate that TLS has verified: its common name, DNS
// names and URIs. nil shows nothing.
func ShowCertificate(c *x509.Certificate) Shown {
	if c == nil {
		return Shown{}
	}
	var names []string
	add := func(kind, name string) {
		// A name with such a character cannot be in a tokens file, and would look like several names.
		if name != "" && !strings.ContainsFunc(name, unicode.IsControl) {
			names = append(names, kind+name)
		}
	}
	add("CN:", c.Subject.CommonName)
	for _, name := range c.DNSNames {
		add("DNS:", name)
	}
	for _, uri := range c.URIs {
		add("URI:", uri.String())
	}

	return Shown{kind: shownCertificate, names: strings.Join(names, "\n")}
}

// ShowUID returns what a process on this machine shows, of which the kernel tells the user.
func ShowUID(uid uint32) Shown { return Shown{kind: shownUID, uid: uid} }

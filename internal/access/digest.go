package access

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"
)

// Digest returns a short text that is the same for two policies with the same users, credentials, grants and limits,
// whatever the order of the lines and the comments are. Without the key, which must be secret, the digest does not help
// to guess a token or a password.
func (p *Policy) Digest(key []byte) string {
	mac := hmac.New(sha256.New, key)
	write := func(format string, values ...any) { fmt.Fprintf(mac, format, values...) } // never fails
	for _, name := range slices.Sorted(maps.Keys(p.users)) {
		u := p.users[name]
		write("user %q %q %v %q %s\n", name, u.Groups, u.Limits, u.password, stamp(u.until))
	}
	byHash := func(a, b sum) int { return slices.Compare(a[:], b[:]) }
	for _, token := range slices.SortedFunc(maps.Keys(p.tokens), byHash) {
		c := p.tokens[token]
		write("token %x %q %s\n", token, c.user.Name, stamp(c.expires))
	}
	for _, cert := range slices.Sorted(maps.Keys(p.certs)) {
		c := p.certs[cert]
		write("cert %q %q %s\n", cert, c.user.Name, stamp(c.expires))
	}
	for _, uid := range slices.Sorted(maps.Keys(p.peers)) {
		c := p.peers[uid]
		write("peer %d %q %s\n", uid, c.user.Name, stamp(c.expires))
	}
	for _, name := range slices.Sorted(maps.Keys(p.grants)) {
		writeGrants(mac, name, p.grants[name])
	}
	write("limits %v\n", p.limits)

	return hex.EncodeToString(mac.Sum(nil)[:8])
}

func writeGrants(w io.Writer, name string, g grants) {
	for _, path := range slices.Sorted(maps.Keys(g)) {
		fmt.Fprintf(w, "grant %q %q %d\n", name, path, g[path])
	}
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

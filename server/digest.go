package server

import (
	"sync"

	"tenure/internal/access"
)

// noUsers is the digest of a server without users. Every caller has all rights there.
const noUsers = "none"

// digester computes the digest of the users and rights, once for each policy. Its methods are safe for concurrent use.
type digester struct {
	key []byte // that all servers of the cluster have

	mu     sync.Mutex // guards the rest
	policy *access.Policy
	digest string
}

func (d *digester) of(p *access.Policy) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.policy != p {
		d.policy, d.digest = p, p.Digest(d.key)
	}

	return d.digest
}

// rightsDigest returns a text that is the same for all servers of a cluster with the same users and rights.
func (s *Server) rightsDigest() string {
	if s.access == nil {
		return noUsers
	}

	return s.front.rights.of(s.access.Policy())
}

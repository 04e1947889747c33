package certs

import (
	"crypto/tls"
	"crypto/x509"
	"sync"
	"time"
)

// maxJudged is the number of certificates whose verdict is remembered.
const maxJudged = 10_000

// clients are the authorities of clients that are in use.
type clients struct {
	pool  *x509.CertPool
	first bool // no others were in use before, so TLS has checked each certificate against these

	mu     sync.Mutex                 // guards judged
	judged map[*x509.Certificate]bool // whether an authority has signed the certificate
}

// trust replaces the authorities of clients, unless they are the same as before. It is called with reading held.
func (s *Server) trust(pool *x509.CertPool) {
	last := s.clients.Load()
	if last == nil || !last.pool.Equal(pool) {
		s.clients.Store(&clients{pool: pool, first: last == nil, judged: make(map[*x509.Certificate]bool)})
	}
}

// Trusts reports whether an authority that is in use now has signed the certificate that a client showed when its
// connection began: TLS does not check it again when the file of the authorities changes. Trusts returns true if the
// client showed none. A certificate that has expired meanwhile is no reason for false, because connections outlive
// certificates that are renewed.
func (s *Server) Trusts(state tls.ConnectionState) bool {
	c := s.clients.Load()
	if c == nil || c.first || len(state.VerifiedChains) == 0 {
		return true
	}
	leaf := state.PeerCertificates[0]
	c.mu.Lock()
	defer c.mu.Unlock()
	trusted, known := c.judged[leaf]
	if !known {
		trusted = c.judge(state, s.now())
		if len(c.judged) >= maxJudged {
			clear(c.judged)
		}
		c.judged[leaf] = trusted
	}

	return trusted
}

// judge checks the certificate as TLS does, at a date at which all certificates of a chain that TLS has accepted are
// valid.
func (c *clients) judge(state tls.ConnectionState, date time.Time) bool {
	leaf := state.PeerCertificates[0]
	between := x509.NewCertPool()
	for _, cert := range state.PeerCertificates[1:] {
		between.AddCert(cert)
	}
	for _, cert := range state.VerifiedChains[0] {
		between.AddCert(cert)
		if cert.NotAfter.Before(date) {
			date = cert.NotAfter
		}
	}
	_, err := leaf.Verify(x509.VerifyOptions{
		Roots: c.pool, Intermediates: between, CurrentTime: date, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})

	return err == nil
}

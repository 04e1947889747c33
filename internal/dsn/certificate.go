package dsn

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"strings"
)

// untrusted returns the error for a certificate of the server that this client does not accept.
func (a *Address) untrusted(err *tls.CertificateVerificationError) error {
	host, _, _ := net.SplitHostPort(a.Host)
	if name, ok := errors.AsType[x509.HostnameError](err.Err); ok {
		return errorf(err, "the certificate of the server at %s is for %s, and not for %s: write one of its names in %s, "+
			"or give the server a certificate for this name", a.Host, Names(name.Certificate), host, a.setting)
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err.Err); ok && invalid.Reason == x509.Expired {
		const form = "2006-01-02 15:04 MST"

		return errorf(err, "the certificate of the server at %s is valid only from %s to %s: ask for a new one, or check "+
			"the clock of this machine", a.Host, invalid.Cert.NotBefore.UTC().Format(form),
			invalid.Cert.NotAfter.UTC().Format(form))
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err.Err); ok {
		return errorf(err, "the certificate of the server at %s is not signed by an authority that this machine trusts: set "+
			"%s to the certificate of its authority", a.Host, a.hints.CA)
	}

	return errorf(err, "the certificate of the server at %s is not trusted (%v): check the host name in %s, or set %s to "+
		"the certificate of its authority", a.Host, err.Err, a.setting, a.hints.CA)
}

// Certificates returns the certificates that the server shows, whether or not they are trusted.
func (a *Address) Certificates(ctx context.Context) (chain []*x509.Certificate, err error) {
	conn, err := a.Dial(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	host, _, _ := net.SplitHostPort(a.Host)
	secure := tls.Client(conn, &tls.Config{
		ServerName: host, NextProtos: []string{"h2"},
		InsecureSkipVerify: true, //nolint:gosec // nothing is sent or believed
		VerifyPeerCertificate: func(raw [][]byte, _ [][]*x509.Certificate) error {
			for _, der := range raw {
				cert, err := x509.ParseCertificate(der)
				if err != nil {
					return err
				}
				chain = append(chain, cert)
			}

			return nil
		},
	})
	err = secure.HandshakeContext(ctx)
	if len(chain) > 0 {
		err = nil // the server wants a certificate of the client
	}

	return chain, err
}

// Names lists the names of a certificate.
func Names(cert *x509.Certificate) string {
	const most = 5
	all := append([]string(nil), cert.DNSNames...)
	for _, ip := range cert.IPAddresses {
		all = append(all, ip.String())
	}
	switch {
	case len(all) == 0:
		return "no name"
	case len(all) > most:
		all = append(all[:most], "...")
	}

	return strings.Join(all, ", ")
}

// refused returns the error for a server that has refused the certificate of this client, or that there is none; nil if
// err is another one.
func (a *Address) refused(err error) error {
	switch text := strings.TrimPrefix(alert(err), "tls: "); text {
	case "certificate required":
		return errorf(err, "the server at %s requires a client certificate: set %s", a.Host, a.hints.Cert)
	case "bad certificate", "unknown certificate authority", "expired certificate", "revoked certificate",
		"unsupported certificate", "unknown certificate":
		return errorf(err, "the server at %s refuses the client certificate (%s): check %s", a.Host, text, a.hints.Cert)
	}

	return nil
}

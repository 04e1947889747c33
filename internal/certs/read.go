package certs

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"slices"
	"strings"
	"time"
)

// ReadClient reads the certificate of a client with its key, and checks that it is valid at the given date.
func ReadClient(certFile, keyFile File, now time.Time) (tls.Certificate, error) {
	return readPair(certFile, keyFile, func(cert *x509.Certificate) error { return certFile.checkClient(cert, now) })
}

// readServer reads the certificate of a server with its key, and checks that clients accept it at the given date.
func readServer(certFile, keyFile File, now time.Time) (tls.Certificate, error) {
	return readPair(certFile, keyFile, func(cert *x509.Certificate) error { return certFile.checkServer(cert, now) })
}

// readPair reads a certificate with its key, and checks them.
func readPair(certFile, keyFile File, check func(*x509.Certificate) error) (tls.Certificate, error) {
	certText, certErr := certFile.read()
	keyText, keyErr := keyFile.readSecret()
	if certErr != nil || keyErr != nil {
		return tls.Certificate{}, errors.Join(certErr, keyErr)
	}
	chain, certErr := certFile.certificates(certText)
	keyErr = keyFile.checkKey(keyText)
	if certErr != nil || keyErr != nil {
		return tls.Certificate{}, errors.Join(certErr, keyErr)
	}
	if err := check(chain[0]); err != nil {
		return tls.Certificate{}, err
	}
	pair, err := tls.X509KeyPair(certText, keyText)
	switch {
	case err != nil && strings.Contains(err.Error(), "does not match"):
		return pair, keyFile.errorf("is not the key of the certificate in %s=%q: name a key and a certificate that "+
			"belong together; the certificate of the key must be the first in its file", certFile.Setting, certFile.Path)
	case err != nil:
		return pair, keyFile.errorf("cannot be used (%s): name a private key in PEM form", reason(err))
	}

	return pair, nil
}

// certificates returns the certificates in a text in PEM form, at least one.
func (f File) certificates(text []byte) ([]*x509.Certificate, error) {
	var all []*x509.Certificate
	other := ""
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			other = block.Type

			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, f.errorf("has a damaged certificate (%s): get a new copy of the file", reason(err))
		}
		all = append(all, cert)
	}
	switch {
	case len(all) > 0:
		return all, nil
	case len(bytes.TrimSpace(text)) == 0:
		return nil, f.errorf("is empty: name a file with a certificate in PEM form")
	case other != "":
		return nil, f.errorf("has no certificate, but a block %q: name the file with the certificate", other)
	}

	return nil, f.errorf("has no certificate in PEM form: convert it, for example with openssl x509 -inform der")
}

// checkKey checks that a text in PEM form has a private key that needs no password.
func (f File) checkKey(text []byte) error {
	other := ""
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		switch {
		case block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "":
			return f.errorf("is encrypted: remove the password, for example with openssl pkey")
		case strings.HasSuffix(block.Type, "PRIVATE KEY"):
			return nil
		}
		other = block.Type
	}
	switch {
	case len(bytes.TrimSpace(text)) == 0:
		return f.errorf("is empty: name a file with a private key in PEM form")
	case other != "":
		return f.errorf("has no private key, but a block %q: name the file with the key", other)
	}

	return f.errorf("has no private key in PEM form: convert it, for example with openssl pkey -inform der")
}

const dateForm = "2006-01-02 15:04 MST"

// checkServer checks that clients accept the certificate from a server.
func (f File) checkServer(cert *x509.Certificate, now time.Time) error {
	if err := f.checkDate(cert, now); err != nil {
		return err
	}
	switch {
	case !usable(cert, x509.ExtKeyUsageServerAuth):
		return f.errorf("is not a certificate for servers: get one with the extended key usage serverAuth")
	case len(cert.DNSNames)+len(cert.IPAddresses) == 0:
		return f.errorf("names no host, so clients refuse it: get one with the server's name as subject alternative name")
	}

	return nil
}

// checkClient checks that servers accept the certificate from a client.
func (f File) checkClient(cert *x509.Certificate, now time.Time) error {
	if err := f.checkDate(cert, now); err != nil {
		return err
	}
	if !usable(cert, x509.ExtKeyUsageClientAuth) {
		return f.errorf("is not a certificate for clients: get one with the extended key usage clientAuth")
	}

	return nil
}

// usable reports whether the certificate allows the usage.
func usable(cert *x509.Certificate, usage x509.ExtKeyUsage) bool {
	return len(cert.ExtKeyUsage) == 0 || slices.Contains(cert.ExtKeyUsage, usage) ||
		slices.Contains(cert.ExtKeyUsage, x509.ExtKeyUsageAny)
}

func (f File) checkDate(cert *x509.Certificate, now time.Time) error {
	switch {
	case now.After(cert.NotAfter):
		return f.errorf("expired on %s: get a new certificate", cert.NotAfter.UTC().Format(dateForm))
	case now.Before(cert.NotBefore):
		return f.errorf("is not valid before %s: wait, or check the clock of this machine",
			cert.NotBefore.UTC().Format(dateForm))
	}

	return nil
}

// ReadAuthorities reads the certificates of authorities. At least one of them must be valid at the given date.
func ReadAuthorities(f File, now time.Time) (*x509.CertPool, error) {
	text, err := f.read()
	if err != nil {
		return nil, err
	}
	all, err := f.certificates(text)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	var invalid error
	valid := false
	for _, cert := range all {
		pool.AddCert(cert)
		err := f.checkDate(cert, now)
		valid = valid || err == nil
		if invalid == nil {
			invalid = err
		}
	}
	if !valid {
		return nil, invalid
	}

	return pool, nil
}

// reason returns the text of an error of the standard library without the names of its packages.
func reason(err error) string {
	text := err.Error()
	for _, prefix := range []string{"tls: ", "x509: "} {
		text = strings.TrimPrefix(text, prefix)
	}

	return text
}

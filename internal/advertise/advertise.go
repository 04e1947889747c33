// Package advertise parses the address by which clients reach a server, as its operator writes it.
package advertise

import (
	"errors"
	"net"
	"net/url"
	"strconv"
)

// An Endpoint is the address of a server or of a proxy in front of it.
type Endpoint struct {
	Host string // without brackets
	Port uint16
	TLS  bool
}

// Parse parses an address of the form grpc://host:port or grpcs://host:port. The error follows the name and the value
// of the setting in a sentence.
func Parse(text string) (Endpoint, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "grpc" && u.Scheme != "grpcs" || u.Hostname() == "" {
		return Endpoint{}, errors.New("is not an address: write grpc://host:port or grpcs://host:port")
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	switch {
	case err != nil || port == 0:
		return Endpoint{}, errors.New("has no valid port: write grpc://host:port or grpcs://host:port")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Path != "" && u.Path != "/":
		return Endpoint{}, errors.New("has more than a host and a port: write grpc://host:port or grpcs://host:port")
	}
	if ip := net.ParseIP(u.Hostname()); ip != nil && ip.IsUnspecified() {
		return Endpoint{}, errors.New("is not an address that clients can connect to: write the name of a host")
	}

	return Endpoint{Host: u.Hostname(), Port: uint16(port), TLS: u.Scheme == "grpcs"}, nil
}

// String returns the address in the form that Parse takes.
func (e Endpoint) String() string {
	scheme := "grpc"
	if e.TLS {
		scheme = "grpcs"
	}

	return scheme + "://" + net.JoinHostPort(e.Host, strconv.Itoa(int(e.Port)))
}

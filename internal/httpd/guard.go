package httpd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"tenure/internal/access"
	"tenure/internal/printable"
	"tenure/internal/serverconfig"
)

// Reasons for which the guard refuses requests, as metrics and logs name them.
const (
	reasonHost = "host_name"
	reasonPage = "other_page"
)

// guard limits requests, and refuses those that a web page of somebody else has made a browser send. An address without
// users is open to every page that a browser shows which can reach it. Such a page can name the address by a host name
// of its own (DNS rebinding), so the name must be one of this server's. Requests that change something must come from
// no page, or from one of this server.
func (s *Server) guard(next http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()

	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, bodyBytes)
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Content-Security-Policy", "default-src 'self'; frame-ancestors 'none'")
		if text := s.wrongName(r.Host); text != "" {
			s.c.Admin.Foreign(reasonHost, r.Host, address(r))
			http.Error(w, text, http.StatusMisdirectedRequest)

			return
		}
		if !s.trusted(r) {
			h.Set("Connection", "close")
			http.Error(w, errDistrusted.Error(), http.StatusForbidden)

			return
		}
		if fromElsewhere(r) {
			s.foreign(r)
			http.Error(w, otherPage, http.StatusForbidden)

			return
		}
		if err := protection.Check(r); err != nil {
			s.foreign(r)
			http.Error(w, err.Error(), http.StatusForbidden)

			return
		}
		next.ServeHTTP(w, r)
	})
}

const otherPage = "this request comes from another web page"

// foreign reports that a request comes from a page of another site.
func (s *Server) foreign(r *http.Request) {
	origin := r.Header.Get("Origin")
	if origin == "" {
		origin = r.Header.Get("Sec-Fetch-Site")
	}
	s.c.Admin.Foreign(reasonPage, origin, address(r))
}

// fromElsewhere reports whether a page of another site has made a browser send a request for what is not a page. No
// page gets a backup.
func fromElsewhere(r *http.Request) bool {
	site := r.Header.Get("Sec-Fetch-Site")
	switch {
	case site == "", r.URL.Path != "/metrics" && !strings.HasPrefix(r.URL.Path, "/api/"):
		return false
	case strings.HasPrefix(r.URL.Path, "/api/v1/backup"):
		return true
	}

	return site != "none" && site != "same-origin"
}

// wrongName returns why the Host of a request is not accepted, or nothing. TLS makes sure of the name by itself, and a
// page of another site does not know the tokens of users. A request without a Host comes from no browser.
func (s *Server) wrongName(hostport string) string {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = strings.Trim(hostport, "[]")
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	ip, err := netip.ParseAddr(host)
	switch {
	case host == "", host == "localhost", err == nil && ip.Unmap().IsLoopback():
		return ""
	case s.c.Local:
		return "this address is for localhost: use http://localhost in the URL"
	case s.c.TLS != nil, s.c.Users, err == nil, slices.Contains(s.c.Names, host):
		return ""
	}

	return fmt.Sprintf("%q is not a name of this server: use its IP address or the name of its machine, or start it with "+
		"--advertise grpc://NAME:PORT", printable.Short(host))
}

// trusted reports whether the certificate of the client is still good. With users, certificates identify nobody here.
func (s *Server) trusted(r *http.Request) bool {
	return r.TLS == nil || s.c.Users || s.c.Trusts == nil || s.c.Trusts(*r.TLS)
}

type requesterKey struct{}

// requester returns who makes a request that need has let pass.
func requester(r *http.Request) serverconfig.Requester {
	by, ok := r.Context().Value(requesterKey{}).(serverconfig.Requester)
	if !ok {
		by.Address = address(r)
	}

	return by
}

// address returns the address of the client.
func address(r *http.Request) net.Addr {
	a, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return nil
	}

	return net.TCPAddrFromAddrPort(a)
}

// bearer returns the token of a request, or nothing.
func bearer(r *http.Request) string {
	kind, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(kind, "Bearer") {
		return ""
	}

	return strings.TrimSpace(token)
}

// need lets callers pass that have the rights on the database. On a loopback address, what is open needs no rights.
func (s *Server) need(rights access.Rights, open bool, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if open && s.c.Local {
			next.ServeHTTP(w, r)

			return
		}
		by := serverconfig.Requester{Address: address(r)}
		var err error
		by.User, err = s.c.Admin.Allow(bearer(r), rights, by.Address)
		if denied, ok := errors.AsType[*access.DeniedError](err); ok {
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, denied.Text(), http.StatusUnauthorized)

			return
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)

			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), requesterKey{}, by)))
	})
}

// Package admin is a client of the admin address of "tenure serve", which answers what the protocol has no request for.
package admin

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	"tenure/server"
)

// ErrNoSession reports that the node or the session does not exist.
var ErrNoSession = errors.New("there is no such session")

// maxText is how much of an error of the server is read, in bytes.
const maxText = 1 << 10

// Client asks one admin address. Its methods are safe for concurrent use.
type Client struct {
	base  *url.URL
	token string
	http  *http.Client
}

// ErrClearText reports that the token would be sent to another machine without encryption.
var ErrClearText = errors.New("would send the access token to another machine in clear text: write https:// if the " +
	"server has a certificate, or forward its port to this machine, for example with ssh -L, and write http://localhost")

// New returns a client of the address, such as http://localhost:2137. The token may be empty. Roots are the certificate
// authorities to trust; nil means those of the system. The error is ErrClearText if there is a token for a plain
// http:// address that is not a loopback one.
func New(address, token string, roots *x509.CertPool) (*Client, error) {
	base, err := url.Parse(address)
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" ||
		strings.Trim(base.Path, "/") != "" || base.RawQuery != "" || base.User != nil {
		return nil, errors.New("is not an address: write e.g. http://localhost:2137")
	}
	if token != "" && base.Scheme == "http" && !loopback(base.Hostname()) {
		return nil, ErrClearText
	}
	base.Path = ""
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true,
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
	}

	return &Client{base: base, token: token, http: &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // keeps the token here
	}}, nil
}

// loopback reports whether the host is this machine, whatever its name server says.
func loopback(host string) bool {
	ip := net.ParseIP(host)

	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// Status returns the status of the server.
func (c *Client) Status(ctx context.Context) (status server.Status, err error) {
	resp, err := c.do(ctx, http.MethodGet, "/api/v1/status", nil)
	if err != nil {
		return status, err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&status); err != nil {
		return status, fmt.Errorf("ask %s: the answer is not a status: %w", c.base, err)
	}

	return status, nil
}

// Ready returns no error if clients should use the server now. The note says what is still unusual, and is empty if
// nothing is. Otherwise the error has the reason that the server gives, or says why the server does not answer.
func (c *Client) Ready(ctx context.Context) (note string, err error) {
	resp, err := c.do(ctx, http.MethodGet, "/readyz", nil)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxText))
	if err != nil {
		return "", fmt.Errorf("ask %s: %w", c.base, err)
	}
	_, note, _ = strings.Cut(strings.TrimSpace(string(text)), "ok: ")

	return note, nil
}

// Live returns no error if the server is alive, whether or not clients should use it now. Otherwise the error has the
// reason that the server gives, or says why the server does not answer.
func (c *Client) Live(ctx context.Context) error {
	resp, err := c.do(ctx, http.MethodGet, "/healthz", nil)
	if err != nil {
		return err
	}

	return resp.Body.Close()
}

// maxMetrics is how much of the metrics is read, in bytes. The one with the version is among the first.
const maxMetrics = 16 << 20

// Version returns the version of the server, or "" if it does not tell.
func (c *Client) Version(ctx context.Context) (string, error) {
	resp, err := c.do(ctx, http.MethodGet, "/metrics", nil)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(io.LimitReader(resp.Body, maxMetrics))
	for lines.Scan() {
		if !strings.HasPrefix(lines.Text(), "tenure_build_info{") {
			continue
		}
		if _, rest, ok := strings.Cut(lines.Text(), `,version="`); ok {
			version, _, _ := strings.Cut(rest, `"`)

			return version, nil
		}
	}

	return "", lines.Err()
}

// EndSession ends a session, if it holds the token or the token is 0. Its holder may still be running: only its leases
// end. The error is or wraps ErrNoSession if there is no such session.
func (c *Client) EndSession(ctx context.Context, node string, session, token uint64) error {
	end := map[string]any{"node": node, "session": session}
	if token != 0 {
		end["token"] = token
	}
	body, err := json.Marshal(end)
	if err != nil {
		return err
	}
	resp, err := c.do(ctx, http.MethodPost, "/api/v1/sessions/end", body)
	if err != nil {
		return err
	}

	return resp.Body.Close()
}

// do makes a request and returns the answer if it is a success.
func (c *Client) do(ctx context.Context, method, path string, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base.JoinPath(path).String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if failed, ok := errors.AsType[*url.Error](err); ok {
			err = failed.Err
		}

		return nil, fmt.Errorf("ask %s: %w: check that \"tenure serve --http\" listens there", c.base, err)
	}
	if resp.StatusCode >= http.StatusOK && resp.StatusCode < http.StatusMultipleChoices {
		return resp, nil
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, maxText)) // what was read of it is enough
	said := strings.TrimSpace(string(text))
	switch {
	case resp.StatusCode == http.StatusNotFound && method == http.MethodPost:
		return nil, ErrNoSession
	case resp.StatusCode == http.StatusForbidden && c.token == "": // not because of the caller, or not of its token
		return nil, fmt.Errorf("%s refuses: %s", c.base, said)
	case resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden:
		return nil, fmt.Errorf("%s refuses: %s: check the access token and its rights", c.base, said)
	}

	return nil, fmt.Errorf("ask %s: %s: %s", c.base, resp.Status, said)
}

// ErrBrokenOff is wrapped by the error of a backup that the server has begun and not finished.
var ErrBrokenOff = errors.New("it broke off")

// Backup copies a backup of the server to w. The caller must check that it is complete.
func (c *Client) Backup(ctx context.Context, w io.Writer) error {
	resp, err := c.do(ctx, http.MethodGet, "/api/v1/backup", nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if kind := resp.Header.Get("Content-Type"); kind != "application/octet-stream" {
		return fmt.Errorf("ask %s: the answer is not a backup (its type is %q): check that \"tenure serve --http\" listens "+
			"there", c.base, kind)
	}
	if _, err := io.Copy(w, resp.Body); err != nil {
		return fmt.Errorf("copy the backup from %s: %w (%w): look at the log of the server, and try again", c.base,
			ErrBrokenOff, err)
	}

	return nil
}

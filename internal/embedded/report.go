package embedded

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"tenure/internal/clock"
	"tenure/internal/paced"
	"tenure/internal/store/logstore"
	"tenure/internal/version"
	"tenure/server"
)

// reportLimit bounds the wait for a report, because the process that hosts the server may be suspended.
const reportLimit = 5 * time.Second

// A Report describes the embedded server of a state directory: the process that hosts it, and its nodes with sessions,
// semaphores, owners and waiters. Its JSON form is stable: later versions may add fields, but do not change their
// meaning.
type Report struct {
	Directory string `json:"directory"`
	Host      *Host  `json:"host"` // nil: no process uses the directory
	server.Status
}

// A Host is the process that hosts a server.
type Host struct {
	PID     int       `json:"pid"`  // in its own container, which may be another one
	Name    string    `json:"host"` // name of the machine or the container
	Command string    `json:"command"`
	Version string    `json:"version"`
	Since   time.Time `json:"since"`
}

// ReadReport returns the report on the state directory c.Dir. If no process hosts its server, ReadReport hosts it for a
// moment. It does not create the directory: a missing one is not in use.
func ReadReport(ctx context.Context, c Config) (Report, error) {
	if path, err := filepath.Abs(c.Dir); err == nil {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return Report{Directory: path, Status: server.Status{Nodes: []server.NodeStatus{}}}, nil
		}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, reportLimit, fmt.Errorf("no answer within %v", reportLimit))
	defer cancel()
	l, err := Open(ctx, c)
	if err != nil {
		return Report{}, err
	}
	r, err := l.report(ctx)

	return r, errors.Join(err, l.Close(ctx))
}

// report asks the host, which may be this process.
func (l *Local) report(ctx context.Context) (Report, error) {
	if here := l.here(); here != nil {
		r, err := here.report(ctx)
		r.Host = nil // this process hosts the server only to read the report

		return r, err
	}

	resp, err := l.ask(ctx, http.MethodGet, "/", nil)
	if err != nil {
		return Report{}, err
	}
	defer resp.Body.Close()
	var r Report
	if err := json.NewDecoder(resp.Body).Decode(&r); err != nil {
		return Report{}, fmt.Errorf("ask the host in %q: %s: %w", l.dir.path, resp.Status, err)
	}

	return r, nil
}

// here returns the host if it is this process, or nil.
func (l *Local) here() *host {
	l.mu.Lock()
	defer l.mu.Unlock()

	return l.host
}

// refusal returns the error for an answer of the host that is not a success.
func (l *Local) refusal(resp *http.Response) error {
	text, _ := io.ReadAll(io.LimitReader(resp.Body, maxEnd)) // what was read of it is enough

	return fmt.Errorf("ask the host in %q: %s: %s", l.dir.path, resp.Status, strings.TrimSpace(string(text)))
}

// ask asks the host, which is another process.
func (l *Local) ask(ctx context.Context, method, path string, body []byte) (*http.Response, error) {
	address, err := l.dir.address(statusName)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			conn, err := (&net.Dialer{}).DialContext(ctx, "unix", address)
			if err != nil {
				return nil, err
			}
			if uid, ok := l.dir.stranger(conn); ok {
				return nil, errors.Join(strangerError(uid), conn.Close())
			}

			return conn, nil
		},
		DisableKeepAlives: true,
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://host"+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask the host in %q: %w", l.dir.path, err)
	}

	return resp, nil
}

func (h *host) report(ctx context.Context) (Report, error) {
	status, err := h.server.Status(ctx)
	owner, _ := logstore.Owner(h.dir.path)

	return Report{
		Directory: h.dir.path, Status: status,
		Host: &Host{owner.PID, owner.Host, owner.Command, version.String(), owner.Since},
	}, err
}

// ServeHTTP answers with the report, except requests to end a session. The permissions of the socket restrict who can
// ask.
func (h *host) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost && r.URL.Path == endPath {
		h.serveEnd(w, r)

		return
	}
	if r.Method == http.MethodGet && r.URL.Path == backupPath {
		h.serveBackup(w, r)

		return
	}
	report, err := h.report(r.Context())
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)

		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(paced.New(w, clock.Go())).Encode(report) // an error concerns only the client, which is gone
}

package embedded

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"tenure/internal/store/pebblestore"
	"tenure/internal/version"
	"tenure/server"
)

// reportLimit bounds the wait for a report: who hosts may be stopped.
const reportLimit = 5 * time.Second

// Report says who hosts the server in a state directory, and what is held there. Its form as JSON is stable: fields may
// be added, none changes its meaning.
type Report struct {
	Directory string `json:"directory"`
	Host      *Host  `json:"host"` // null: no process uses the directory
	server.Status
}

// Host is the process that hosts a server.
type Host struct {
	PID     int       `json:"pid"`  // where it runs, which may be another container
	Name    string    `json:"host"` // of the machine, or the container
	Command string    `json:"command"`
	Version string    `json:"version"`
	Since   time.Time `json:"since"`
}

// ReadReport returns the report on a state directory; of an empty name, on that of DefaultDir. If no process hosts it,
// this one does so for the moment. It makes no directory.
func ReadReport(ctx context.Context, dir string) (Report, error) {
	if dir == "" {
		dir = DefaultDir(os.LookupEnv)
	}
	if path, err := filepath.Abs(dir); err == nil && dir != "" {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return Report{Directory: path, Status: server.Status{Nodes: []server.NodeStatus{}}}, nil
		}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, reportLimit, fmt.Errorf("no answer within %v", reportLimit))
	defer cancel()
	l, err := Open(ctx, Config{Dir: dir})
	if err != nil {
		return Report{}, err
	}
	r, err := l.report(ctx)

	return r, errors.Join(err, l.Close(ctx))
}

// report asks the host.
func (l *Local) report(ctx context.Context) (Report, error) {
	l.mu.Lock()
	here := l.host
	l.mu.Unlock()
	if here != nil {
		r, err := here.report(ctx)
		r.Host = nil // it is here for the report alone

		return r, err
	}

	address, err := l.dir.address(statusName)
	if err != nil {
		return Report{}, err
	}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", address)
	}}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://host/", http.NoBody)
	if err != nil {
		return Report{}, err
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return Report{}, fmt.Errorf("ask the host in %q: %w", l.dir.path, err)
	}
	defer resp.Body.Close()
	var r Report
	if err := json.NewDecoder(resp.Body).Decode(&r); err != nil {
		return Report{}, fmt.Errorf("ask the host in %q: %s: %w", l.dir.path, resp.Status, err)
	}

	return r, nil
}

func (h *host) report(ctx context.Context) (Report, error) {
	status, err := h.server.Status(ctx)
	owner, _ := pebblestore.Owner(h.dir.path)

	return Report{
		Directory: h.dir.path, Status: status,
		Host: &Host{owner.PID, owner.Host, owner.Command, version.String(), owner.Since},
	}, err
}

// ServeHTTP answers with the report, for those who may open the socket.
func (h *host) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	report, err := h.report(r.Context())
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)

		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(report) // an error is the client's
}

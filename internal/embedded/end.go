package embedded

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"tenure/internal/serverconfig"
	"tenure/server"
)

// ErrNoSession reports that there is no such session, or no such node, or that the session does not hold the token.
var ErrNoSession = errors.New("there is no such session")

// endPath is the path of requests to end a session. A host of an earlier version answers them with its report.
const endPath = "/sessions/end"

// maxEnd is the largest size of such a request and of an answer to it, in bytes.
const maxEnd = 64 << 10

// An end is the body of a request to end a session.
type end struct {
	Node    string `json:"node"`
	Session uint64 `json:"session"`
	Token   uint64 `json:"token,omitempty"`
}

// EndSession ends a session on the embedded server of the state directory c.Dir, if it holds the token or the token is
// 0. Its holder may still be running: only its leases end. Otherwise it is like [ReadReport].
func EndSession(ctx context.Context, c Config, node string, session, token uint64) error {
	ctx, cancel := context.WithTimeoutCause(ctx, reportLimit, fmt.Errorf("no answer within %v", reportLimit))
	defer cancel()
	l, err := Open(ctx, c)
	if err != nil {
		return err
	}

	return errors.Join(l.endSession(ctx, end{node, session, token}), l.Close(ctx))
}

func (l *Local) endSession(ctx context.Context, e end) error {
	if here := l.here(); here != nil {
		return here.endSession(ctx, e)
	}
	body, err := json.Marshal(e)
	if err != nil {
		return err
	}
	resp, err := l.ask(ctx, http.MethodPost, endPath, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusNoContent:
		return nil
	case http.StatusNotFound:
		return ErrNoSession
	case http.StatusOK:
		return fmt.Errorf("the process that hosts the server in %q has an earlier version, which cannot end sessions: "+
			"restart it", l.dir.path)
	}
	return l.refusal(resp)
}

// endSession ends the session in this process.
func (h *host) endSession(ctx context.Context, e end) error {
	err := h.admin.EndSession(ctx, serverconfig.Requester{}, e.Node, e.Session, e.Token)
	if errors.Is(err, server.ErrNoNode) || errors.Is(err, server.ErrNoSession) {
		return ErrNoSession
	}

	return err
}

// serveEnd answers a request to end a session.
func (h *host) serveEnd(w http.ResponseWriter, r *http.Request) {
	var e end
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxEnd)).Decode(&e); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)

		return
	}
	switch err := h.endSession(r.Context(), e); {
	case errors.Is(err, ErrNoSession):
		http.Error(w, err.Error(), http.StatusNotFound)
	case err != nil:
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

package httpd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"

	"tenure/internal/clock"
	"tenure/internal/paced"
	"tenure/internal/printable"
	"tenure/server"
)

// status answers with the JSON of server.Status. One status is made at a time, because it copies the state of all
// nodes. A client that does not read holds up nobody.
func (s *Server) status(w http.ResponseWriter, r *http.Request) {
	text, err := s.statusText(r.Context())
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)

		return
	}
	if len(text) > paced.Piece {
		select {
		case s.answering <- struct{}{}:
			defer func() { <-s.answering }()
		default:
			w.Header().Set("Retry-After", "5")
			http.Error(w, "too many clients read a status at the same time: try again later", http.StatusServiceUnavailable)

			return
		}
	}
	w.Header().Set("Content-Type", "application/json")
	p := paced.New(w, clock.Go())
	if _, err := p.Write(text); err != nil {
		panic(http.ErrAbortHandler) // the client must not take a part for the whole
	}
}

// allNodes returns the state of all nodes.
func (s *Server) allNodes(ctx context.Context) (server.Status, error) {
	return s.takeStatus(ctx, s.c.Server.Status)
}

// inMemory returns the state of the nodes that are in use, so that a page that is open keeps no others in memory.
func (s *Server) inMemory(ctx context.Context) (server.Status, error) {
	return s.takeStatus(ctx, s.c.Server.StatusInMemory)
}

// takeStatus waits until no other status is being made.
func (s *Server) takeStatus(
	ctx context.Context, take func(context.Context) (server.Status, error),
) (server.Status, error) {
	select {
	case s.busy <- struct{}{}:
		defer func() { <-s.busy }()
	case <-ctx.Done():
		return server.Status{}, context.Cause(ctx)
	}

	return take(ctx)
}

func (s *Server) statusText(ctx context.Context) ([]byte, error) {
	status, err := s.allNodes(ctx)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(status)

	return append(text, '\n'), err
}

// ending is the body of a request to end a session.
type ending struct {
	Node    string `json:"node"`
	Session uint64 `json:"session"`
	Token   uint64 `json:"token"` // 0: whatever the session holds
}

// endSession ends a session. Its holder may still be running: only its lease ends.
func (s *Server) endSession(w http.ResponseWriter, r *http.Request) {
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/json" {
		http.Error(w, "the content type must be application/json", http.StatusUnsupportedMediaType)

		return
	}
	var e ending
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(&e); err != nil || e.Node == "" || e.Session == 0 {
		http.Error(w, `the body must be like {"node": "/local/tenure", "session": 7}`, http.StatusBadRequest)

		return
	}
	switch err := s.c.Admin.EndSession(r.Context(), requester(r), e.Node, e.Session, e.Token); {
	case errors.Is(err, server.ErrNoNode), errors.Is(err, server.ErrNoSession):
		http.Error(w, fmt.Sprintf("session %d of node %q: %v", e.Session, printable.Short(e.Node), err), http.StatusNotFound)
	case err != nil:
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

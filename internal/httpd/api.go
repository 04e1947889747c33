package httpd

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"

	"tenure/server"
)

// status answers with the JSON of server.Status. One request is answered at a time, because a status copies the state
// of all nodes.
func (s *Server) status(w http.ResponseWriter, r *http.Request) {
	select {
	case s.busy <- struct{}{}:
		defer func() { <-s.busy }()
	case <-r.Context().Done():
		return
	}
	status, err := s.c.Server.Status(r.Context())
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)

		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(status) // the client may have gone
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
	switch err := s.c.Admin.EndSession(r.Context(), e.Node, e.Session, e.Token); {
	case errors.Is(err, server.ErrNoNode), errors.Is(err, server.ErrNoSession):
		http.Error(w, fmt.Sprintf("session %d of node %q: %v", e.Session, e.Node, err), http.StatusNotFound)
	case err != nil:
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

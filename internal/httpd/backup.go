package httpd

import (
	"bufio"
	"net/http"

	"tenure/internal/clock"
	"tenure/internal/paced"
)

// noUsers is the answer to a request for a backup of a server without users.
const noUsers = "a backup has the keys of all sessions, and this server has no users, so it gives a backup to nobody" +
	": start it with --tokens, or stop it and pass --data to tenure backup"

// backup answers with a backup of the server, unless every local user could get one. One request is answered at a time.
// If an error occurs in the middle, the connection is cut, and the backup has no end, which the client must notice.
func (s *Server) backup(w http.ResponseWriter, r *http.Request) {
	if !s.c.Users {
		http.Error(w, noUsers, http.StatusForbidden)

		return
	}
	select {
	case s.backing <- struct{}{}:
		defer func() { <-s.backing }()
	default:
		http.Error(w, "another backup is in progress: try again later", http.StatusConflict)

		return
	}
	p := paced.New(w, clock.Go())
	w.Header().Set("Content-Type", "application/octet-stream")
	pieces := bufio.NewWriterSize(p, paced.Piece)
	err := s.c.Admin.Backup(r.Context(), pieces)
	if err == nil {
		err = pieces.Flush()
	}
	switch {
	case err == nil:
		s.c.Logger.InfoContext(r.Context(), "sent a backup", "address", r.RemoteAddr, "bytes", p.Written)
	case p.Written == 0:
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	default:
		s.c.Logger.WarnContext(r.Context(), "a backup has failed", "address", r.RemoteAddr, "error", err)
		panic(http.ErrAbortHandler)
	}
}

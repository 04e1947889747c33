package httpd

import (
	"bufio"
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"tenure/internal/access"
	"tenure/internal/clock"
	"tenure/internal/paced"
)

// noUsers is the answer to a request for a backup of a server without users.
const noUsers = "a backup has the keys of all sessions, and this server has no users, so it gives a backup to nobody" +
	": start it with --tokens, or pass its --etcd to tenure backup, or stop it and pass its --data"

// errWithdrawn ends a backup.
var errWithdrawn = errors.New("the user has no right to a backup any more")

// rightPeriod is the time between two looks at the right to a backup that is being sent. With the time in which the
// server notices a changed tokens file, it is less than 5 s.
const rightPeriod = 2 * time.Second

// backup answers with a backup of the server, unless every local user could get one. One request is answered at a time.
// If an error occurs in the middle, or the user loses the right to it, the connection is cut, and the backup has no
// end, which the client must notice.
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
	by := requester(r)
	log := s.c.Logger.With("user", by.User, "address", r.RemoteAddr)
	clk := clock.Go()
	p := paced.New(w, clk)
	ctx, cancel := context.WithCancelCause(r.Context())
	var watching sync.WaitGroup
	watching.Go(func() { // ends with ctx
		for clock.Pause(ctx, clk, rightPeriod) {
			if !s.c.Admin.Still(bearer(r), access.Full) {
				cancel(errWithdrawn)
				p.End(errWithdrawn)
			}
		}
	})
	w.Header().Set("Content-Type", "application/octet-stream")
	pieces := bufio.NewWriterSize(p, paced.Piece)
	err := s.c.Admin.Backup(ctx, by, pieces)
	if err == nil {
		err = pieces.Flush()
	}
	cancel(nil)
	watching.Wait()
	withdrawn := errors.Is(context.Cause(ctx), errWithdrawn)
	if withdrawn && err != nil {
		err = errWithdrawn // the error of the copy only says that it was stopped
	}
	switch {
	case err == nil:
		log.InfoContext(r.Context(), "sent a backup", "bytes", p.Written)
	case p.Written == 0 && !withdrawn:
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	default:
		log.WarnContext(r.Context(), "a backup has failed", "error", err)
		panic(http.ErrAbortHandler)
	}
}

package server

import (
	"context"
	"io"

	"tenure/internal/audit"
	"tenure/internal/backup"
	"tenure/internal/serverconfig"
)

// backup implements serverconfig.Admin. A goroutine of its own reads the store, because the writer may be slow: when
// the server stops, the store can be closed although a write is still in progress.
func (s *Server) backup(ctx context.Context, by serverconfig.Requester, w io.Writer) error {
	// A part of a backup has secrets too, so this does not wait for its end.
	s.nodes.env.audit.Write(audit.Event{Kind: audit.Backup, User: by.User, Peer: hostOf(by.Address)})
	if err := s.nodes.recorded(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	from, to := io.Pipe()
	stop := context.AfterFunc(s.nodes.ctx, func() {
		cancel()
		_ = from.CloseWithError(errStopping)
	})
	defer stop()
	read := make(chan struct{})
	go func() { // ends when from is closed
		defer close(read)
		date := s.date()
		_ = to.CloseWithError(backup.Write(to, date, s.store.Snapshot(ctx)))
	}()
	_, err := io.Copy(w, from)
	_ = from.CloseWithError(io.ErrClosedPipe)
	<-read

	return err
}

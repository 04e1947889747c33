package tenure

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"

	"tenure/internal/session"
	"tenure/internal/ydberr"
)

// lastSeq is the seq_no of the attach that ends the session of another process. It is above all those of that process,
// so the process cannot attach again (A6).
const lastSeq = 1 << 62

// newEnding returns a Session that only ends the session with the id and the key on the server, which was started by s
// or on the same node. It is not for users.
func (s *Session) newEnding(core *session.Core) *Session {
	e := newSession(s.base, s.client, s.config)
	e.core, e.ending = core, true

	return e
}

// endLater records one of the two conditions of an ending: the client has given the session up, or no code works under
// the session any longer. When both are met, it starts to end the session on the server, in the background.
func (s *Session) endLater(condition *bool) {
	var ending *Session
	s.mu.Lock()
	*condition = true
	if s.left && s.idle && s.core.ID() != 0 && !s.ending {
		ending = s.newEnding(s.core.Ending(s.timeout + maxGrace))
	}
	s.mu.Unlock()
	if ending != nil {
		s.client.begin(ending)
	}
}

// end ends the session with the id and the key on the node of s. The error is nil if that session does not exist any
// longer.
func (s *Session) end(ctx context.Context, id uint64, key []byte) error {
	cfg := s.config
	cfg.Key = key
	ending := s.newEnding(session.NewEnding(cfg, id, lastSeq-1, 0))
	if !s.client.begin(ending) {
		return fmt.Errorf("end session %d on node %q: %w", id, s.path, ydberr.ErrClientClosed)
	}
	select {
	case <-ending.closed:
	case <-ctx.Done():
	}
	ending.abort()
	ending.mu.Lock()
	defer ending.mu.Unlock()
	if ended(ending.closing.Cause) {
		return nil
	}
	if refusal, refused := errors.AsType[*session.StatusError](ending.closing.Cause); refused {
		return newStatusError(fmt.Sprintf("end session %d on node", id), s.path, refusal)
	}
	why := cmp.Or(ctx.Err(), ending.closing.Cause)
	if ending.lost != nil && ctx.Err() != nil {
		why = fmt.Errorf("%w: the last attempt: %w", why, ending.lost)
	}

	return fmt.Errorf("end session %d on node %q: %w", id, s.path, why)
}

// ended reports whether the server has answered that the session does not exist any longer.
func ended(cause error) bool {
	refusal, refused := errors.AsType[*session.StatusError](cause)

	return refused && (refusal.Status == Ydb.StatusIds_SESSION_EXPIRED || refusal.Status == Ydb.StatusIds_NOT_FOUND)
}

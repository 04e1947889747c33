package etcdstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"tenure/internal/clock"
	"tenure/internal/ownership"
	"tenure/internal/store"
)

const (
	healthPeriod = time.Second     // between two looks
	healthLimit  = 5 * time.Second // without an answer, the store is not ready
)

// health knows whether etcd answers, and whether it takes writes.
type health struct {
	etcd *etcd

	mu       sync.Mutex // guards the following fields
	answered clock.Instant
	err      error // of the last look; nil: there was an answer
	alarm    error
}

// run looks at etcd until the context ends.
func (h *health) run(ctx context.Context) {
	for ctx.Err() == nil {
		h.look(ctx)
		clock.Pause(ctx, h.etcd.clock, healthPeriod)
	}
}

// look reads a key linearizably, and asks a member for alarms, which all members know.
func (h *health) look(ctx context.Context) {
	_, err := h.etcd.do(ctx, ownership.Txn{Then: []ownership.Op{{Kind: ownership.Get, Key: formatKey}}})
	var status *pb.StatusResponse
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
		defer cancel()
		status, err = pb.NewMaintenanceClient(h.etcd.client.ActiveConnection()).Status(ctx, &pb.StatusRequest{})
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.err = err
	if err != nil {
		return
	}
	h.answered, h.alarm = h.etcd.clock.Now(), alarm(status.GetErrors())
}

// alarm returns what the alarms among the errors of a member mean.
func alarm(errs []string) error {
	for _, text := range errs {
		switch {
		case strings.Contains(text, "NOSPACE"):
			return errors.New("etcd is out of space and accepts nothing: compact and defragment it, and then run " +
				"etcdctl alarm disarm")
		case strings.Contains(text, "CORRUPT"):
			return errors.New("etcd reports that a member's data is corrupt: replace that member")
		}
	}

	return nil
}

// Ready implements store.Health.
func (s *Store) Ready() error {
	h := s.health
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.etcd.clock.Now().Sub(h.answered) > healthLimit {
		err := cmp.Or(h.err, errNoAnswer)
		if errors.Is(err, context.DeadlineExceeded) {
			err = errNoAnswer
		}

		return fmt.Errorf("etcd has not answered for %v: %w", healthLimit, err)
	}

	return h.alarm
}

// Silence implements store.Contact.
func (s *Store) Silence() time.Duration {
	return s.etcd.clock.Now().Sub(clock.Instant(s.etcd.heard.Load()))
}

// Reach implements store.Contact.
func (s *Store) Reach(ctx context.Context) error {
	return s.reading(ctx, func(ctx context.Context) error {
		_, err := s.etcd.read(ctx, ownership.Txn{Then: []ownership.Op{{Kind: ownership.Get, Key: formatKey}}})

		return err
	})
}

var (
	_ store.Health  = (*Store)(nil)
	_ store.Contact = (*Store)(nil)
)

var errNoAnswer = errors.New("check that it runs and has a quorum")

//go:build breaks

package etcdstore

import (
	"context"
	"os"
	"slices"
	"strings"
	"time"

	"tenure/internal/ownership"
)

// broken is the way to break the design, so that the tests in test/cluster can show that they notice. The simulation of
// package ownership has the same ways, and more.
var broken = os.Getenv("TENURE_BREAKS")

const (
	readWithoutProof     = "read without proof"     // confirm without asking etcd
	believeLease         = "believe lease"          // do so while the registration seems to exist
	commitWithoutCompare = "commit without compare" // do not compare the owner's key in a commit
)

// prove obtains a proof that the space is still owned, unless the design is broken.
func (s *Store) prove(ctx context.Context, o *owner) error {
	switch broken {
	case readWithoutProof:
		return nil
	case believeLease:
		const moment = 100 * time.Millisecond
		bounded, cancel := context.WithTimeout(ctx, moment)
		defer cancel()
		if _, err := s.registration.get(bounded); err == nil {
			return nil
		}
	}

	return o.confirm(ctx)
}

// unfenced returns the transaction as it is to be sent.
func unfenced(t ownership.Txn) ownership.Txn {
	commits := slices.ContainsFunc(t.Then, func(op ownership.Op) bool {
		return op.Kind == ownership.Put && strings.HasPrefix(op.Key, "j/")
	})
	if broken == commitWithoutCompare && commits {
		t.If = slices.DeleteFunc(slices.Clone(t.If), func(c ownership.Compare) bool {
			return strings.HasPrefix(c.Key, ownership.OwnerKeys)
		})
	}

	return t
}

package etcdstore

import (
	"context"
	"fmt"

	"tenure/internal/store"
)

// Owners implements store.Owners.
func (s *Store) Owners(ctx context.Context) (map[store.Space]string, error) {
	owners := make(map[store.Space]string)
	err := s.reading(ctx, func(ctx context.Context) error {
		all, _, err := s.etcd.owners(ctx)
		for _, o := range all {
			if o.Server != "" && !o.Dropped {
				owners[o.space] = o.Server
			}
		}

		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read who owns the spaces: %w", err)
	}

	return owners, nil
}

var _ store.Owners = (*Store)(nil)

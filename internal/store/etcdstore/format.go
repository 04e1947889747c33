package etcdstore

import (
	"context"
	"fmt"

	"tenure/internal/ownership"
	"tenure/internal/store"
)

// formatKey has the number of the format of all keys.
const (
	formatKey = "format"
	format    = "1"
)

// checkFormat notes the format, or checks that it is known. It does no harm if this is done twice.
func (e *etcd) checkFormat(ctx context.Context) error {
	r, err := e.read(ctx, ownership.Txn{ // which writes only what it would read
		If:   []ownership.Compare{{Key: formatKey, Create: true}},
		Then: []ownership.Op{{Kind: ownership.Put, Key: formatKey, Value: []byte(format)}},
		Else: []ownership.Op{{Kind: ownership.Get, Key: formatKey}},
	})
	if err != nil || r.Succeeded {
		return err
	}
	if have := string(r.Gets[0][0].Value); have != format {
		return fmt.Errorf("%w: format %q (this version of tenure reads %s): run a later version", store.ErrNewer, have,
			format)
	}

	return nil
}

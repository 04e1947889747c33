package etcdstore

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"

	"tenure/internal/ownership"
	"tenure/internal/store"
)

// formatKey has the format of all keys, and to whom they belong.
const (
	formatKey = "format"
	format    = 1
	secretKey = "secret"
)

// stamp is the value of formatKey.
type stamp struct {
	Format   int    `json:"format"`
	Database string `json:"database"`
}

// checkFormat notes the format and the database, or checks them. It does no harm if this is done twice.
func (e *etcd) checkFormat(ctx context.Context, database string) error {
	mine, err := json.Marshal(stamp{format, database})
	if err != nil {
		return err
	}
	value, err := e.once(ctx, formatKey, mine)
	if err != nil {
		return err
	}
	var have stamp
	if err := json.Unmarshal(value, &have); err != nil || have.Format == 0 {
		return fmt.Errorf("the key %q is not one of tenure: choose another prefix", e.prefix+formatKey)
	}
	switch {
	case have.Format > format:
		return fmt.Errorf("%w: format %d (this version of tenure reads %d): run a later version", store.ErrNewer,
			have.Format, format)
	case have.Database != database:
		return fmt.Errorf("the prefix belongs to servers of the database %q, and this one has %q: choose another prefix, "+
			"or that database", have.Database, database)
	}

	return nil
}

// readSecret returns the key that the servers have in common.
func (e *etcd) readSecret(ctx context.Context) ([]byte, error) {
	return e.once(ctx, secretKey, []byte(rand.Text()))
}

// once returns the value of the key. If the key does not exist, once creates it with the given value.
func (e *etcd) once(ctx context.Context, key string, value []byte) ([]byte, error) {
	r, err := e.read(ctx, ownership.Txn{ // an earlier attempt that was carried out makes no difference
		If:   []ownership.Compare{{Key: key, Create: true}},
		Then: []ownership.Op{{Kind: ownership.Put, Key: key, Value: value}},
		Else: []ownership.Op{{Kind: ownership.Get, Key: key}},
	})
	if err != nil || r.Succeeded {
		return value, err
	}

	return r.Gets[0][0].Value, nil
}

package etcdstore

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
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
	Format    int    `json:"format"`
	Database  string `json:"database"`            // that all servers of the prefix have; "" during a restore
	Restoring string `json:"restoring,omitempty"` // the id of a restore that has not been completed
	Restored  string `json:"restored,omitempty"`  // the id of the restore that has made the store
}

// foreign is the error for a prefix that belongs to another program.
func (e *etcd) foreign() error {
	return fmt.Errorf("the key %q is not one of tenure: choose another prefix", e.prefix+formatKey)
}

// decodeStamp returns the value of the format key, unless this version cannot read the store, or there is none.
func (e *etcd) decodeStamp(value []byte) (have stamp, err error) {
	if err := json.Unmarshal(value, &have); err != nil || have.Format == 0 {
		return have, e.foreign()
	}
	switch {
	case have.Format > format:
		return have, fmt.Errorf("%w: format %d (this version of tenure reads %d): run a later version", store.ErrNewer,
			have.Format, format)
	case have.Restoring != "":
		return have, errRestoring
	}

	return have, nil
}

// errRestoring reports that the keys are those of a restore.
var errRestoring = errors.New("a restore to this prefix has not been completed: wait for it, run it again, or choose " +
	"another prefix")

// checkFormat notes the format and the database, or checks them. It does no harm if this is done twice.
func (e *etcd) checkFormat(ctx context.Context, database string) error {
	mine, err := json.Marshal(stamp{Format: format, Database: database})
	if err != nil {
		return err
	}
	value, err := e.once(ctx, formatKey, mine)
	if err != nil {
		return err
	}
	have, err := e.decodeStamp(value)
	if err == nil && have.Database != database {
		return fmt.Errorf("the prefix belongs to servers of the database %q, and this one has %q: choose another prefix, "+
			"or that database", have.Database, database)
	}

	return err
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

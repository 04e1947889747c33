package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"tenure/internal/serverconfig"
	"tenure/internal/store"
	"tenure/internal/store/logstore"
	"tenure/internal/store/memstore"
	"tenure/internal/trust"
)

func openStore(c *serverconfig.Config, log *slog.Logger) (store.Store, error) {
	switch {
	case c.Store != nil && c.DataDir != nil:
		return nil, errors.New("server: a store and WithDataDir are both set: choose one")
	case c.Store != nil:
		return c.Store, nil
	case c.DataDir == nil:
		return memstore.New(), nil
	case *c.DataDir == "":
		return nil, errors.New("server: WithDataDir: the directory is empty: name one, or leave the option out to " +
			"keep the data in memory")
	}

	tightened, err := trust.Keep(*c.DataDir, logstore.LockName)
	if err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	if tightened {
		log.InfoContext(context.Background(), "other users could access the data directory: changed its mode to 0700",
			"directory", *c.DataDir)
	}

	return logstore.Open(*c.DataDir, logstore.Options{Logger: log})
}

package server

import (
	"errors"
	"fmt"

	"tenure/internal/access"
	"tenure/internal/catalog"
	"tenure/internal/serverconfig"
)

// Check returns the errors of the options for which [New] would fail, as far as they can be found without opening the
// store. It changes nothing.
func Check(opts ...Option) error {
	var c serverconfig.Config
	for _, opt := range opts {
		if opt != nil {
			opt(&c)
		}
	}
	database := DefaultDatabase
	if c.Database != nil {
		database = *c.Database
	}
	_, advertiseErr := parseAdvertise(&c)
	_, limitsErr := withDefaults(Limits(c.Limits), openFiles())
	var tokensErr error
	if c.Tokens != nil {
		_, tokensErr = access.Load(*c.Tokens)
	}

	return errors.Join(
		checkTLS(&c), checkLifetime(&c), advertiseErr, limitsErr, tokensErr, catalog.CheckDatabase(database),
	)
}

func checkTLS(c *serverconfig.Config) error {
	if t := c.TLS; t != nil && len(t.Certificates) == 0 && t.GetCertificate == nil && t.GetConfigForClient == nil {
		return errors.New("server: WithTLS: the config has no certificate: set Certificates")
	}

	return nil
}

func checkLifetime(c *serverconfig.Config) error {
	if d := c.TokenLifetime; d < 0 {
		return fmt.Errorf("server: WithTokenLifetime: %v is negative: set a positive lifetime, or 0 for the default", d)
	}

	return nil
}

package httpd

import "crypto/tls"

// forHTTP returns a config that also accepts HTTP/1.1. That of a gRPC server accepts HTTP/2 alone.
func forHTTP(c *tls.Config) *tls.Config {
	if c == nil {
		return nil
	}
	c = c.Clone()
	c.NextProtos = []string{"h2", "http/1.1"}
	if choose := c.GetConfigForClient; choose != nil {
		c.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			chosen, err := choose(hello)
			if err != nil || chosen == nil {
				return chosen, err
			}
			chosen = chosen.Clone()
			chosen.NextProtos = c.NextProtos

			return chosen, nil
		}
	}

	return c
}

package advertise_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/advertise"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]advertise.Endpoint{
		"grpcs://locks.example:443": {Host: "locks.example", Port: 443, TLS: true},
		"grpc://10.0.0.1:2136":      {Host: "10.0.0.1", Port: 2136},
		"grpc://[fd00::1]:2136":     {Host: "fd00::1", Port: 2136},
	} {
		got, err := advertise.Parse(text)
		require.NoError(t, err)
		require.Equal(t, want, got)
		require.Equal(t, text, got.String())
	}
	for text, want := range map[string]string{
		"locks.example:443":               "is not an address",
		"https://locks.example:443":       "is not an address",
		"grpc://":                         "is not an address",
		"grpc://%zz":                      "is not an address",
		"grpcs://locks.example":           "has no valid port",
		"grpcs://locks.example:0":         "has no valid port",
		"grpcs://locks.example:1/local":   "has more than a host and a port",
		"grpcs://alice@locks.example:1":   "has more than a host and a port",
		"grpcs://locks.example:1?use_env": "has more than a host and a port",
		"grpc://0.0.0.0:2136":             "is not an address that clients can connect to",
		"grpc://[::]:2136":                "is not an address that clients can connect to",
	} {
		_, err := advertise.Parse(text)
		require.ErrorContains(t, err, want, text)
	}
}

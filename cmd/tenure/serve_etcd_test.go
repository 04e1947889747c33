package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestServe_ChecksEtcd(t *testing.T) {
	t.Parallel()
	const local = "--etcd https://127.0.0.1:2379 "
	for args, want := range map[string]string{
		"--etcd-user x":                                     `--etcd-user is for several servers over etcd: pass --etcd`,
		local + "--memory":                                  `--etcd keeps all data in etcd, but --memory is given`,
		local + "--data /x":                                 `--etcd keeps all data in etcd, but --data is given`,
		"--etcd a:2379":                                     `--etcd="a:2379": "a:2379" is not an address`,
		"--etcd https://a":                                  `"https://a" is not an address`,
		"--etcd https://a:1,":                               `"" is not an address`,
		"--etcd https://a:1/x":                              `"https://a:1/x" has more than a host and a port`,
		"--etcd http://10.0.0.1:1":                          `"http://10.0.0.1:1" would send all data through the network`,
		"--etcd http://[::1]:1,https://[::1]:1":             `some members use TLS and others do not`,
		"--etcd http://[::1]:1 --etcd-ca x":                 `are for TLS, but --etcd="http://[::1]:1" has none`,
		local + "--etcd-cert x":                             `--etcd-cert="x" needs a private key: pass --etcd-key`,
		local + "--etcd-key x":                              `--etcd-key="x" needs a certificate: pass --etcd-cert`,
		local + "--etcd-ca absent":                          `--etcd-ca="absent" does not exist`,
		local + "--etcd-cert x --etcd-key y":                `--etcd-cert="x" does not exist`,
		local + "--etcd-user x":                             `--etcd-user="x" needs a password: pass --etcd-password-file`,
		local + "--etcd-password-file x":                    `--etcd-password-file="x" needs a user: pass --etcd-user`,
		local + "--etcd-user x --etcd-password-file absent": `--etcd-password-file`,
		local + "--etcd-prefix tenure":                      `--etcd-prefix="tenure" is not a prefix: it must begin and end`,
		"--peer-address a:1":                                `--peer-address is for several servers over etcd: pass --etcd`,
		"--etcd-compact 5m":                                 `--etcd-compact is for several servers over etcd: pass --etcd`,
		local + "--etcd-compact 59s":                        `--etcd-compact=59s is out of range: must be 0, or between`,
		local + "--peer-address a":                          `--peer-address="a" is not an address: write host:port`,
		local + "--peer-address a:0":                        `--peer-address="a:0" is not an address: write host:port`,
		local + "--peer-address grpc://a:1":                 `--peer-address="grpc://a:1" is not an address: write host:port`,
		local + "--peer-address 0.0.0.0:1":                  `is not an address that other servers can connect to`,
	} {
		t.Run(args, func(t *testing.T) {
			t.Parallel()
			all := append([]string{"serve", "--listen", "127.0.0.1:0", "--check"}, strings.Fields(args)...)
			code, _, stderr := tenureRun(t, map[string]string{"HOME": t.TempDir()}, all...)
			require.NotZero(t, code)
			require.Contains(t, stderr, want)
		})
	}
	password := filepath.Join(t.TempDir(), "password")
	require.NoError(t, os.WriteFile(password, []byte("secret\n"), 0o600))
	for _, args := range []string{
		"--etcd http://127.0.0.1:2379,http://localhost:2380", "--etcd http://10.0.0.1:2379 --insecure",
		local + "--peer-address [::1]:1 --etcd-compact 0",
		local + "--etcd-prefix /a/b/ --etcd-user x --etcd-password-file " + password,
	} {
		all := append([]string{"serve", "--listen", "127.0.0.1:0", "--check"}, strings.Fields(args)...)
		code, _, stderr := tenureRun(t, map[string]string{"HOME": t.TempDir()}, all...)
		require.Zero(t, code, stderr)
	}
}

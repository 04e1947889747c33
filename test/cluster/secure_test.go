package cluster_test

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/authpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"tenure/internal/certs/certtest"
	"tenure/internal/store/etcdstore"
)

// Servers use an etcd that requires TLS with client certificates, and users, of whom theirs may use the prefix only. A
// user who may only read is enough for a backup.
func TestServers_Secure(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ca := certtest.New(t)
	trusted := ca.WriteFile(t, dir, "ca.pem")
	serverCert, serverKey := ca.Issue(t).WriteFiles(t, dir, "etcd")
	pair := ca.Issue(t)
	cert, key := pair.WriteFiles(t, dir, "client")
	config := &tls.Config{
		MinVersion: tls.VersionTLS12, RootCAs: ca.Pool(), Certificates: []tls.Certificate{pair.TLS(t)},
	}
	m := startSecureMember(t, config, "--cert-file", serverCert, "--key-file", serverKey, "--trusted-ca-file", trusted,
		"--client-cert-auth")
	admin := m.client()
	for user, permission := range map[string]authpb.Permission_Type{
		"tenure": authpb.READWRITE, "reader": authpb.READ, "root": authpb.READ,
	} {
		_, err := admin.UserAdd(t.Context(), user, "secret of "+user)
		require.NoError(t, err)
		_, err = admin.RoleAdd(t.Context(), user)
		require.NoError(t, err)
		_, err = admin.RoleGrantPermission(t.Context(), user, "/p/", "/p0", clientv3.PermissionType(permission))
		require.NoError(t, err)
		_, err = admin.UserGrantRole(t.Context(), user, user)
		require.NoError(t, err)
	}
	_, err := admin.AuthEnable(t.Context())
	require.NoError(t, err)

	as := func(user, password string) []string {
		file := filepath.Join(t.TempDir(), "password")
		require.NoError(t, os.WriteFile(file, []byte(password+"\n"), 0o600))

		return []string{
			"--etcd", m.url, "--etcd-ca", trusted, "--etcd-cert", cert, "--etcd-key", key, "--etcd-prefix", "/p/",
			"--etcd-user", user, "--etcd-password-file", file,
		}
	}
	tenure := as("tenure", "secret of tenure")
	a, b := serve(t, tenure...), serve(t, tenure...)
	requireRun(t, "semaphore", "create", "--limit", "2", "kept", "--ydb", a.dsn)
	code, out, stderr := run(t, "who", "kept", "-o", "json", "--ydb", b.dsn)
	require.Equal(t, 1, code, stderr)
	require.Contains(t, out, `"limit":2`)
	code, out, stderr = run(t, append([]string{"doctor", "--ydb", a.dsn, "--admin", a.admin}, tenure...)...)
	require.Less(t, code, 2, out+stderr)
	for _, want := range []string{
		"etcd: 1 of 1 members answer, version 3.", "etcd space: ", "etcd commit: a write takes ", "servers: 2 are registered",
		"reaches 1 other server", "users: 2 servers have no tokens file",
	} {
		require.Contains(t, out, want)
	}
	_, out, _ = run(t, append([]string{"doctor", "--ydb", a.dsn}, as("tenure", "wrong")...)...)
	require.Contains(t, out, `bad   etcd: etcd at `+m.url+` does not know the user "tenure" with this password`)
	requireMetrics(t, a, `tenure_servers 2`, `tenure_registered 1`,
		`tenure_etcd_seconds_count{op="read",result="ok"} `, `tenure_proof_seconds_count `)
	file := filepath.Join(dir, "a.backup")
	requireRun(t, append([]string{"backup", file}, as("reader", "secret of reader")...)...)
	require.Contains(t, requireRun(t, "restore", "--check", file), "1 node, 1 semaphore")

	for want, args := range map[string][]string{
		`does not know the user "tenure" with this password`: as("tenure", "wrong"),
		"to read and write the keys with the prefix /p/":     as("reader", "secret of reader"),
		"to read and write the keys with the prefix /q/": append(as("tenure", "secret of tenure"),
			"--etcd-prefix", "/q/"),
		"certificate": {"--etcd", m.url, "--etcd-ca", trusted, "--etcd-prefix", "/p/"},
	} {
		code, _, stderr := run(t, append([]string{"serve", "--listen", "127.0.0.1:0"}, args...)...)
		require.Equal(t, 125, code)
		require.Contains(t, stderr, want)
	}

	compacted := make(chan error, 10)
	s, err := etcdstore.Connect(t.Context(), etcdstore.Cluster{
		URLs: []string{m.url}, TLS: config, User: "tenure", Password: "secret of tenure",
	}, etcdstore.Options{Prefix: "/p/", Database: "/local", Compact: 100 * time.Millisecond, Compacted: func(
		_ int64, err error,
	) {
		compacted <- err
	}})
	require.NoError(t, err)
	require.ErrorContains(t, <-compacted, "etcd allows this to users with the role root only: let etcd compact itself")
	require.NoError(t, s.Close())
}

package cluster_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/store/etcdstore"
)

// A server that cannot use etcd says why, and what to do.
func TestConnect(t *testing.T) {
	t.Parallel()
	m := startMember(t)
	admin := m.client()
	users := func(err error) {
		t.Helper()
		require.NoError(t, err)
	}
	for _, user := range []string{"root", "tenure", "stranger"} {
		_, err := admin.UserAdd(t.Context(), user, "secret")
		users(err)
	}
	_, err := admin.RoleAdd(t.Context(), "tenure")
	users(err)
	_, err = admin.RoleGrantPermission(t.Context(), "tenure", "/t/", "/t0", 2) // to read and write
	users(err)
	_, err = admin.UserGrantRole(t.Context(), "tenure", "tenure")
	users(err)
	_, err = admin.UserGrantRole(t.Context(), "root", "root")
	users(err)
	_, err = admin.AuthEnable(t.Context())
	users(err)

	connect := func(user, password string) error {
		s, err := etcdstore.Connect(t.Context(), etcdstore.Cluster{
			URLs: []string{m.url}, User: user, Password: password,
		}, etcdstore.Options{Prefix: "/t/", Database: "/local"})
		if err != nil {
			return err
		}
		require.NoError(t, s.Claim(t.Context(), 1))
		require.NoError(t, s.Ready())

		return s.Close()
	}
	require.NoError(t, connect("tenure", "secret"))
	require.ErrorContains(t, connect("tenure", "wrong"), `does not know the user "tenure" with this password`)
	require.ErrorContains(t, connect("nobody", "secret"), `does not know the user "nobody" with this password`)
	require.ErrorContains(t, connect("stranger", "secret"), "to read and write the keys with the prefix /t/: grant a role")
	require.ErrorContains(t, connect("", ""), "has users: name one that may read and write the keys with the prefix /t/")
}

package identity

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"tenure/internal/limit"
)

func TestSelf(t *testing.T) {
	t.Setenv("USER", "alice")
	host, err := os.Hostname()
	require.NoError(t, err)
	require.Equal(t, fmt.Sprintf("alice@%s, pid %d (%s)", host, os.Getpid(), filepath.Base(os.Args[0])), Self())
	require.Equal(t, fmt.Sprintf("alice@%s, pid %d (lock)", host, os.Getpid()), Of("lock"))
}

func TestUserName(t *testing.T) {
	t.Parallel()
	set := func(name string) func(string) (string, bool) {
		return func(string) (string, bool) { return name, true }
	}
	unset := func(string) (string, bool) { return "", false }
	known := func() (*user.User, error) { return &user.User{Username: "bob"}, nil }
	unknown := func() (*user.User, error) { return nil, errors.New("no such user") }

	require.Equal(t, "alice", userName(set("alice"), known))
	require.Equal(t, "bob", userName(unset, known))
	require.Equal(t, "bob", userName(set(""), known))
	require.Equal(t, fmt.Sprintf("uid %d", os.Getuid()), userName(unset, unknown))
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	require.Equal(t, "alice@ci-3, pid 42 (backup)", describe("alice", "ci-3", 42, "backup"))
	require.Equal(t, "a?b@h??, pid 42 (jörg?)", describe("a\xffb", "h\r\n", 42, "jörg\x00"))

	long := strings.Repeat("é", 1000)
	bounded := describe(long, long, 1<<31, long)
	require.LessOrEqual(t, len(bounded), limit.Description)
	require.True(t, utf8.ValidString(bounded))
	require.Contains(t, bounded, "pid 2147483648 (é")
}

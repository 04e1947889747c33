package doctor_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/doctor"
)

func TestUsers(t *testing.T) {
	t.Parallel()
	differ := func(found string) doctor.Line {
		return doctor.Line{
			Check: "users", Result: doctor.Bad, Found: "the servers do not have the same users and rights: " + found,
			Do: "give all of them the same tokens file",
		}
	}
	open := doctor.Line{
		Check: "users", Result: doctor.Bad,
		Found: "every caller has all rights on c:1, without a tokens file, and not on the other servers",
		Do:    "start all of them with the same --tokens file",
	}
	require.Empty(t, doctor.Users(map[string]string{"a:1": "x"}), "a single server, or the only one that tells")
	require.Equal(t, []doctor.Line{{"users", doctor.OK, "2 servers have the same users and rights", ""}},
		doctor.Users(map[string]string{"a:1": "x", "b:1": "x"}))
	require.Equal(t, []doctor.Line{{"users", doctor.OK, "2 servers have no tokens file", ""}},
		doctor.Users(map[string]string{"a:1": doctor.NoUsers, "b:1": doctor.NoUsers}))
	require.Equal(t, []doctor.Line{differ("those of b:1, c:1 differ from those of a:1")},
		doctor.Users(map[string]string{"a:1": "x", "b:1": "y", "c:1": "y"}))
	require.Equal(t, []doctor.Line{open}, doctor.Users(map[string]string{"a:1": "x", "b:1": "x", "c:1": doctor.NoUsers}))
	require.Equal(t, []doctor.Line{open, differ("those of a:1 differ from those of b:1")},
		doctor.Users(map[string]string{"a:1": "x", "b:1": "y", "c:1": doctor.NoUsers}))
}

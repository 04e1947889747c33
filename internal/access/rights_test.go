package access_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/access"
)

// Each word of the table of rights means what the table says.
func TestRights_Words(t *testing.T) {
	t.Parallel()
	const (
		write  = access.Update | access.Erase
		create = access.CreateNode | access.CreateDirectory | access.Alter | access.Remove
	)
	for word, want := range map[string]access.Rights{
		"read": access.Read, "write": write, "list": access.List, "create": create, "admin": access.Grant,
		"use": access.Read | write | access.List, "full": access.Full, "FULL": access.Full,
		"ydb.granular.select_row":       access.Read,
		"ydb.granular.update_row":       access.Update,
		"ydb.granular.erase_row":        access.Erase,
		"ydb.granular.describe_schema":  access.List,
		"ydb.granular.create_table":     access.CreateNode,
		"ydb.granular.create_directory": access.CreateDirectory,
		"ydb.granular.alter_schema":     access.Alter,
		"ydb.granular.remove_schema":    access.Remove,
		"ydb.access.grant":              access.Grant,
		"ydb.generic.list":              access.List,
		"ydb.generic.read":              access.Read | access.List,
		"ydb.generic.write":             write | create,
		"ydb.generic.use":               access.Read | access.List | write | create | access.Grant,
		"ydb.generic.use_legacy":        access.Read | access.List | write | create | access.Grant,
		"ydb.generic.full":              access.Full,
		"ydb.generic.full_legacy":       access.Full,
		"ydb.generic.manage":            access.Administer,
		"ydb.tables.read":               access.Read,
		"ydb.tables.modify":             write,
		"ydb.deprecated.select_row":     access.Read,
		"ydb.Granular.Select_Row":       access.Read,
		// On other objects.
		"ydb.granular.create_queue": 0, "ydb.granular.read_attributes": 0, "ydb.granular.write_attributes": 0,
		"ydb.database.connect": 0, "ydb.database.create": 0, "ydb.database.drop": 0, "ydb.deprecated.create_queue": 0,
	} {
		p := parse(t, "user u token="+hash1+"\ngrant u /local "+word)
		var got access.Rights
		for _, permission := range p.Permissions("/local") {
			got = permission.Rights
		}
		require.Equal(t, want, got, word)
	}
}

func TestRights_Names(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rights access.Rights
		want   []string
	}{
		{0, []string{}},
		{access.Full, []string{"ydb.generic.full"}},
		{access.Full &^ access.Administer, []string{"ydb.generic.use"}},
		{access.Read | access.List, []string{"ydb.generic.read"}},
		{access.Read | access.Update | access.Erase | access.List, []string{"ydb.generic.read", "ydb.tables.modify"}},
		{access.List, []string{"ydb.granular.describe_schema"}},
		{access.Update | access.Grant, []string{"ydb.granular.update_row", "ydb.access.grant"}},
	} {
		require.Equal(t, c.want, c.rights.Names())
	}
	use := access.Read | access.Update | access.Erase | access.List
	require.Equal(t, "ydb.generic.read,ydb.tables.modify", use.String())
	require.Equal(t, "none", access.Rights(0).String())
	for r := access.Rights(1); r <= access.Full; r++ { // the names of a set mean that set
		p := parse(t, "user u token="+hash1+"\ngrant u /local "+r.String())
		require.Equal(t, []access.Permission{{Subject: "u", Rights: r}}, p.Permissions("/local"))
	}
}

// Z1: one of the three rights to use semaphores lets a session attach.
func TestRights_Any(t *testing.T) {
	t.Parallel()
	for _, r := range []access.Rights{access.Read, access.Update, access.Erase, access.Full} {
		require.True(t, r.Any(), r)
	}
	for _, r := range []access.Rights{0, access.List, access.CreateNode | access.Grant | access.Administer} {
		require.False(t, r.Any(), r)
	}
}

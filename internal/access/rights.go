package access

import (
	"fmt"
	"slices"
	"strings"
)

// Rights is a set of rights on a path. The rights are those of YDB that the services of the server check.
type Rights uint16

// The rights, with the requests that need them.
const (
	Read            Rights = 1 << iota // describe a semaphore, watch it
	Update                             // acquire, release, create and update a semaphore
	Erase                              // delete a semaphore
	List                               // describe a path or a node, list a directory
	CreateNode                         // create a node in the directory
	CreateDirectory                    // create a directory in the directory
	Alter                              // change the configuration of a node
	Remove                             // drop a node, remove a directory
	Grant                              // change permissions
	Administer                         // part of Full only

	// View is what somebody needs on the database to see all nodes, with the owners and the data of their semaphores.
	View = List | Read

	// Full includes everything, also the administration of the server.
	Full = Administer<<1 - 1
)

// Sets of rights.
const (
	write       = Update | Erase
	create      = CreateNode | CreateDirectory | Alter | Remove
	use         = Read | write | List
	genericRead = Read | List
	genericUse  = genericRead | write | create | Grant
)

// Has reports whether the set contains all rights of r.
func (s Rights) Has(r Rights) bool { return s&r == r }

// Any reports whether the set contains one of the rights that let a session attach to a node (Z1).
func (s Rights) Any() bool { return s&use&^List != 0 }

// A named set is a word of the tokens file and its meaning.
type named struct {
	name   string
	rights Rights
}

// shown are YDB's names, those of the largest sets first. Names uses them in this order, as YDB does.
var shown = []named{
	{"ydb.generic.full", Full},
	{"ydb.generic.use", genericUse},
	{"ydb.generic.write", write | create},
	{"ydb.generic.read", genericRead},
	{"ydb.tables.modify", write},
	{"ydb.granular.select_row", Read},
	{"ydb.granular.update_row", Update},
	{"ydb.granular.erase_row", Erase},
	{"ydb.granular.describe_schema", List},
	{"ydb.granular.create_table", CreateNode},
	{"ydb.granular.create_directory", CreateDirectory},
	{"ydb.granular.alter_schema", Alter},
	{"ydb.granular.remove_schema", Remove},
	{"ydb.access.grant", Grant},
	{"ydb.generic.manage", Administer},
}

// more are the names that a tokens file may contain as well: our short words, YDB's other names for the same rights,
// and its names for rights on objects that the server does not have.
var more = []named{
	{"read", Read},
	{"write", write},
	{"list", List},
	{"create", create},
	{"admin", Grant},
	{"use", use},
	{"full", Full},
	{"ydb.generic.list", List},
	{"ydb.generic.use_legacy", genericUse},
	{"ydb.generic.full_legacy", Full},
	{"ydb.tables.read", Read},
	{"ydb.database.connect", 0},
	{"ydb.database.create", 0},
	{"ydb.database.drop", 0},
	{"ydb.granular.read_attributes", 0},
	{"ydb.granular.write_attributes", 0},
	{"ydb.granular.create_queue", 0},
}

// Names returns YDB's names for the rights. A name of a set stands for all rights in it. The names that cover the most
// come first, and no right is named twice.
func (s Rights) Names() []string {
	names := []string{}
	for _, n := range shown {
		if s.Has(n.rights) {
			names = append(names, n.name)
			s &^= n.rights
		}
	}

	return names
}

// String returns the names, separated by commas, or "none".
func (s Rights) String() string {
	if s == 0 {
		return "none"
	}

	return strings.Join(s.Names(), ",")
}

// words maps each name to its rights.
var words = func() map[string]Rights {
	words := make(map[string]Rights, 2*(len(shown)+len(more)))
	for _, n := range slices.Concat(shown, more) {
		words[n.name] = n.rights
		if old, ok := strings.CutPrefix(n.name, "ydb.granular."); ok {
			words["ydb.deprecated."+old] = n.rights
		}
	}

	return words
}()

// parseRights returns the rights with a name. Case does not matter.
func parseRights(name string) (Rights, error) {
	rights, ok := words[strings.ToLower(name)]
	if !ok {
		return 0, fmt.Errorf("unknown right %q: write read, write, list, create, admin, use, full, or a name of YDB's "+
			"such as ydb.generic.read", name)
	}

	return rights, nil
}

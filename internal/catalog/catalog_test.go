package catalog_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/catalog"
	"tenure/internal/node"
	"tenure/internal/store"
)

func open(t *testing.T, st store.Store) *catalog.Catalog {
	t.Helper()
	c, err := catalog.Open(t.Context(), st, "/local")
	require.NoError(t, err)

	return c
}

// requireStatus requires an error of the catalog with the given status and a text that contains the words.
func requireStatus(t require.TestingT, err error, status node.Status, words string) {
	var refused *catalog.Error
	require.ErrorAs(t, err, &refused)
	require.Equal(t, status, refused.Status, refused.Issue)
	require.Contains(t, refused.Issue, words)
}

func paths(entries []catalog.Entry) []string {
	var all []string
	for _, e := range entries {
		all = append(all, e.Path)
	}

	return all
}

var config = catalog.Config{
	SelfCheckPeriodMillis:    1,
	SessionGracePeriodMillis: 1<<32 - 1,
	ReadConsistency:          catalog.Strict,
	AttachConsistency:        catalog.Relaxed,
	RateLimiterCounters:      catalog.Detailed,
}

// TestPath_Refused checks that every call refuses a path that does not have the form that N1 requires.
func TestPath_Refused(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 256)
	calls := map[string]func(*catalog.Catalog, string) error{
		"create node": func(c *catalog.Catalog, path string) error {
			return c.CreateNode(t.Context(), path, catalog.Config{})
		},
		"alter node": func(c *catalog.Catalog, path string) error {
			return c.AlterNode(t.Context(), path, catalog.Config{})
		},
		"drop node": func(c *catalog.Catalog, path string) error {
			return c.DropNode(t.Context(), path, 1)
		},
		"make directory": func(c *catalog.Catalog, path string) error {
			return c.MakeDirectory(t.Context(), path)
		},
		"remove directory": func(c *catalog.Catalog, path string) error {
			return c.RemoveDirectory(t.Context(), path)
		},
		"lookup": func(c *catalog.Catalog, path string) error {
			_, err := c.Lookup(path)

			return err
		},
		"list": func(c *catalog.Catalog, path string) error {
			_, _, err := c.List(path)

			return err
		},
	}
	for name, tc := range map[string]struct {
		path   string
		status node.Status
		words  string
	}{
		"empty":                   {"", node.BadRequest, "path is empty"},
		"relative":                {"local/a", node.BadRequest, "not absolute"},
		"root":                    {"/", node.BadRequest, `outside the database "/local"`},
		"another database":        {"/other/a", node.BadRequest, `outside the database "/local"`},
		"a name with this prefix": {"/localhost/a", node.BadRequest, "outside the database"},
		"long component":          {"/local/" + long + "/a", node.BadRequest, "longer than 255 bytes"},
		"long component in bytes": {"/local/" + strings.Repeat("ж", 128), node.BadRequest, "longer than 255 bytes"},
		"parent":                  {"/local/a/../b", node.SchemeError, `".." is not allowed`},
		"parent of the database":  {"/local/..", node.SchemeError, `".." is not allowed`},
		"dot":                     {"/local/./a", node.SchemeError, `"." is not allowed`},
		"too deep":                {"/local" + strings.Repeat("/a", 32), node.SchemeError, "more than 32 components"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := open(t, newMapStore())
			for call, do := range calls {
				t.Log(call)
				requireStatus(t, do(c, tc.path), tc.status, tc.words)
			}
			_, children, err := c.List("/local")
			require.NoError(t, err)
			require.Empty(t, children)
		})
	}
}

func TestPath_AtItsLimits(t *testing.T) {
	t.Parallel()
	c := open(t, newMapStore())
	for _, path := range []string{
		"/local/" + strings.Repeat("x", 255),
		"/local" + strings.Repeat("/a", 31),
		"/local/..a/a..b/...c",
	} {
		require.NoError(t, c.CreateNode(t.Context(), path, catalog.Config{}))
	}
}

// TestPath_Cleaned checks that every call removes doubled and trailing slashes (N6).
func TestPath_Cleaned(t *testing.T) {
	t.Parallel()
	c := open(t, newMapStore())
	require.NoError(t, c.CreateNode(t.Context(), "//local///a//n//", catalog.Config{}))
	require.NoError(t, c.AlterNode(t.Context(), "/local/a//n", catalog.Config{SelfCheckPeriodMillis: 7}))

	e, err := c.Lookup("/local//a/n/")
	require.NoError(t, err)
	require.Equal(t, catalog.Entry{
		Path: "/local/a/n", Kind: catalog.Node, Space: 1, Config: catalog.Config{SelfCheckPeriodMillis: 7},
	}, e)
	require.Equal(t, "n", e.Name())

	_, children, err := c.List("/local//a///")
	require.NoError(t, err)
	require.Equal(t, []catalog.Entry{e}, children)

	require.NoError(t, c.DropNode(t.Context(), "/local/a/n///", 1))
	require.NoError(t, c.MakeDirectory(t.Context(), "/local/a/b//"))
	require.NoError(t, c.RemoveDirectory(t.Context(), "/local//a/b/"))
}

func TestOpen_DatabaseName(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "/", "//", "local", "/local/..", "/" + strings.Repeat("x", 256)} {
		_, err := catalog.Open(t.Context(), newMapStore(), bad)
		require.ErrorContains(t, err, `(expected a path such as "/local")`, bad)
	}
	c, err := catalog.Open(t.Context(), newMapStore(), "//ru//prod/db/")
	require.NoError(t, err)
	require.Equal(t, "/ru/prod/db", c.Database())

	root, err := c.Lookup("/ru/prod/db")
	require.NoError(t, err)
	require.Equal(t, catalog.Entry{Path: "/ru/prod/db", Kind: catalog.Directory}, root)
	_, err = c.Lookup("/ru/prod")
	requireStatus(t, err, node.BadRequest, "outside the database")
}

func TestCreateNode_MakesParents(t *testing.T) {
	t.Parallel()
	c := open(t, newMapStore())
	require.NoError(t, c.CreateNode(t.Context(), "/local/a/b/n", config))

	for _, path := range []string{"/local/a", "/local/a/b"} {
		e, err := c.Lookup(path)
		require.NoError(t, err)
		require.Equal(t, catalog.Entry{Path: path, Kind: catalog.Directory}, e)
	}
	e, err := c.Lookup("/local/a/b/n")
	require.NoError(t, err)
	require.Equal(t, catalog.Entry{Path: "/local/a/b/n", Kind: catalog.Node, Space: 1, Config: config}, e)
}

func TestCreateNode_ExistingChangesNothing(t *testing.T) {
	t.Parallel()
	st := newMapStore()
	c := open(t, st)
	require.NoError(t, c.CreateNode(t.Context(), "/local/n", config))
	commits := st.commits

	require.NoError(t, c.CreateNode(t.Context(), "/local/n", catalog.Config{SelfCheckPeriodMillis: 2}))
	e, err := c.Lookup("/local/n")
	require.NoError(t, err)
	require.Equal(t, config, e.Config)
	require.Equal(t, store.Space(1), e.Space)
	require.Equal(t, commits, st.commits)
}

func TestCreateNode_Refused(t *testing.T) {
	t.Parallel()
	c := open(t, newMapStore())
	require.NoError(t, c.CreateNode(t.Context(), "/local/a/n", catalog.Config{}))

	create := func(path string, cfg catalog.Config) error { return c.CreateNode(t.Context(), path, cfg) }
	requireStatus(t, create("/local/a", config), node.SchemeError, "exists and is a directory")
	requireStatus(t, create("/local", config), node.SchemeError, "exists and is a directory")
	requireStatus(t, create("/local/a/n/m", config), node.SchemeError, `below the coordination node "/local/a/n"`)
	requireStatus(t, create("/local/a/n/d/m", config), node.SchemeError, `below the coordination node "/local/a/n"`)

	requireStatus(t, create("/local/m", catalog.Config{ReadConsistency: 3}), node.BadRequest, "read_consistency_mode 3")
	requireStatus(t, create("/local/m", catalog.Config{AttachConsistency: -1}), node.BadRequest,
		"attach_consistency_mode -1")
	requireStatus(t, create("/local/m", catalog.Config{RateLimiterCounters: 9}), node.BadRequest,
		"rate_limiter_counters_mode 9")
	_, err := c.Lookup("/local/m")
	requireStatus(t, err, node.SchemeError, "does not exist")
}

// TestAlterNode_ChangesSetFields checks that only the settings that are set change (N2).
func TestAlterNode_ChangesSetFields(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		changes catalog.Config
		want    func(*catalog.Config)
	}{
		"nothing":    {catalog.Config{}, func(*catalog.Config) {}},
		"self check": {catalog.Config{SelfCheckPeriodMillis: 5}, func(c *catalog.Config) { c.SelfCheckPeriodMillis = 5 }},
		"grace": {
			catalog.Config{SessionGracePeriodMillis: 5},
			func(c *catalog.Config) { c.SessionGracePeriodMillis = 5 },
		},
		"read":   {catalog.Config{ReadConsistency: 2}, func(c *catalog.Config) { c.ReadConsistency = 2 }},
		"attach": {catalog.Config{AttachConsistency: 1}, func(c *catalog.Config) { c.AttachConsistency = 1 }},
		"counters": {
			catalog.Config{RateLimiterCounters: 1},
			func(c *catalog.Config) { c.RateLimiterCounters = 1 },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := newMapStore()
			c := open(t, st)
			require.NoError(t, c.CreateNode(t.Context(), "/local/n", config))
			require.NoError(t, c.AlterNode(t.Context(), "/local/n", tc.changes))

			want := config
			tc.want(&want)
			for _, c := range []*catalog.Catalog{c, open(t, st)} {
				e, err := c.Lookup("/local/n")
				require.NoError(t, err)
				require.Equal(t, catalog.Entry{Path: "/local/n", Kind: catalog.Node, Space: 1, Config: want}, e)
			}
		})
	}
}

func TestAlterNode_Refused(t *testing.T) {
	t.Parallel()
	c := open(t, newMapStore())
	require.NoError(t, c.CreateNode(t.Context(), "/local/a/n", catalog.Config{}))

	alter := func(path string) error { return c.AlterNode(t.Context(), path, config) }
	requireStatus(t, alter("/local/m"), node.SchemeError, "does not exist")
	requireStatus(t, alter("/local/a/n/m"), node.SchemeError, "does not exist")
	requireStatus(t, alter("/local/a"), node.SchemeError, "is a directory")
	requireStatus(t, alter("/local"), node.SchemeError, "is a directory")
	requireStatus(t, c.AlterNode(t.Context(), "/local/a/n", catalog.Config{ReadConsistency: 3}), node.BadRequest,
		"read_consistency_mode 3")
}

// TestDropNode_RemovesRecords checks that the records of a node are removed in the same commit as the node, and that
// its space is not reused (N3).
func TestDropNode_RemovesRecords(t *testing.T) {
	t.Parallel()
	st := newMapStore()
	c := open(t, st)
	require.NoError(t, c.CreateNode(t.Context(), "/local/a/n", catalog.Config{}))
	require.NoError(t, c.CreateNode(t.Context(), "/local/a/m", catalog.Config{}))
	for space := store.Space(1); space <= 2; space++ {
		record := node.Record{Key: []byte("k"), Value: []byte("v")}
		require.NoError(t, st.Commit(t.Context(), store.Batch{Space: space, Changes: []node.Record{record}}))
	}
	commits := st.commits

	require.NoError(t, c.DropNode(t.Context(), "/local/a/n", 1))
	require.Equal(t, commits+1, st.commits)
	require.Empty(t, st.spaces[1])
	require.NotEmpty(t, st.spaces[2])

	for _, c := range []*catalog.Catalog{c, open(t, st)} {
		_, err := c.Lookup("/local/a/n")
		requireStatus(t, err, node.SchemeError, "does not exist")
		_, children, err := c.List("/local/a")
		require.NoError(t, err)
		require.Equal(t, []string{"/local/a/m"}, paths(children))
	}

	require.NoError(t, open(t, st).CreateNode(t.Context(), "/local/a/n", catalog.Config{}))
	e, err := open(t, st).Lookup("/local/a/n")
	require.NoError(t, err)
	require.Equal(t, store.Space(3), e.Space)
}

// TestDropNode_CounterOutlivesTheNewestNode checks that the space of the newest node is not reused either, although no
// entry contains it after a restart.
func TestDropNode_CounterOutlivesTheNewestNode(t *testing.T) {
	t.Parallel()
	st := newMapStore()
	c := open(t, st)
	require.NoError(t, c.CreateNode(t.Context(), "/local/n", catalog.Config{}))
	require.NoError(t, c.DropNode(t.Context(), "/local/n", 1))

	c = open(t, st)
	require.NoError(t, c.MakeDirectory(t.Context(), "/local/d"))
	require.NoError(t, c.CreateNode(t.Context(), "/local/n", catalog.Config{}))
	e, err := c.Lookup("/local/n")
	require.NoError(t, err)
	require.Equal(t, store.Space(2), e.Space)
}

// TestDropNode_WrongSpace checks that dropping a node that is already gone does not drop its successor at the same
// path.
func TestDropNode_WrongSpace(t *testing.T) {
	t.Parallel()
	c := open(t, newMapStore())
	require.NoError(t, c.CreateNode(t.Context(), "/local/n", catalog.Config{}))
	require.NoError(t, c.DropNode(t.Context(), "/local/n", 1))
	require.NoError(t, c.CreateNode(t.Context(), "/local/n", catalog.Config{}))

	requireStatus(t, c.DropNode(t.Context(), "/local/n", 1), node.SchemeError, "no longer exists")
	_, err := c.Lookup("/local/n")
	require.NoError(t, err)
}

func TestDropNode_Refused(t *testing.T) {
	t.Parallel()
	c := open(t, newMapStore())
	require.NoError(t, c.MakeDirectory(t.Context(), "/local/a"))
	requireStatus(t, c.DropNode(t.Context(), "/local/n", 0), node.SchemeError, "does not exist")
	requireStatus(t, c.DropNode(t.Context(), "/local/a", 0), node.SchemeError, "is a directory")
	requireStatus(t, c.DropNode(t.Context(), "/local", 0), node.SchemeError, "is a directory")
}

// TestDirectories checks MakeDirectory and RemoveDirectory (D2).
func TestDirectories(t *testing.T) {
	t.Parallel()
	st := newMapStore()
	c := open(t, st)
	require.NoError(t, c.MakeDirectory(t.Context(), "/local"))
	require.NoError(t, c.MakeDirectory(t.Context(), "/local/a/b"))
	require.NoError(t, c.MakeDirectory(t.Context(), "/local/a"))
	require.NoError(t, c.CreateNode(t.Context(), "/local/a/n", catalog.Config{}))
	requireStatus(t, c.MakeDirectory(t.Context(), "/local/a/n"), node.SchemeError, "exists and is a coordination node")
	requireStatus(t, c.MakeDirectory(t.Context(), "/local/a/n/d"), node.SchemeError, "below the coordination node")

	remove := func(path string) error { return c.RemoveDirectory(t.Context(), path) }
	requireStatus(t, remove("/local"), node.SchemeError, "is the database itself")
	requireStatus(t, remove("/local/x"), node.SchemeError, "does not exist")
	requireStatus(t, remove("/local/a/n"), node.SchemeError, "is a coordination node")
	requireStatus(t, remove("/local/a"), node.PreconditionFailed, "is not empty")
	require.NoError(t, remove("/local/a/b"))
	requireStatus(t, remove("/local/a"), node.PreconditionFailed, "is not empty")
	require.NoError(t, c.DropNode(t.Context(), "/local/a/n", 1))
	require.NoError(t, remove("/local/a"))

	for _, c := range []*catalog.Catalog{c, open(t, st)} {
		self, children, err := c.List("/local")
		require.NoError(t, err)
		require.Equal(t, catalog.Entry{Path: "/local", Kind: catalog.Directory}, self)
		require.Empty(t, children)
	}
}

func TestList_ByName(t *testing.T) {
	t.Parallel()
	c := open(t, newMapStore())
	for _, name := range []string{"b", "a-c", "a/x", "c", "B"} {
		require.NoError(t, c.CreateNode(t.Context(), "/local/"+name, catalog.Config{}))
	}
	_, children, err := c.List("/local")
	require.NoError(t, err)
	require.Equal(t, []string{"/local/B", "/local/a", "/local/a-c", "/local/b", "/local/c"}, paths(children))

	self, children, err := c.List("/local/b")
	require.NoError(t, err)
	require.Equal(t, catalog.Node, self.Kind)
	require.Empty(t, children)

	_, _, err = c.List("/local/x")
	requireStatus(t, err, node.SchemeError, "does not exist")
}

// TestOpen_Renamed checks that a store can be opened under another database name, since its paths are relative to the
// database.
func TestOpen_Renamed(t *testing.T) {
	t.Parallel()
	st := newMapStore()
	require.NoError(t, open(t, st).CreateNode(t.Context(), "/local/a/n", config))
	c, err := catalog.Open(t.Context(), st, "/prod/db")
	require.NoError(t, err)
	e, err := c.Lookup("/prod/db/a/n")
	require.NoError(t, err)
	require.Equal(t, config, e.Config)
}

// TestCommitFails_FailStop checks that the catalog refuses all calls after a failed commit, whether or not the store
// has stored it.
func TestCommitFails_FailStop(t *testing.T) {
	t.Parallel()
	for name, stored := range map[string]bool{"stored": true, "not stored": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := newMapStore()
			c := open(t, st)
			require.NoError(t, c.CreateNode(t.Context(), "/local/n", catalog.Config{}))
			st.fail(stored)

			err := c.DropNode(t.Context(), "/local/n", 1)
			requireStatus(t, err, node.Undetermined, "may or may not be stored")
			require.ErrorIs(t, err, errDisk)

			for _, err := range []error{
				c.CreateNode(t.Context(), "/local/n", catalog.Config{}),
				c.MakeDirectory(t.Context(), "/local/d"),
				second(c.Lookup("/local/n")),
				third(c.List("/local")),
			} {
				requireStatus(t, err, node.Unavailable, "earlier change")
				require.ErrorIs(t, err, errDisk)
			}
			require.Equal(t, 1, st.failures, "a failed catalog must not write")

			st.heal()
			_, err = open(t, st).Lookup("/local/n")
			require.Equal(t, stored, err != nil)
		})
	}
}

// TestChange_ContextCanceled checks that canceling the context of a change that is being written does not make its
// outcome unknown, and that a change that is waiting for its turn returns immediately.
func TestChange_ContextCanceled(t *testing.T) {
	t.Parallel()
	st := newMapStore()
	c := open(t, st)
	st.gate = make(chan struct{})
	st.arrived = make(chan struct{}, 1)

	first, leave := context.WithCancel(t.Context())
	made := make(chan error, 1)
	go func() { made <- c.MakeDirectory(first, "/local/a") }()
	<-st.arrived
	leave()

	waits, leave := context.WithCancel(t.Context())
	refused := make(chan error, 1)
	go func() { refused <- c.MakeDirectory(waits, "/local/b") }()
	leave()
	require.ErrorIs(t, <-refused, context.Canceled)

	_, err := c.Lookup("/local/a")
	requireStatus(t, err, node.SchemeError, "does not exist") // not durable yet, and Lookup does not wait
	close(st.gate)
	require.NoError(t, <-made)
	_, err = c.Lookup("/local/a")
	require.NoError(t, err)
	_, err = c.Lookup("/local/b")
	require.Error(t, err)
}

func second[T any](_ T, err error) error        { return err }
func third[T, U any](_ T, _ U, err error) error { return err }

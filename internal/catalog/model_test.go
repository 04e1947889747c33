package catalog_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"tenure/internal/catalog"
	"tenure/internal/node"
	"tenure/internal/store"
)

// TestCatalog_MatchesModel compares the catalog with a map of paths over any sequence of changes, restarts and failed
// commits.
func TestCatalog_MatchesModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, matchModel)
}

func FuzzCatalog_MatchesModel(f *testing.F) { f.Fuzz(rapid.MakeFuzz(matchModel)) }

func matchModel(t *rapid.T) {
	p := &pair{
		store: newMapStore(),
		model: model{entries: map[string]catalog.Entry{"/local": {Path: "/local", Kind: catalog.Directory}}},
	}
	p.reopen(t)
	t.Repeat(map[string]func(*rapid.T){
		"create node": func(t *rapid.T) {
			path, cfg := drawPath(t), drawConfig(t)
			p.change(t, func(m *model) node.Status { return m.create(path, cfg) },
				func(c *catalog.Catalog) error { return c.CreateNode(t.Context(), drawSpelling(t, path), cfg) })
		},
		"alter node": func(t *rapid.T) {
			path, cfg := drawPath(t), drawConfig(t)
			p.change(t, func(m *model) node.Status { return m.alter(path, cfg) },
				func(c *catalog.Catalog) error { return c.AlterNode(t.Context(), drawSpelling(t, path), cfg) })
		},
		"drop node": func(t *rapid.T) {
			path := drawPath(t)
			space := p.model.entries[path].Space
			if rapid.IntRange(0, 4).Draw(t, "other space") == 0 {
				space = store.Space(rapid.IntRange(0, 5).Draw(t, "space"))
			}
			p.change(t, func(m *model) node.Status { return m.drop(path, space) },
				func(c *catalog.Catalog) error { return c.DropNode(t.Context(), drawSpelling(t, path), space) })
		},
		"make directory": func(t *rapid.T) {
			path := drawPath(t)
			p.change(t, func(m *model) node.Status { return m.makeDirectory(path) },
				func(c *catalog.Catalog) error { return c.MakeDirectory(t.Context(), drawSpelling(t, path)) })
		},
		"remove directory": func(t *rapid.T) {
			path := drawPath(t)
			p.change(t, func(m *model) node.Status { return m.removeDirectory(path) },
				func(c *catalog.Catalog) error { return c.RemoveDirectory(t.Context(), drawSpelling(t, path)) })
		},
		"restart": p.reopen,
		"":        p.requireSame,
	})
}

// pair holds a catalog and its model side by side.
type pair struct {
	store   *mapStore
	catalog *catalog.Catalog
	model   model
}

func (p *pair) reopen(t *rapid.T) {
	c, err := catalog.Open(t.Context(), p.store, "/local")
	require.NoError(t, err)
	p.catalog = c
}

// change makes one change to both. Sometimes the store fails. The catalog is then opened again, and contains the change
// if the store does.
func (p *pair) change(t *rapid.T, modelled func(*model) node.Status, do func(*catalog.Catalog) error) {
	after := p.model.clone()
	want := modelled(&after)
	fault := rapid.SampledFrom([]string{"", "", "", "lost", "stored"}).Draw(t, "fault")
	if fault != "" {
		p.store.fail(fault == "stored")
		defer p.store.heal()
	}

	err := do(p.catalog)
	if fault != "" && !after.same(p.model) {
		requireStatus(t, err, node.Undetermined, errDisk.Error())
		_, err = p.catalog.Lookup("/local")
		requireStatus(t, err, node.Unavailable, errDisk.Error())
		if fault == "stored" {
			p.model = after
		}
		p.reopen(t)

		return
	}
	p.model = after
	if want == node.Success {
		require.NoError(t, err)

		return
	}
	requireStatus(t, err, want, "")
}

func (p *pair) requireSame(t *rapid.T) {
	var all []catalog.Entry
	var walk func(path string)
	walk = func(path string) {
		self, children, err := p.catalog.List(path)
		require.NoError(t, err)
		found, err := p.catalog.Lookup(path)
		require.NoError(t, err)
		require.Equal(t, self, found)
		all = append(all, self)
		for _, child := range children {
			walk(child.Path)
		}
	}
	walk("/local")
	slices.SortFunc(all, func(a, b catalog.Entry) int { return strings.Compare(a.Path, b.Path) })

	var want []catalog.Entry
	for _, path := range slices.Sorted(maps.Keys(p.model.entries)) {
		want = append(want, p.model.entries[path])
	}
	require.Equal(t, want, all)
}

// model holds every entry by its path.
type model struct {
	entries map[string]catalog.Entry
	last    store.Space
}

func (m *model) clone() model { return model{maps.Clone(m.entries), m.last} }

func (m *model) same(o model) bool { return maps.Equal(m.entries, o.entries) }

func (m *model) create(path string, cfg catalog.Config) node.Status {
	e := catalog.Entry{Path: path, Kind: catalog.Node, Space: m.last + 1, Config: cfg}
	status := m.add(e)
	if m.entries[path].Space == e.Space {
		m.last++
	}

	return status
}

func (m *model) makeDirectory(path string) node.Status {
	return m.add(catalog.Entry{Path: path, Kind: catalog.Directory})
}

func (m *model) add(e catalog.Entry) node.Status {
	if old, ok := m.entries[e.Path]; ok {
		if old.Kind != e.Kind {
			return node.SchemeError
		}

		return node.Success
	}
	parent := e.Path[:strings.LastIndex(e.Path, "/")]
	if status := m.makeDirectory(parent); status != node.Success {
		return status
	}
	m.entries[e.Path] = e

	return node.Success
}

func (m *model) alter(path string, cfg catalog.Config) node.Status {
	e, ok := m.entries[path]
	if !ok || e.Kind != catalog.Node {
		return node.SchemeError
	}
	if cfg.SelfCheckPeriodMillis != 0 {
		e.Config.SelfCheckPeriodMillis = cfg.SelfCheckPeriodMillis
	}
	if cfg.SessionGracePeriodMillis != 0 {
		e.Config.SessionGracePeriodMillis = cfg.SessionGracePeriodMillis
	}
	if cfg.ReadConsistency != 0 {
		e.Config.ReadConsistency = cfg.ReadConsistency
	}
	if cfg.AttachConsistency != 0 {
		e.Config.AttachConsistency = cfg.AttachConsistency
	}
	if cfg.RateLimiterCounters != 0 {
		e.Config.RateLimiterCounters = cfg.RateLimiterCounters
	}
	m.entries[path] = e

	return node.Success
}

func (m *model) drop(path string, space store.Space) node.Status {
	if e, ok := m.entries[path]; !ok || e.Kind != catalog.Node || e.Space != space {
		return node.SchemeError
	}
	delete(m.entries, path)

	return node.Success
}

func (m *model) removeDirectory(path string) node.Status {
	if e, ok := m.entries[path]; !ok || e.Kind != catalog.Directory || path == "/local" {
		return node.SchemeError
	}
	for other := range m.entries {
		if strings.HasPrefix(other, path+"/") {
			return node.PreconditionFailed
		}
	}
	delete(m.entries, path)

	return node.Success
}

func drawPath(t *rapid.T) string {
	parts := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "a-"}), 0, 3).Draw(t, "parts")

	return strings.Join(append([]string{"/local"}, parts...), "/")
}

// drawSpelling returns the path with some redundant slashes.
func drawSpelling(t *rapid.T, path string) string {
	slashes := rapid.SampledFrom([]string{"/", "/", "//"})

	return strings.ReplaceAll(path, "/", slashes.Draw(t, "slashes")) + rapid.SampledFrom([]string{"", "/"}).Draw(t, "end")
}

func drawConfig(t *rapid.T) catalog.Config {
	return catalog.Config{
		SelfCheckPeriodMillis:    rapid.Uint32Range(0, 2).Draw(t, "self check"),
		SessionGracePeriodMillis: rapid.Uint32Range(0, 2).Draw(t, "grace"),
		ReadConsistency:          catalog.Consistency(rapid.Int32Range(0, 2).Draw(t, "read")),
		AttachConsistency:        catalog.Consistency(rapid.Int32Range(0, 2).Draw(t, "attach")),
		RateLimiterCounters:      catalog.Counters(rapid.Int32Range(0, 2).Draw(t, "counters")),
	}
}

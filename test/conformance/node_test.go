package conformance_test

import (
	"strings"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	"github.com/ydb-platform/ydb-go-sdk/v3"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"
	"github.com/ydb-platform/ydb-go-sdk/v3/scheme"
)

var config = coordination.NodeConfig{
	SelfCheckPeriodMillis:    700,
	SessionGracePeriodMillis: 20_000,
	ReadConsistencyMode:      coordination.ConsistencyModeStrict,
	AttachConsistencyMode:    coordination.ConsistencyModeRelaxed,
	RatelimiterCountersMode:  coordination.RatelimiterCountersModeDetailed,
}

// N1, N4: DescribeNode returns the configuration that CreateNode was given. CreateNode creates missing directories, and
// changes nothing if the node exists.
func (s *suite) nodeDescribedAsGiven() {
	const path = "/local/a/b/full"
	require.NoError(s, s.client.CreateNode(s.ctx, path, config))
	require.NoError(s, s.client.CreateNode(s.ctx, path, coordination.NodeConfig{SelfCheckPeriodMillis: 900}))

	entry, got, err := s.client.DescribeNode(s.ctx, path)
	require.NoError(s, err)
	require.Equal(s, config, *got)
	require.Equal(s, "full", entry.Name)
	require.Equal(s, scheme.EntryCoordinationNode, entry.Type)
	require.NotEmpty(s, entry.Owner)

	_, unset, err := s.client.DescribeNode(s.ctx, node)
	require.NoError(s, err)
	require.Zero(s, *unset)
}

// N2: AlterNode changes only the fields that are set.
func (s *suite) nodeAlteredWhereSet() {
	const path = "/local/full"
	want := config
	require.NoError(s, s.client.CreateNode(s.ctx, path, config))
	for _, change := range []func(*coordination.NodeConfig){
		func(c *coordination.NodeConfig) { c.SelfCheckPeriodMillis = 900 },
		func(c *coordination.NodeConfig) { c.SessionGracePeriodMillis = 5_000 },
		func(c *coordination.NodeConfig) { c.ReadConsistencyMode = coordination.ConsistencyModeRelaxed },
		func(c *coordination.NodeConfig) { c.AttachConsistencyMode = coordination.ConsistencyModeStrict },
		func(c *coordination.NodeConfig) {
			c.RatelimiterCountersMode = coordination.RatelimiterCountersModeAggregated
		},
		func(*coordination.NodeConfig) {},
	} {
		var alter coordination.NodeConfig
		change(&alter)
		change(&want)
		require.NoError(s, s.client.AlterNode(s.ctx, path, alter))
		_, got, err := s.client.DescribeNode(s.ctx, path)
		require.NoError(s, err)
		require.Equal(s, want, *got)
	}
}

// N1 to N4: refused calls return errors with the right status.
func (s *suite) nodeRefusals() {
	const directory, missing = "/local/d", "/local/none"
	require.NoError(s, s.client.CreateNode(s.ctx, directory+"/node", coordination.NodeConfig{}))
	create := func(path string) error { return s.client.CreateNode(s.ctx, path, coordination.NodeConfig{}) }
	alter := func(path string) error { return s.client.AlterNode(s.ctx, path, config) }
	drop := func(path string) error { return s.client.DropNode(s.ctx, path) }
	describe := func(path string) error {
		entry, got, err := s.client.DescribeNode(s.ctx, path)
		require.Nil(s, entry)
		require.Nil(s, got)

		return err
	}

	for name, err := range map[string]error{
		"alter missing":      alter(missing),
		"drop missing":       drop(missing),
		"describe missing":   describe(missing),
		"create directory":   create(directory),
		"alter directory":    alter(directory),
		"drop directory":     drop(directory),
		"describe directory": describe(directory),
		"create below":       create(node + "/below"),
		"create dots":        create("/local/../none"),
	} {
		require.True(s, ydb.IsOperationErrorSchemeError(err), "%s: %v", name, err)
	}
	withPath := coordination.NodeConfig{Path: missing}
	for name, err := range map[string]error{
		"create empty":     create(""),
		"create outside":   create("/elsewhere/node"),
		"create relative":  create("local/node"),
		"create long":      create("/local/" + strings.Repeat("n", 256)),
		"create with path": s.client.CreateNode(s.ctx, missing, withPath),
		"alter with path":  s.client.AlterNode(s.ctx, node, withPath),
	} {
		require.True(s, ydb.IsOperationError(err, Ydb.StatusIds_BAD_REQUEST), "%s: %v", name, err)
	}
	require.NoError(s, create("/local/"+strings.Repeat("n", 255)))
}

// N3: dropping a node removes its semaphores and sessions. A new node at the same path starts empty.
func (s *suite) nodeDropTakesAll() {
	// The timeout is short because the official client retries without a pause until it has passed.
	session := s.session(options.WithSessionTimeout(brief / 2))
	s.semaphore(session, "slots", 5)
	lease := s.acquire(session, "slots", 2)
	const others = 5
	for range others {
		require.NoError(s, s.session().Close(s.ctx))
	}
	require.NoError(s, s.client.DropNode(s.ctx, node))
	s.ends(session.Context())
	s.ends(lease.Context())

	require.NoError(s, s.client.CreateNode(s.ctx, node, coordination.NodeConfig{}))
	again := s.session()
	require.LessOrEqual(s, again.SessionID(), uint64(others), "a new node numbers its sessions from 1")
	s.semaphore(again, "slots", 7)
	require.Equal(s, &coordination.SemaphoreDescription{Name: "slots", Limit: 7}, described(s.describe(again, "slots")))
}

// described replaces empty lists in a description with nil, so that require.Equal can compare it.
func described(d *coordination.SemaphoreDescription) *coordination.SemaphoreDescription {
	if len(d.Owners) == 0 {
		d.Owners = nil
	}
	if len(d.Waiters) == 0 {
		d.Waiters = nil
	}
	if len(d.Data) == 0 {
		d.Data = nil
	}

	return d
}

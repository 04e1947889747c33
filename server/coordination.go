package server

import (
	"context"
	"fmt"

	"github.com/ydb-platform/ydb-go-genproto/Ydb_Coordination_V1"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
	"google.golang.org/protobuf/proto"

	"tenure/internal/access"
	"tenure/internal/audit"
	"tenure/internal/catalog"
	"tenure/internal/node"
)

// coordinationService serves Ydb.Coordination.V1.CoordinationService. This file has its unary calls (N1 to N4).
type coordinationService struct {
	Ydb_Coordination_V1.UnimplementedCoordinationServiceServer

	server *Server
}

func (c *coordinationService) CreateNode(
	ctx context.Context, r *Ydb_Coordination.CreateNodeRequest,
) (*Ydb_Coordination.CreateNodeResponse, error) {
	op := c.server.answerAbout(ctx, func() (proto.Message, error) {
		if err := c.server.needToCreate(ctx, r.GetPath(), access.CreateNode); err != nil {
			return nil, err
		}
		if err := c.server.nodes.recordable(); err != nil {
			return nil, err
		}
		cfg, err := nodeConfig(r.GetConfig())
		if err != nil {
			return nil, err
		}

		_, lookup := c.server.catalog.Lookup(r.GetPath())
		err = c.server.catalog.CreateNode(ctx, r.GetPath(), cfg)
		if err == nil && lookup != nil { // otherwise it existed
			c.server.nodes.env.audit.Write(audit.Event{
				Kind: audit.NodeCreate, Node: r.GetPath(), User: callerOf(ctx).name(), Peer: host(ctx),
			})
			err = c.server.nodes.recorded(ctx)
		}

		return nil, err
	})

	return &Ydb_Coordination.CreateNodeResponse{Operation: op}, nil
}

// AlterNode changes settings. A new grace period takes effect when the node is loaded again.
func (c *coordinationService) AlterNode(
	ctx context.Context, r *Ydb_Coordination.AlterNodeRequest,
) (*Ydb_Coordination.AlterNodeResponse, error) {
	op := c.server.answer(ctx, func() (proto.Message, error) {
		if err := c.server.need(ctx, r.GetPath(), access.Alter); err != nil {
			return nil, err
		}
		if r.GetConfig() == nil {
			return nil, badRequest("Missing changes to coordination node config")
		}
		changes, err := nodeConfig(r.GetConfig())
		if err != nil {
			return nil, err
		}

		return nil, c.server.catalog.AlterNode(ctx, r.GetPath(), changes)
	})

	return &Ydb_Coordination.AlterNodeResponse{Operation: op}, nil
}

func (c *coordinationService) DropNode(
	ctx context.Context, r *Ydb_Coordination.DropNodeRequest,
) (*Ydb_Coordination.DropNodeResponse, error) {
	op := c.server.answer(ctx, func() (proto.Message, error) {
		if err := c.server.need(ctx, r.GetPath(), access.Remove); err != nil {
			return nil, err
		}
		if err := c.server.nodes.recordable(); err != nil {
			return nil, err
		}
		if err := c.server.nodes.drop(ctx, r.GetPath()); err != nil {
			return nil, err
		}

		return nil, c.server.nodes.recorded(ctx)
	})

	return &Ydb_Coordination.DropNodeResponse{Operation: op}, nil
}

func (c *coordinationService) DescribeNode(
	ctx context.Context, r *Ydb_Coordination.DescribeNodeRequest,
) (*Ydb_Coordination.DescribeNodeResponse, error) {
	op := c.server.answerAbout(ctx, func() (proto.Message, error) {
		if err := c.server.need(ctx, r.GetPath(), access.List); err != nil {
			return nil, err
		}
		e, err := c.server.catalog.Lookup(r.GetPath())
		if err != nil {
			return nil, err
		}
		if e.Kind != catalog.Node {
			return nil, &catalog.Error{
				Status: node.SchemeError, Issue: fmt.Sprintf("path %q is a directory, not a coordination node", e.Path),
			}
		}

		return &Ydb_Coordination.DescribeNodeResult{
			Self: c.server.schemeEntry(e),
			Config: &Ydb_Coordination.Config{
				SelfCheckPeriodMillis:    e.Config.SelfCheckPeriodMillis,
				SessionGracePeriodMillis: e.Config.SessionGracePeriodMillis,
				ReadConsistencyMode:      Ydb_Coordination.ConsistencyMode(e.Config.ReadConsistency),
				AttachConsistencyMode:    Ydb_Coordination.ConsistencyMode(e.Config.AttachConsistency),
				RateLimiterCountersMode:  Ydb_Coordination.RateLimiterCountersMode(e.Config.RateLimiterCounters),
			},
		}, nil
	})

	return &Ydb_Coordination.DescribeNodeResponse{Operation: op}, nil
}

func nodeConfig(c *Ydb_Coordination.Config) (catalog.Config, error) {
	if c.GetPath() != "" {
		return catalog.Config{}, badRequest("Setting path is not allowed")
	}

	return catalog.Config{
		SelfCheckPeriodMillis:    c.GetSelfCheckPeriodMillis(),
		SessionGracePeriodMillis: c.GetSessionGracePeriodMillis(),
		ReadConsistency:          catalog.Consistency(c.GetReadConsistencyMode()),
		AttachConsistency:        catalog.Consistency(c.GetAttachConsistencyMode()),
		RateLimiterCounters:      catalog.Counters(c.GetRateLimiterCountersMode()),
	}, nil
}

func badRequest(issue string) error { return &catalog.Error{Status: node.BadRequest, Issue: issue} }

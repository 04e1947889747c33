package server

import (
	"context"

	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Discovery"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Scheme"

	"tenure/internal/access"
	"tenure/internal/catalog"
	"tenure/internal/node"
)

// ownerOfPaths returns the owner of all paths. The server does not record who has created a path.
func (s *Server) ownerOfPaths() string {
	if s.access == nil {
		return anonymous
	}

	return access.OwnName
}

// permissions returns the rights of everybody on a path. Without users, everybody has all of them (Z3).
func (s *Server) permissions(path string) []*Ydb_Scheme.Permissions {
	grants := []access.Permission{{Subject: access.AllUsers, Rights: access.Full}}
	if s.access != nil {
		grants = s.access.Policy().Permissions(path)
	}
	permissions := make([]*Ydb_Scheme.Permissions, 0, len(grants))
	for _, g := range grants {
		permissions = append(permissions, &Ydb_Scheme.Permissions{Subject: g.Subject, PermissionNames: g.Rights.Names()})
	}

	return permissions
}

// whoAmI describes the caller of ctx.
func (s *Server) whoAmI(ctx context.Context) *Ydb_Discovery.WhoAmIResult {
	user := callerOf(ctx).user
	if user == nil {
		return &Ydb_Discovery.WhoAmIResult{User: anonymous}
	}
	rights := user.Rights(s.catalog.Database())

	return &Ydb_Discovery.WhoAmIResult{
		User: user.Name, Groups: user.Groups,
		IsAdministrationAllowed: rights.Has(access.Full),
		IsMonitoringAllowed:     rights.Has(access.List),
		IsViewerAllowed:         rights.Has(access.List),
	}
}

func unsupported(issue string) error { return &catalog.Error{Status: node.Unsupported, Issue: issue} }

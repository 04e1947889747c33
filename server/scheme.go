package server

import (
	"context"

	"github.com/ydb-platform/ydb-go-genproto/Ydb_Scheme_V1"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Scheme"
	"google.golang.org/protobuf/proto"

	"tenure/internal/access"
	"tenure/internal/catalog"
)

// anonymous is the user of every request to a server without users, and the owner of its paths. YDB uses the same name.
const anonymous = "anonymous"

// schemeService serves Ydb.Scheme.V1.SchemeService (D2).
type schemeService struct {
	Ydb_Scheme_V1.UnimplementedSchemeServiceServer

	server *Server
}

func (s *schemeService) MakeDirectory(
	ctx context.Context, r *Ydb_Scheme.MakeDirectoryRequest,
) (*Ydb_Scheme.MakeDirectoryResponse, error) {
	op := s.server.answerAbout(ctx, func() (proto.Message, error) {
		if err := s.server.needToCreate(ctx, r.GetPath(), access.CreateDirectory); err != nil {
			return nil, err
		}

		return nil, s.server.catalog.MakeDirectory(ctx, r.GetPath())
	})

	return &Ydb_Scheme.MakeDirectoryResponse{Operation: op}, nil
}

func (s *schemeService) RemoveDirectory(
	ctx context.Context, r *Ydb_Scheme.RemoveDirectoryRequest,
) (*Ydb_Scheme.RemoveDirectoryResponse, error) {
	op := s.server.answer(ctx, func() (proto.Message, error) {
		if err := s.server.need(ctx, r.GetPath(), access.Remove); err != nil {
			return nil, err
		}

		return nil, s.server.catalog.RemoveDirectory(ctx, r.GetPath())
	})

	return &Ydb_Scheme.RemoveDirectoryResponse{Operation: op}, nil
}

// entrySize estimates the bytes that an entry of a list takes until it is sent. There are several copies.
const entrySize = 1 << 10

// ListDirectory lists a node as an empty directory, like YDB.
func (s *schemeService) ListDirectory(
	ctx context.Context, r *Ydb_Scheme.ListDirectoryRequest,
) (*Ydb_Scheme.ListDirectoryResponse, error) {
	op := s.server.answerAbout(ctx, func() (proto.Message, error) {
		if err := s.server.need(ctx, r.GetPath(), access.List); err != nil {
			return nil, err
		}
		if err := s.server.charge(ctx, s.server.catalog.Children(r.GetPath())*entrySize); err != nil {
			return nil, err
		}
		self, children, err := s.server.catalog.List(r.GetPath())
		if err != nil {
			return nil, err
		}
		result := &Ydb_Scheme.ListDirectoryResult{Self: s.server.schemeEntry(self)}
		for _, child := range children {
			result.Children = append(result.Children, s.server.schemeEntry(child))
		}

		return result, nil
	})

	return &Ydb_Scheme.ListDirectoryResponse{Operation: op}, nil
}

func (s *schemeService) DescribePath(
	ctx context.Context, r *Ydb_Scheme.DescribePathRequest,
) (*Ydb_Scheme.DescribePathResponse, error) {
	op := s.server.answerAbout(ctx, func() (proto.Message, error) {
		if err := s.server.need(ctx, r.GetPath(), access.List); err != nil {
			return nil, err
		}
		e, err := s.server.catalog.Lookup(r.GetPath())
		if err != nil {
			return nil, err
		}

		return &Ydb_Scheme.DescribePathResult{Self: s.server.schemeEntry(e)}, nil
	})

	return &Ydb_Scheme.DescribePathResponse{Operation: op}, nil
}

// ModifyPermissions is refused: rights have one source.
func (s *schemeService) ModifyPermissions(
	ctx context.Context, _ *Ydb_Scheme.ModifyPermissionsRequest,
) (*Ydb_Scheme.ModifyPermissionsResponse, error) {
	op := s.server.answer(ctx, func() (proto.Message, error) {
		if s.server.access == nil {
			return nil, unsupported("this server has no users: every caller has all rights. Start it with --tokens FILE")
		}

		return nil, unsupported("permissions are in the server's tokens file: change them there")
	})

	return &Ydb_Scheme.ModifyPermissionsResponse{Operation: op}, nil
}

func (s *Server) schemeEntry(e catalog.Entry) *Ydb_Scheme.Entry {
	kind := Ydb_Scheme.Entry_DIRECTORY
	switch {
	case e.Kind == catalog.Node:
		kind = Ydb_Scheme.Entry_COORDINATION_NODE
	case e.Path == s.catalog.Database():
		kind = Ydb_Scheme.Entry_DATABASE
	}

	return &Ydb_Scheme.Entry{
		Name:                 e.Name(),
		Owner:                s.ownerOfPaths(),
		Type:                 kind,
		EffectivePermissions: s.permissions(e.Path),
	}
}

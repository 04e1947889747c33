package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Operations"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"tenure/internal/catalog"
	"tenure/internal/node"
	"tenure/internal/wire"
)

// answerAbout is answer for a call that reads the tree. The tree has all changes that any server has acknowledged.
func (s *Server) answerAbout(ctx context.Context, call func() (proto.Message, error)) *Ydb_Operations.Operation {
	return s.answer(ctx, func() (proto.Message, error) {
		if err := s.catalog.Sync(ctx); err != nil {
			return nil, err
		}

		return call()
	})
}

// answer checks the database that the request names, makes a unary call, and returns its result or its error. The call
// checks the caller's rights. If the client has given the call up, answer does nothing: a client that makes many
// expensive calls and goes away must not keep the server busy, least of all when it stops.
func (s *Server) answer(ctx context.Context, call func() (proto.Message, error)) *Ydb_Operations.Operation {
	if err := ctx.Err(); err != nil {
		return operation(nil, err)
	}
	if err := s.checkDatabase(ctx); err != nil {
		return operation(nil, err)
	}
	if err := s.allowCall(callerOf(ctx).name(), address(ctx)); err != nil {
		return operation(nil, err)
	}
	result, err := call()
	if refused, ok := errors.AsType[*catalog.Error](err); ok && refused.Status == node.Undetermined {
		if !s.catalog.Common() {
			s.fail(err)
		}
	}

	return operation(result, err)
}

// checkDatabase refuses a request whose header names another database (N6). An empty name means this database, as it
// does in YDB.
func (s *Server) checkDatabase(ctx context.Context) error {
	for _, name := range metadata.ValueFromIncomingContext(ctx, "x-ydb-database") {
		if err := s.checkDatabaseName(name); err != nil {
			return err
		}
	}

	return nil
}

func (s *Server) checkDatabaseName(name string) error {
	if name == "" {
		return nil
	}
	if path, err := catalog.Clean(name); err != nil || path != s.catalog.Database() {
		return &catalog.Error{
			Status: node.NotFound,
			Issue:  fmt.Sprintf("database %.300q is not served here: use %q", name, s.catalog.Database()),
		}
	}

	return nil
}

// operation returns the answer to a unary call. The operation is always complete, and has no id because there is
// nothing to poll for.
func operation(result proto.Message, err error) *Ydb_Operations.Operation {
	if err != nil {
		status := node.Unavailable // the context has ended, and nothing was done
		if refused, ok := errors.AsType[*catalog.Error](err); ok {
			status = refused.Status
		}

		return &Ydb_Operations.Operation{Ready: true, Status: wire.Status(status), Issues: wire.Issues(err.Error())}
	}
	op := &Ydb_Operations.Operation{Ready: true, Status: wire.Status(node.Success)}
	if result != nil {
		if op.Result, err = anypb.New(result); err != nil {
			return operation(nil, fmt.Errorf("encode the result: %w", err))
		}
	}

	return op
}

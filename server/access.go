package server

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"tenure/internal/access"
	"tenure/internal/catalog"
	"tenure/internal/filewatch"
	"tenure/internal/node"
	"tenure/internal/serverconfig"
)

// accessFile is a tokens file and what is known of it.
type accessFile struct {
	name  string
	watch *filewatch.Watcher
}

// openAccess reads the tokens file. Without one, it leaves the server without users.
func (s *Server) openAccess(c *serverconfig.Config) error {
	if c.Tokens == nil {
		s.tokens.watch = filewatch.New(s.clock)

		return nil
	}
	s.tokens = accessFile{*c.Tokens, filewatch.New(s.clock, *c.Tokens)}
	policy, err := access.Load(s.tokens.name)
	if err != nil {
		return err
	}
	config := access.AuthorityConfig{Database: s.catalog.Database(), Lifetime: c.TokenLifetime}
	if uid := os.Getuid(); uid >= 0 { // negative on systems without user ids
		config.OwnUIDs = []uint32{uint32(uid)}
	}
	if s.front != nil { // a client may log in to one server and show the token to another one
		if config.Key, err = s.front.key.Derive("logins", access.KeySize); err != nil {
			return err
		}
	}
	if c.DataDir != nil { // logins outlive a restart
		if config.Key, err = access.LoadKey(filepath.Join(*c.DataDir, "login.key")); err != nil {
			return err
		}
	}
	s.access = access.NewAuthority(policy, config)
	s.warn(policy)

	return nil
}

// Reload reads the tokens file again. If the file has an error, the server keeps the users and rights that it has, and
// Reload returns the error, which names the line. Otherwise new rights apply to the next request of each stream, and
// the streams of callers who are no longer in the file end. A server without the option [WithTokensFile] does nothing.
//
// The server also notices a changed file by itself within a few seconds.
func (s *Server) Reload() error {
	if s.access == nil {
		s.revoke()

		return nil
	}
	policy, err := access.Load(s.tokens.name)
	if err != nil {
		return err
	}
	if policy.Hash() != s.access.Policy().Hash() {
		s.access.Replace(policy)
		s.quota.Change(s.clock.Now(), s.userLimits())
		s.log.InfoContext(context.Background(), "tokens file loaded", "file", s.tokens.name, "hash", policy.Hash(),
			"users", policy.Users())
		s.warn(policy)
	}
	s.revoke()

	return nil
}

func (s *Server) warn(policy *access.Policy) {
	for _, w := range policy.Warnings(s.catalog.Database(), s.date()) {
		s.log.WarnContext(context.Background(), "a line of the tokens file has no effect", "cause", w.Text,
			"file", s.tokens.name, "line", w.Line)
	}
}

// watchAccess follows the tokens file, the expiry of tokens and the authorities of clients until ctx ends.
func (s *Server) watchAccess(ctx context.Context) {
	s.tokens.watch.Watch(ctx, func(changed bool) {
		if !changed {
			s.revoke()
		} else if err := s.Reload(); err != nil {
			s.log.ErrorContext(ctx, "tokens file not loaded: users and rights stay as they were", "error", err)
			s.revoke()
		}
	})
}

// revoke ends the streams of callers whose token, certificate or uid no longer identifies a user, or whose certificate
// is no longer trusted.
func (s *Server) revoke() {
	if s.access == nil && s.trusts == nil {
		return
	}
	for stream := range s.nodes.streams() {
		stream.checkAccess()
	}
	if s.front != nil {
		s.front.revoke()
	}
}

// Failures for a stream whose caller is no longer known, or no longer trusted.
var (
	revoked = node.Failure{
		Status: node.Unauthorized,
		Issue:  "Access was withdrawn: what identified the caller is no longer in the server's tokens file, or has expired",
	}
	distrusted = node.Failure{
		Status: node.Unauthorized,
		Issue:  "Access was withdrawn: the server no longer trusts the authority that signed the caller's certificate",
	}
)

// checkAccess ends the stream if its caller is no longer known, or no longer trusted.
func (s *stream) checkAccess() {
	failure, err := s.pass.withdrawn()
	if err == nil {
		return
	}
	s.log().InfoContext(s.grpc.Context(), "stream ended: the caller's access was withdrawn",
		"user", s.pass.caller.name(), "cause", err)
	s.because(endAccess)
	s.die(failure)
}

// need returns an error unless the caller of ctx has the rights on the path, which need not exist.
func (s *Server) need(ctx context.Context, path string, rights access.Rights) error {
	if s.access == nil {
		return nil
	}
	path, err := s.catalog.Clean(path)
	if err != nil {
		return err
	}
	if !s.rights(ctx, path).Has(rights) {
		return s.denied(ctx, path, rights)
	}

	return nil
}

// needToCreate returns an error unless the caller of ctx may create the path and those directories above it that are
// missing. Rights on a path that does not exist yet count too, so that a grant can name what its user is to create.
func (s *Server) needToCreate(ctx context.Context, path string, rights access.Rights) error {
	if s.access == nil {
		return nil
	}
	path, err := s.catalog.Clean(path)
	if err != nil {
		return err
	}
	missing, in, err := s.catalog.FirstMissing(path)
	if err != nil {
		return err
	}
	if missing != path && missing != "" && !(s.rights(ctx, in) | s.rights(ctx, missing)).Has(access.CreateDirectory) {
		return s.denied(ctx, missing, access.CreateDirectory)
	}
	if !(s.rights(ctx, catalog.Parent(path)) | s.rights(ctx, path)).Has(rights) {
		return s.denied(ctx, path, rights)
	}

	return nil
}

// rights returns the rights of the caller of ctx on a clean path.
func (s *Server) rights(ctx context.Context, path string) access.Rights {
	user := callerOf(ctx).user
	if user == nil {
		return 0
	}

	return user.Rights(path)
}

// denied reports that the caller of ctx lacks the rights on the path, and returns the error for the caller.
func (s *Server) denied(ctx context.Context, path string, rights access.Rights) error {
	if s.denials.lacks(callerOf(ctx).name(), host(ctx), path, rights.String()) {
		if err := s.nodes.recorded(ctx); err != nil {
			return err
		}
	}

	return &catalog.Error{
		Status: node.Unauthorized,
		Issue: fmt.Sprintf("Access denied for %s on path %s: a grant of %s is missing in the server's tokens file",
			callerOf(ctx).user.Name, path, rights),
	}
}

package server

import (
	"context"

	"tenure/internal/access"
	"tenure/internal/node"
)

// pass knows what the caller of a stream may do on the stream's node. Changed rights apply to the next request. It is
// used by one goroutine at a time.
type pass struct {
	server *Server
	caller *caller
	peer   string
	path   string // of the node

	of     *access.Policy // the policy that rights come from
	rights access.Rights
}

// passTo returns the pass of a caller for the node at a path.
func (s *Server) passTo(ctx context.Context, path string) pass {
	return pass{server: s, caller: callerOf(ctx), peer: host(ctx), path: path}
}

// withdrawn returns the error, and the Failure for the caller, if the caller is no longer known or trusted.
func (p *pass) withdrawn() (node.Failure, error) {
	if !trusted(p.server.trusts, p.caller.certificate) {
		return distrusted, &access.DeniedError{Reason: access.UntrustedCertificate, Shown: p.caller.shown}
	}
	if p.server.access != nil {
		if _, err := p.server.access.Again(p.caller.shown, p.server.date()); err != nil {
			return revoked, err
		}
	}

	return node.Failure{}, nil
}

func (p *pass) current() access.Rights {
	if p.server.access == nil { // everybody may do everything
		return access.Full
	}
	if policy := p.server.access.Policy(); policy != p.of {
		p.of, p.rights = policy, 0
		if user, err := p.server.access.Again(p.caller.shown, p.server.date()); err == nil {
			p.rights = user.Rights(p.path)
		}
	}

	return p.rights
}

// noAccess is the Failure for an attach of a caller without rights on the node (Z1).
var noAccess = node.Failure{Status: node.Unauthorized, Issue: "User has no access to the coordination node"}

// refuse returns the result of a request for which the caller lacks the right, or nil if the caller has it (Z2), and
// whether the audit log has a line about that.
func (p *pass) refuse(req node.Request) (result node.Message, reported bool) {
	need, issue := needed(req)
	if p.current().Has(need) {
		return nil, false
	}
	reported = p.server.denials.lacks(p.caller.name(), p.peer, p.path, need.String())

	return refused(req, node.Unauthorized, issue), reported
}

// enter reports whether the caller may attach to the node, for which any right is enough (Z1), and if not, whether the
// audit log has a line about that.
func (p *pass) enter() (allowed, reported bool) {
	if p.current().Any() {
		return true, false
	}

	return false, p.server.denials.lacks(p.caller.name(), p.peer, p.path, "any right")
}

// needed returns the right that a request needs, and the text for callers without it.
func needed(req node.Request) (access.Rights, string) {
	switch req.(type) {
	case node.Acquire, node.Release:
		return access.Update, "Write permission denied"
	case node.Describe:
		return access.Read, "Read permission denied"
	case node.Create:
		return access.Update, "Create permission denied"
	case node.Update:
		return access.Update, "Update permission denied"
	case node.Delete:
		return access.Erase, "Delete permission denied"
	default:
		return 0, "" // to stop one's session needs no right
	}
}

package doctor

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"

	"tenure/internal/ydberr"
)

// A Patient is a server with the settings of a lock.
type Patient struct {
	Client coordination.Client
	Path   string        // coordination node
	User   string        // the name that the server has for the caller; empty: it has no users
	Limit  time.Duration // of each request

	node string // where the checks work: the node, or one of doctor's own
	name string // of the semaphores that they use
}

// sessionTimeout is that of the sessions of the checks, which have nothing to lose.
const sessionTimeout = 5 * time.Second

// Rights tries what lock does, and says which right is missing. If the node exists, it uses a semaphore of its own
// there, because rights may differ between nodes. The semaphore disappears with the session. Otherwise it uses a node
// of its own in the same directory, which done removes. It must not create the node in Path: it could not remove it
// again without harm to those who have begun to use it. Usable reports whether the other checks can work.
func (p *Patient) Rights(ctx context.Context) (lines []Line, usable bool, done func() []Line) {
	const check = "rights"
	id := make([]byte, 6)
	rand.Read(id) // never fails
	p.name = ".doctor-" + hex.EncodeToString(id)
	p.node, done = p.Path, func() []Line { return nil }
	var missing []string
	switch err := p.look(ctx); {
	case err == nil:
	case ydberr.NoNode(err):
		if line, created := p.create(ctx); !created {
			return []Line{line}, false, done
		}
		done = func() []Line { return p.drop(context.WithoutCancel(ctx)) }
		lines = append(lines, ok("node", "%s does not exist yet: lock creates it", p.Path))
	case ydberr.Is(err, Ydb.StatusIds_UNAUTHORIZED):
		missing = append(missing, "list")
	default:
		return []Line{p.failed("node", err)}, false, done
	}
	denied, err := p.tryLock(ctx)
	switch missing = append(missing, denied...); {
	case err != nil:
		lines = append(lines, p.failed(check, err))
	case len(missing) > 0:
		lines = append(lines, Line{
			Check: check, Result: Bad,
			Found: fmt.Sprintf("%s has not the right to %s on %s", p.who(), strings.Join(missing, " and to "), p.node),
			Do:    p.grant(p.Path, missing...),
		})
	default:
		lines = append(lines, ok(check, "%s may acquire and renew locks on %s", p.who(), p.node))
	}

	return lines, err == nil && len(denied) == 0, done
}

func (p *Patient) who() string {
	if p.User == "" {
		return "the caller"
	}

	return "user " + p.User
}

// grant returns the advice for a right that is missing.
func (p *Patient) grant(path string, words ...string) string {
	user := p.User
	if user == "" {
		user = "USER"
	}

	return fmt.Sprintf(`add to the server's tokens file: "grant %s %s %s"`, user, path, strings.Join(words, " "))
}

// failed returns the line for a request that has failed for another reason than a right.
func (p *Patient) failed(check string, err error) Line {
	l := Line{Check: check, Result: Bad, Found: ydberr.Said(err), Do: "look at the log of the server"}
	switch {
	case ydberr.Unimplemented(err):
		l.Found = "the server has no coordination service (" + l.Found + ")"
		l.Do = "check the address: it is that of another gRPC server"
	case ydberr.Denied(err):
		l.Do = "check --auth-token-file, the YDB_* variables and the rights of the user"
	case ydberr.Silent(err), ydberr.Unreachable(err):
		l.Do = "check that the server is not stopped or overloaded, and the network"
	case ydberr.Is(err, Ydb.StatusIds_SCHEME_ERROR, Ydb.StatusIds_BAD_REQUEST):
		l.Do = "check --path or TENURE_PATH"
	}

	return l
}

func (p *Patient) look(ctx context.Context) error {
	ctx, cancel := p.limited(ctx)
	defer cancel()
	_, _, err := p.Client.DescribeNode(ctx, p.Path)

	return err
}

func (p *Patient) limited(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, p.Limit, fmt.Errorf("no answer within %v", p.Limit))
}

// create creates the node of doctor's own.
func (p *Patient) create(ctx context.Context) (line Line, created bool) {
	ctx, cancel := p.limited(ctx)
	defer cancel()
	dir := path.Dir(p.Path)
	p.node = dir + "/" + p.name
	err := p.Client.CreateNode(ctx, p.node, coordination.NodeConfig{})
	switch {
	case err == nil:
		return line, true
	case ydberr.Is(err, Ydb.StatusIds_UNAUTHORIZED):
		return Line{
			Check: "node", Result: Bad,
			Found: fmt.Sprintf("%s does not exist, and %s may not create nodes in %s, so its rights cannot be tried", p.Path,
				p.who(), dir),
			Do: fmt.Sprintf("create the node with \"tenure node create %s\", or %s", p.Path, p.grant(dir, "create")),
		}, false
	}

	return p.failed("node", err), false
}

// drop removes the node of doctor's own.
func (p *Patient) drop(ctx context.Context) []Line {
	ctx, cancel := p.limited(ctx)
	defer cancel()
	if err := p.Client.DropNode(ctx, p.node); err != nil {
		return []Line{{
			Check: "node", Result: Warn, Found: fmt.Sprintf("cannot remove the node %s: %s", p.node, ydberr.Text(err)),
			Do: "remove it with \"tenure node drop --force " + p.node + "\"",
		}}
	}

	return nil
}

// session opens a session for checks.
func (p *Patient) session(ctx context.Context) (coordination.Session, error) {
	ctx, cancel := p.limited(ctx)
	defer cancel()

	return p.Client.Session(ctx, p.node, options.WithSessionTimeout(sessionTimeout),
		options.WithDescription("tenure doctor"))
}

// tryLock acquires a lock and looks at it, as lock does. It returns the names of the rights that are missing.
func (p *Patient) tryLock(ctx context.Context) (denied []string, err error) {
	session, err := p.session(ctx)
	if ydberr.Is(err, Ydb.StatusIds_UNAUTHORIZED) {
		return []string{"use"}, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = session.Close(context.WithoutCancel(ctx)) }() // it times out otherwise
	ctx, cancel := p.limited(ctx)
	defer cancel()
	lease, err := session.AcquireSemaphore(ctx, p.name, coordination.Exclusive, options.WithEphemeral(true))
	switch {
	case ydberr.Is(err, Ydb.StatusIds_UNAUTHORIZED):
		denied = append(denied, "write")
	case err != nil:
		return nil, err
	default:
		defer func() { _ = lease.Release() }()
	}
	_, err = session.DescribeSemaphore(ctx, p.name)
	switch {
	case ydberr.Is(err, Ydb.StatusIds_UNAUTHORIZED):
		denied = append(denied, "read")
	case err != nil && !ydberr.Is(err, Ydb.StatusIds_NOT_FOUND):
		return nil, err
	}

	return denied, nil
}

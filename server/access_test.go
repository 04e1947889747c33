package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/Ydb_Auth_V1"
	"github.com/ydb-platform/ydb-go-genproto/Ydb_Coordination_V1"
	"github.com/ydb-platform/ydb-go-genproto/Ydb_Discovery_V1"
	"github.com/ydb-platform/ydb-go-genproto/Ydb_Scheme_V1"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Auth"
	pb "github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Discovery"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Issue"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Scheme"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"tenure/internal/access"
	"tenure/internal/audit"
	"tenure/internal/bubbletest"
	"tenure/internal/serverconfig"
	"tenure/server"
)

// users is a tokens file, and the tokens in it.
type users struct {
	t      *testing.T
	file   string
	tokens map[string]string // by user
}

// usersFile returns a tokens file with one user, root, who has all rights.
func usersFile(t *testing.T) *users {
	t.Helper()
	u := &users{t: t, file: filepath.Join(t.TempDir(), "tokens"), tokens: make(map[string]string)}
	u.write(u.line("root"), "grant root / full")

	return u
}

// line returns the line of a user with a token. The user has the same token in all lines.
func (u *users) line(name string, more ...string) string {
	if u.tokens[name] == "" {
		u.tokens[name], _ = access.NewToken()
	}

	return fmt.Sprintf("user %s token=%s %s", name, access.HashToken(u.tokens[name]), strings.Join(more, " "))
}

// write replaces the file as editors do.
func (u *users) write(lines ...string) {
	u.t.Helper()
	require.NoError(u.t, os.WriteFile(u.file+"~", []byte(strings.Join(lines, "\n")+"\n"), 0o600))
	require.NoError(u.t, os.Rename(u.file+"~", u.file))
}

// granted writes a file with root and a user who has the rights on the path.
func (u *users) granted(name, path, rights string) {
	u.t.Helper()
	u.write(u.line("root"), "grant root / full", u.line(name), "grant "+name+" "+path+" "+rights)
}

// ticketed adds a user's token to the calls of a connection.
type ticketed struct {
	grpc.ClientConnInterface

	ticket string
}

func (c ticketed) with(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "x-ydb-auth-ticket", c.ticket)
}

func (c ticketed) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	return c.ClientConnInterface.Invoke(c.with(ctx), method, args, reply, opts...)
}

func (c ticketed) NewStream(
	ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption,
) (grpc.ClientStream, error) {
	return c.ClientConnInterface.NewStream(c.with(ctx), desc, method, opts...)
}

// as returns a connection whose calls show the ticket.
func (h *harness) as(ticket string) grpc.ClientConnInterface { return ticketed{h.conn, ticket} }

// serveUsers starts a server with the users, and creates its node.
func serveUsers(t *testing.T, u *users, opts ...server.Option) *harness {
	t.Helper()
	h := start(t, append(opts, server.WithTokensFile(u.file))...)
	h.client = Ydb_Coordination_V1.NewCoordinationServiceClient(h.as(u.tokens["root"]))
	h.createNode(t)

	return h
}

// openAs opens a stream of the user.
func (h *harness) openAs(t *testing.T, ticket string) *session {
	t.Helper()
	as := *h
	as.client = Ydb_Coordination_V1.NewCoordinationServiceClient(h.as(ticket))

	return as.open(t)
}

// attachAs attaches a new session of the user.
func (h *harness) attachAs(t *testing.T, ticket string) *session {
	t.Helper()
	s := h.openAs(t, ticket)
	s.send(startMessage(h.node, 0, time.Minute))
	s.id = s.recv().GetSessionStarted().GetSessionId()
	require.NotZero(t, s.id)

	return s
}

// call makes a unary call as the user and returns its status and issue.
func call(ctx context.Context, conn grpc.ClientConnInterface, name, path string) (Ydb.StatusIds_StatusCode, string) {
	nodes, paths := Ydb_Coordination_V1.NewCoordinationServiceClient(conn), Ydb_Scheme_V1.NewSchemeServiceClient(conn)
	var a answered
	var err error
	switch name {
	case "CreateNode":
		a, err = nodes.CreateNode(ctx, &pb.CreateNodeRequest{Path: path})
	case "AlterNode":
		a, err = nodes.AlterNode(ctx, &pb.AlterNodeRequest{Path: path, Config: &pb.Config{}})
	case "DropNode":
		a, err = nodes.DropNode(ctx, &pb.DropNodeRequest{Path: path})
	case "DescribeNode":
		a, err = nodes.DescribeNode(ctx, &pb.DescribeNodeRequest{Path: path})
	case "MakeDirectory":
		a, err = paths.MakeDirectory(ctx, &Ydb_Scheme.MakeDirectoryRequest{Path: path})
	case "RemoveDirectory":
		a, err = paths.RemoveDirectory(ctx, &Ydb_Scheme.RemoveDirectoryRequest{Path: path})
	case "ListDirectory":
		a, err = paths.ListDirectory(ctx, &Ydb_Scheme.ListDirectoryRequest{Path: path})
	case "DescribePath":
		a, err = paths.DescribePath(ctx, &Ydb_Scheme.DescribePathRequest{Path: path})
	case "ModifyPermissions":
		a, err = paths.ModifyPermissions(ctx, &Ydb_Scheme.ModifyPermissionsRequest{Path: path})
	}
	if err != nil {
		return 0, err.Error()
	}
	issue := ""
	if issues := a.GetOperation().GetIssues(); len(issues) > 0 {
		issue = issues[0].GetMessage()
	}

	return a.GetOperation().GetStatus(), issue
}

// Each unary call needs one right. With every other right it is refused, whether the path exists or not.
func TestAccess_UnaryCalls(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ call, right, path, missing string }{
		{"CreateNode", "create_table", "/local/new", ""},
		{"AlterNode", "alter_schema", "/local/test", "/local/x"},
		{"DropNode", "remove_schema", "/local/test", "/local/x"},
		{"DescribeNode", "describe_schema", "/local/test", "/local/x"},
		{"MakeDirectory", "create_directory", "/local/new", ""},
		{"RemoveDirectory", "remove_schema", "/local/dir", "/local/x"},
		{"ListDirectory", "describe_schema", "/local/test", "/local/x"},
		{"DescribePath", "describe_schema", "/local", "/local/x"},
	} {
		t.Run(test.call, func(t *testing.T) {
			t.Parallel()
			u := usersFile(t)
			h := serveUsers(t, u)
			status, issue := call(t.Context(), h.as(u.tokens["root"]), "MakeDirectory", "/local/dir")
			require.Equal(t, Ydb.StatusIds_SUCCESS, status, issue)

			others := []string{"ydb.access.grant"}
			for _, right := range []string{
				"select_row", "update_row", "erase_row", "describe_schema", "create_table", "create_directory",
				"alter_schema", "remove_schema",
			} {
				if right != test.right {
					others = append(others, "ydb.granular."+right)
				}
			}
			u.granted("ann", "/local", strings.Join(others, " "))
			require.NoError(t, h.server.Reload())
			ann := h.as(u.tokens["ann"])
			for _, path := range []string{test.path, test.missing} {
				if path == "" {
					continue
				}
				status, issue = call(t.Context(), ann, test.call, path)
				require.Equal(t, Ydb.StatusIds_UNAUTHORIZED, status, issue)
				require.Equal(t, fmt.Sprintf("Access denied for ann on path %s: a grant of ydb.granular.%s is missing in the "+
					"server's tokens file", path, test.right), issue)
			}

			u.granted("ann", "/local", "ydb.granular."+test.right)
			require.NoError(t, h.server.Reload())
			status, issue = call(t.Context(), ann, test.call, test.path)
			require.Equal(t, Ydb.StatusIds_SUCCESS, status, issue)
		})
	}
}

// A grant on a path that does not exist yet lets its user create it, and directories above it only where a grant
// includes them.
func TestAccess_Create(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		grant, path string
		want        Ydb.StatusIds_StatusCode
	}{
		{"/local create", "/local/a/b/c", Ydb.StatusIds_SUCCESS},
		{"/local/a create", "/local/a", Ydb.StatusIds_SUCCESS},
		{"/local/a create", "/local/a/b/c", Ydb.StatusIds_SUCCESS},
		{"/local/a create", "/local/ab", Ydb.StatusIds_UNAUTHORIZED},
		{"/local/a/b create", "/local/a/b", Ydb.StatusIds_UNAUTHORIZED}, // /local/a is missing
		{"/local/test/b create", "/local/test", Ydb.StatusIds_UNAUTHORIZED},
		{"/local ydb.granular.create_table", "/local/a", Ydb.StatusIds_SUCCESS},
		{"/local ydb.granular.create_table", "/local/a/b", Ydb.StatusIds_UNAUTHORIZED},
		{"/local create", "/elsewhere", Ydb.StatusIds_BAD_REQUEST},
		{"/local create", "local/a", Ydb.StatusIds_BAD_REQUEST},
		{"/local create", "", Ydb.StatusIds_BAD_REQUEST},
	} {
		t.Run(test.grant+" for "+test.path, func(t *testing.T) {
			t.Parallel()
			u := usersFile(t)
			h := serveUsers(t, u)
			path, rights, _ := strings.Cut(test.grant, " ")
			u.granted("ann", path, rights)
			require.NoError(t, h.server.Reload())
			status, issue := call(t.Context(), h.as(u.tokens["ann"]), "CreateNode", test.path)
			require.Equal(t, test.want, status, issue)
		})
	}
}

// Each request of a session needs a right. Without it the request gets a result, and the stream continues (Z2).
func TestAccess_Requests(t *testing.T) {
	t.Parallel()
	for text, test := range map[string]struct {
		others string // what the user has
		send   *pb.SessionRequest
		result func(*pb.SessionResponse) result
	}{
		"Write permission denied": {
			"select_row erase_row", acquireMessage(7, "a", 0),
			func(m *pb.SessionResponse) result { return m.GetAcquireSemaphoreResult() },
		},
		"Write permission denied ": {
			"select_row erase_row", releaseMessage(7, "a"),
			func(m *pb.SessionResponse) result { return m.GetReleaseSemaphoreResult() },
		},
		"Read permission denied": {
			"update_row erase_row", describeMessage(7, "a"),
			func(m *pb.SessionResponse) result { return m.GetDescribeSemaphoreResult() },
		},
		"Create permission denied": {
			"select_row erase_row", createMessage(7, "a"),
			func(m *pb.SessionResponse) result { return m.GetCreateSemaphoreResult() },
		},
		"Update permission denied": {
			"select_row erase_row", updateMessage(7, "a", nil),
			func(m *pb.SessionResponse) result { return m.GetUpdateSemaphoreResult() },
		},
		"Delete permission denied": {
			"select_row update_row", deleteMessage(7, "a"),
			func(m *pb.SessionResponse) result { return m.GetDeleteSemaphoreResult() },
		},
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			u := usersFile(t)
			h := serveUsers(t, u)
			u.granted("ann", h.node, "ydb.granular."+strings.ReplaceAll(test.others, " ", " ydb.granular."))
			require.NoError(t, h.server.Reload())
			s := h.attachAs(t, u.tokens["ann"])
			s.send(test.send)
			r := test.result(s.recv())
			require.Equal(t, uint64(7), r.GetReqId())
			require.Equal(t, Ydb.StatusIds_UNAUTHORIZED, r.GetStatus())
			require.Equal(t, strings.TrimSpace(text), r.GetIssues()[0].GetMessage())

			u.granted("ann", h.node, "use")
			require.NoError(t, h.server.Reload())
			s.send(test.send)
			r = test.result(s.recv())
			require.Equal(t, uint64(7), r.GetReqId())
			require.NotEqual(t, Ydb.StatusIds_UNAUTHORIZED, r.GetStatus())
		})
	}
}

// Every refusal for a missing right is in the audit log, whatever kind of request it was.
func TestAccess_Denied(t *testing.T) {
	t.Parallel()
	var text bytes.Buffer
	log, err := audit.Open(audit.Config{Writer: &text})
	require.NoError(t, err)
	u := usersFile(t)
	h := serveUsers(t, u, func(c *serverconfig.Config) { c.Audit = log })
	u.granted("ann", h.node, "list")
	require.NoError(t, h.server.Reload())
	s := h.openAs(t, u.tokens["ann"])
	s.send(startMessage(h.node, 0, time.Minute))
	s.requireFailure(Ydb.StatusIds_UNAUTHORIZED, "User has no access to the coordination node")
	status, _ := call(t.Context(), h.as(u.tokens["ann"]), "DropNode", h.node)
	require.Equal(t, Ydb.StatusIds_UNAUTHORIZED, status)
	u.granted("ann", h.node, "read")
	require.NoError(t, h.server.Reload())
	s = h.attachAs(t, u.tokens["ann"])
	s.send(acquireMessage(7, "a", 0))
	require.Equal(t, Ydb.StatusIds_UNAUTHORIZED, s.recv().GetAcquireSemaphoreResult().GetStatus())
	h.stop(t)
	require.NoError(t, log.Close())

	var denied []string
	for line := range strings.Lines(text.String()) {
		var e audit.Event
		require.NoError(t, json.Unmarshal([]byte(line), &e))
		if e.Kind == audit.Denied {
			denied = append(denied, fmt.Sprintf("%s %s %s %t", e.User, e.Node, e.Reason, e.Peer != ""))
		}
	}
	require.Equal(t, []string{
		"ann " + h.node + " needs any right true",
		"ann " + h.node + " needs ydb.granular.remove_schema true",
		"ann " + h.node + " needs ydb.granular.update_row true",
	}, denied)
}

// A caller with no right to use a node cannot attach to it. Whether the node exists is checked first (A3, Z1).
func TestAccess_Attach(t *testing.T) {
	t.Parallel()
	u := usersFile(t)
	h := serveUsers(t, u)
	u.granted("ann", h.node, "list create")
	require.NoError(t, h.server.Reload())
	s := h.openAs(t, u.tokens["ann"])
	s.send(startMessage(h.node, 0, time.Minute))
	s.requireFailure(Ydb.StatusIds_UNAUTHORIZED, "User has no access to the coordination node")
	s = h.openAs(t, u.tokens["ann"])
	s.send(startMessage("/local/x", 0, time.Minute))
	s.requireFailure(Ydb.StatusIds_NOT_FOUND, "Kesus not found")

	for _, right := range []string{"read", "write", "ydb.granular.erase_row"} {
		u.granted("ann", h.node, right)
		require.NoError(t, h.server.Reload())
		h.attachAs(t, u.tokens["ann"])
	}
}

// Nothing but a log-in and a probe is answered without a token. Unknown and expired tokens get the same answer.
func TestAccess_Unidentified(t *testing.T) {
	t.Parallel()
	u := usersFile(t)
	h := serveUsers(t, u)
	u.write(u.line("root"), "grant root / full", u.line("ann", "expires=2001-01-01"), "grant ann / full")
	require.NoError(t, h.server.Reload())
	other, _ := access.NewToken()
	const unknown = "Could not find correct token validator"
	for ticket, text := range map[string]string{
		"": "Access denied without user token", other: unknown, u.tokens["ann"]: unknown, "root": unknown,
	} {
		conn := h.as(ticket)
		_, err := Ydb_Discovery_V1.NewDiscoveryServiceClient(conn).ListEndpoints(t.Context(),
			&Ydb_Discovery.ListEndpointsRequest{Database: "/local"})
		requireUnauthenticated(t, err, text)
		err = conn.Invoke(t.Context(), "/Ydb.Table.V1.TableService/CreateSession", &pb.Config{}, &pb.Config{})
		requireUnauthenticated(t, err, text)
		stream := h.openAs(t, ticket)
		_ = stream.trySend(startMessage(h.node, 0, time.Minute)) // the stream may have ended already
		_, err = stream.grpc.Recv()
		requireUnauthenticated(t, err, text)
		_, err = grpc_health_v1.NewHealthClient(conn).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{})
		require.NoError(t, err)
	}
}

func requireUnauthenticated(t *testing.T, err error, text string) {
	t.Helper()
	require.Equal(t, codes.Unauthenticated, status.Code(err), "%v", err)
	require.Equal(t, text, status.Convert(err).Message())
}

// A stream ends immediately when its user or token has left the file. Other streams stay, and so do the sessions.
func TestAccess_Withdrawn(t *testing.T) {
	t.Parallel()
	u := usersFile(t)
	bubbletest.Test(t, func(t *testing.T) {
		h := serveUsers(t, u)
		u.granted("ann", h.node, "use")
		require.NoError(t, h.server.Reload())
		root, ann := h.attachAs(t, u.tokens["root"]), h.attachAs(t, u.tokens["ann"])
		ann.requireAcquired("a")

		u.write(u.line("root"), "grant root / full", "user ann token="+access.HashToken("another"), "grant ann /local use")
		began := time.Now()
		require.NoError(t, h.server.Reload())
		ann.requireFailure(Ydb.StatusIds_UNAUTHORIZED, withdrawn)
		require.Zero(t, time.Since(began))
		root.requirePending("a") // the session of ann holds it until its timeout
	})
}

// A file with an error changes nothing.
func TestReload_Error(t *testing.T) {
	t.Parallel()
	u := usersFile(t)
	h := serveUsers(t, u)
	s := h.attachAs(t, u.tokens["root"])
	u.write("usr root")
	require.ErrorContains(t, h.server.Reload(), u.file+":1: ")
	s.requireAcquired("a")

	require.NoError(t, os.Remove(u.file))
	require.ErrorContains(t, h.server.Reload(), u.file)
	h.attachAs(t, u.tokens["root"])
}

const withdrawn = "Access was withdrawn: what identified the caller is no longer in the server's tokens file, " +
	"or has expired"

// The server follows the file by itself: within 5 s of a change, and of the end of a token.
func TestAccess_FollowsFile(t *testing.T) {
	t.Parallel()
	u := usersFile(t)
	bubbletest.Test(t, func(t *testing.T) {
		h := serveUsers(t, u)
		end := time.Now().Add(time.Minute)
		ann := []string{u.line("ann", "expires="+end.UTC().Format(time.RFC3339)), "grant ann / full"}
		root := []string{u.line("root"), "grant root / full"}
		u.write(slices.Concat(root, ann, []string{u.line("bob"), "grant bob / full"})...)
		time.Sleep(5 * time.Second)
		s := h.attachAs(t, u.tokens["bob"])
		u.write(slices.Concat(root, ann)...)
		began := time.Now()
		s.requireFailure(Ydb.StatusIds_UNAUTHORIZED, withdrawn)
		require.LessOrEqual(t, time.Since(began), 5*time.Second)

		s = h.attachAs(t, u.tokens["ann"])
		require.Equal(t, withdrawn, s.recv().GetFailure().GetIssues()[0].GetMessage())
		s.requireEnd()
		require.GreaterOrEqual(t, time.Since(end), time.Duration(0))
		require.LessOrEqual(t, time.Since(end), 5*time.Second)
	})
}

// horse is the hash of the password "correct horse".
const horse = "$2a$10$EGylFlC5kS5pdgxFmQamX.6wIz9H07wtq41vbFGcbCJMvnBxBP5Lu"

// A user logs in with a password and shows the token that the server returns.
func TestLogin(t *testing.T) {
	t.Parallel()
	u := usersFile(t)
	h := serveUsers(t, u)
	ann := "user ann password=" + horse
	u.write(u.line("root"), "grant root / full", ann, "grant ann /local use")
	require.NoError(t, h.server.Reload())
	auth := Ydb_Auth_V1.NewAuthServiceClient(h.conn)

	for user, wrong := range map[string]string{"ann": "horse", "bob": "correct horse", "root": ""} {
		r, err := auth.Login(t.Context(), &Ydb_Auth.LoginRequest{User: user, Password: wrong})
		requireRefused(t, r, err, Ydb.StatusIds_UNAUTHORIZED, "Invalid user or password")
	}
	var login Ydb_Auth.LoginResult
	r, err := auth.Login(t.Context(), &Ydb_Auth.LoginRequest{User: "ann", Password: "correct horse"})
	requireSuccess(t, r, err, &login)
	s := h.attachAs(t, login.GetToken())

	u.write(u.line("root"), "grant root / full", u.line("ann"), "grant ann /local use") // without the password
	require.NoError(t, h.server.Reload())
	s.requireFailure(Ydb.StatusIds_UNAUTHORIZED, withdrawn)
}

// Without a tokens file there is nobody to log in, and nothing to change in permissions.
func TestLogin_NoUsers(t *testing.T) {
	t.Parallel()
	h := serve(t)
	r, err := Ydb_Auth_V1.NewAuthServiceClient(h.conn).Login(t.Context(), &Ydb_Auth.LoginRequest{User: "ann"})
	requireRefused(t, r, err, Ydb.StatusIds_UNSUPPORTED, "this server has no users")
	status, issue := call(t.Context(), h.conn, "ModifyPermissions", "/local")
	require.Equal(t, Ydb.StatusIds_UNSUPPORTED, status)
	require.Contains(t, issue, "this server has no users")
	require.NoError(t, h.server.Reload())
}

// Callers see who they are and what the file grants. They cannot change it.
func TestAccess_Shown(t *testing.T) {
	t.Parallel()
	u := usersFile(t)
	h := serveUsers(t, u)
	u.write(u.line("root"), "grant root / full", u.line("ann", "groups=ops"), "grant ops /local list read",
		"grant all /local/test use")
	require.NoError(t, h.server.Reload())
	ann := h.as(u.tokens["ann"])
	var who Ydb_Discovery.WhoAmIResult
	r, err := Ydb_Discovery_V1.NewDiscoveryServiceClient(ann).WhoAmI(t.Context(), &Ydb_Discovery.WhoAmIRequest{})
	requireSuccess(t, r, err, &who)
	require.Equal(t, "ann", who.GetUser())
	require.Equal(t, []string{"ops"}, who.GetGroups())
	require.False(t, who.GetIsAdministrationAllowed())
	require.True(t, who.GetIsViewerAllowed())

	var self Ydb_Scheme.DescribePathResult
	described, err := Ydb_Scheme_V1.NewSchemeServiceClient(ann).DescribePath(t.Context(),
		&Ydb_Scheme.DescribePathRequest{Path: h.node})
	requireSuccess(t, described, err, &self)
	var shown []string
	for _, p := range self.GetSelf().GetEffectivePermissions() {
		shown = append(shown, p.GetSubject()+": "+strings.Join(p.GetPermissionNames(), " "))
	}
	require.Equal(t, []string{
		"all-users@well-known: ydb.generic.read ydb.tables.modify", "ops: ydb.generic.read", "root: ydb.generic.full",
	}, shown)

	status, issue := call(t.Context(), h.as(u.tokens["root"]), "ModifyPermissions", "/local")
	require.Equal(t, Ydb.StatusIds_UNSUPPORTED, status)
	require.Equal(t, "permissions are in the server's tokens file: change them there", issue)
}

// A server does not start with a tokens file that it cannot use.
func TestNew_TokensFile(t *testing.T) {
	t.Parallel()
	u := usersFile(t)
	require.NoError(t, os.Chmod(u.file, 0o644))
	_, err := server.New(server.WithTokensFile(u.file))
	require.ErrorContains(t, err, u.file)
	u.write("# nobody")
	_, err = server.New(server.WithTokensFile(u.file))
	require.ErrorContains(t, err, u.file)
}

// result is implemented by every result of a request.
type result interface {
	GetReqId() uint64
	GetStatus() Ydb.StatusIds_StatusCode
	GetIssues() []*Ydb_Issue.IssueMessage
}

func releaseMessage(req uint64, name string) *pb.SessionRequest {
	return &pb.SessionRequest{Request: &pb.SessionRequest_ReleaseSemaphore_{
		ReleaseSemaphore: &pb.SessionRequest_ReleaseSemaphore{ReqId: req, Name: name},
	}}
}

func createMessage(req uint64, name string) *pb.SessionRequest {
	return &pb.SessionRequest{Request: &pb.SessionRequest_CreateSemaphore_{
		CreateSemaphore: &pb.SessionRequest_CreateSemaphore{ReqId: req, Name: name, Limit: 1},
	}}
}

func deleteMessage(req uint64, name string) *pb.SessionRequest {
	return &pb.SessionRequest{Request: &pb.SessionRequest_DeleteSemaphore_{
		DeleteSemaphore: &pb.SessionRequest_DeleteSemaphore{ReqId: req, Name: name},
	}}
}

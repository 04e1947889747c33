package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"

	embed "tenure"
	"tenure/internal/cli"
	"tenure/internal/cli/clitest"
	"tenure/internal/httpd"
	"tenure/internal/look"
	"tenure/internal/serverconfig"
	"tenure/server"
	"tenure/tenuretest"
)

// A place is a server to look at: the flags that name it, and a client of it.
type place struct {
	name   string
	flags  []string
	client *embed.Client
}

// places returns a server that only the protocol can be used for, and the embedded one.
func places(t *testing.T) []place {
	t.Helper()
	s, dir := tenuretest.NewServer(t), stateDir(t)

	return []place{
		{"server", []string{"--ydb", s.DSN()}, s.Client(t)},
		{"embedded", []string{"--dir", dir}, embeddedClient(t, dir)},
		withAdmin(t),
	}
}

// Commands work over a Unix socket.
func TestSocket(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "socket")
	startServing(t, nil, "--listen", "127.0.0.1:0", "--memory", "--socket", path)
	p := place{name: "socket", flags: []string{"--ydb", "unix://" + path}}
	for line, want := range map[string]string{
		"semaphore create --limit 4 build": "",
		"node describe /local/none":        "tenure: node \"/local/none\" does not exist\n",
		"status":                           "server unix://" + path + " answers\n",
	} {
		_, output := p.run(t, strings.Fields(line)...)
		require.Contains(t, output, want, line)
	}
	_, output := p.run(t, "who", "build")
	require.Equal(t, "\"build\" is free, 0 of 4 taken\n", output)
}

// withAdmin returns a server with an admin address.
func withAdmin(t *testing.T) place {
	t.Helper()
	hooks := &serverconfig.Admin{}
	srv, err := server.New(func(c *serverconfig.Config) { c.Admin = hooks })
	require.NoError(t, err)
	web := httpd.New(httpd.Config{
		Server: srv, Admin: hooks, Version: "test", Local: true, Logger: slog.New(slog.DiscardHandler),
	})
	var serving sync.WaitGroup
	listen := func(serve func(net.Listener) error) (address string) {
		lis, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		serving.Go(func() { _ = serve(lis) })

		return lis.Addr().String()
	}
	dsn, page := "grpc://"+listen(srv.Serve)+"/local", "http://"+listen(web.Serve)
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		web.Close(ctx)
		require.NoError(t, srv.Stop(ctx))
		serving.Wait()
	})
	c, err := embed.Open(t.Context(), dsn)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close(context.WithoutCancel(t.Context()))) })

	return place{"admin", []string{"--ydb", dsn, "--admin", page}, c}
}

// run runs a command at the place, and returns its exit code and all its output.
func (p place) run(t *testing.T, line ...string) (code int, output string) {
	t.Helper()
	var words []string
	for i, word := range line { // the flags stand behind the name of the command
		words = append(words, word)
		if i == len(line)-1 || i == 0 && line[0] != "semaphore" && line[0] != "node" && line[0] != "session" || i == 1 {
			words = append(words, p.flags...)
			words = append(words, line[i+1:]...)

			break
		}
	}
	code, stdout, stderr := tenureRun(t, map[string]string{"HOME": "/home/me"}, words...)

	return code, stdout + stderr
}

// session opens a session on the default node.
func (p place) session(t *testing.T, description string) coordination.Session {
	t.Helper()
	require.NoError(t, p.client.CreateNode(t.Context(), "/local/tenure", coordination.NodeConfig{}))
	s, err := p.client.Session(t.Context(), "/local/tenure", options.WithDescription(description))
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close(context.WithoutCancel(t.Context())) })

	return s
}

// lock acquires the semaphore as lock does.
func lock(t *testing.T, s coordination.Session, name, data string) coordination.Lease {
	t.Helper()
	lease, err := s.AcquireSemaphore(t.Context(), name, coordination.Exclusive, options.WithEphemeral(true),
		options.WithAcquireData([]byte(data)))
	require.NoError(t, err)

	return lease
}

// waiter makes the session wait for the semaphore.
func waiter(t *testing.T, s coordination.Session, name string) {
	t.Helper()
	go func() { // ends with the session
		_, _ = s.AcquireSemaphore(t.Context(), name, coordination.Exclusive, options.WithEphemeral(true),
			options.WithAcquireData([]byte("bob")))
	}()
	require.Eventually(t, func() bool {
		d, err := s.DescribeSemaphore(t.Context(), name, options.WithDescribeWaiters(true))

		return err == nil && len(d.Waiters) == 1
	}, soon, time.Millisecond)
}

func TestWho(t *testing.T) {
	t.Parallel()
	for _, p := range places(t) {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			code, output := p.run(t, "who", "deploy")
			require.Equal(t, "\"deploy\" is free\n", output)
			require.Equal(t, exitFree, code)
			_, _, err := p.client.DescribeNode(t.Context(), "/local/tenure")
			require.Error(t, err, "who does not create the node")

			lease := lock(t, p.session(t, "first"), "deploy",
				"alice@ci, pid 4 (x), since "+time.Now().Add(-time.Hour-time.Second).UTC().Format(time.RFC3339))
			waiter(t, p.session(t, "second"), "deploy")
			code, output = p.run(t, "who", "deploy")
			require.Regexp(t, `^"deploy" is held, 1 waiting
  PLACE   WHO                  FOR +TOKEN  SESSION
  holder  alice@ci, pid 4 \(x\)  (1h0m|\ds) +1 +\d+
  1       bob                  (-|\ds) +2 +\d+
$`, output)
			require.Equal(t, cli.ExitOK, code)

			_, output = p.run(t, "who", "-o", "json", "deploy")
			var s look.Semaphore
			require.NoError(t, json.Unmarshal([]byte(output), &s))
			require.NotContains(t, output, "limit", "an exclusive lock has none, and jq could not read it")
			require.Equal(t, uint64(1), s.Holders[0].Token)
			since := time.Now()
			if p.name == "server" { // only the client says so
				since = since.Add(-time.Hour)
			}
			require.WithinDuration(t, since, *s.Holders[0].Since, time.Minute)
			require.Equal(t, "bob", s.Waiters[0].Who)
			require.NoError(t, lease.Context().Err())
		})
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for _, p := range places(t) {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			s := p.session(t, "holder")
			require.NoError(t, lock(t, s, "deploy", "alice").Release())
			lock(t, s, "deploy", "alice") // token 2
			for token, want := range map[string]struct {
				code  int
				state string
				text  string
			}{
				"2": {cli.ExitOK, "held", `token 2 holds "deploy"`},
				"1": {exitOlder, "older", `token 1 does not hold "deploy": token 2 does (alice)`},
				"3": {exitUnknown, "unknown", `token 3 does not hold "deploy" yet: token 2 does (alice)`},
			} {
				code, output := p.run(t, "check", "deploy", token)
				require.Equal(t, want.text+"\n", output)
				require.Equal(t, want.code, code)
				code, output = p.run(t, "check", "-o", "json", "deploy", token)
				require.Contains(t, output, fmt.Sprintf(`{"name":"deploy","token":%s,"state":%q,`, token, want.state))
				require.Equal(t, want.code, code)
			}
			code, output := p.run(t, "check", "other", "1")
			require.Equal(t, "\"other\" is free\n", output)
			require.Equal(t, exitUnknown, code)
		})
	}
}

// watch prints each change, also of a semaphore that does not exist yet, and says how many grants it may have missed.
func TestWatch(t *testing.T) {
	t.Parallel()
	for _, p := range places(t) {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			w := clitest.Start(t, build, append([]string{"watch", "-o", "json"}, append(p.flags, "deploy")...)...)
			next := func() (c look.Change) {
				require.NoError(t, json.Unmarshal([]byte(w.Next(t)), &c))

				return c
			}
			require.False(t, next().Held)
			first, second := p.session(t, "first"), p.session(t, "second")
			lease := lock(t, first, "deploy", "alice")
			c := next()
			require.Equal(t, "alice", c.Holders[0].Who)
			require.Zero(t, c.Unseen)
			waiter(t, second, "deploy")
			require.NoError(t, lease.Release())
			c = next()
			require.Equal(t, "bob", c.Holders[0].Who)
			require.Zero(t, c.Unseen)

			require.NoError(t, second.Close(t.Context()))
			require.False(t, next().Held)
			w.Interrupt()
			lines, code := w.Wait(t)
			require.Empty(t, lines)
			require.Equal(t, cli.ExitOK, code)
		})
	}
}

// The protocol cannot list semaphores.
func TestLs(t *testing.T) {
	t.Parallel()
	for _, p := range places(t) {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			s := p.session(t, "holder")
			lock(t, s, "deploy/a", "alice")
			require.NoError(t, s.CreateSemaphore(t.Context(), "build", 4))
			_, err := s.AcquireSemaphore(t.Context(), "build", 3)
			require.NoError(t, err)
			code, output := p.run(t, "ls")
			if p.name == "server" {
				require.Equal(t, cli.ExitFailure, code)
				require.Equal(t, "tenure: tenure ls needs the admin address of the server, because the protocol has no "+
					"request for it: pass that of \"tenure serve --http\" with --admin or TENURE_ADMIN\n", output)

				return
			}
			require.Equal(t, `NODE           NAME      HELD BY  FOR  TOKEN  TAKEN   WAITING
/local/tenure  build     holder   0s   2      3 of 4
/local/tenure  deploy/a  alice    0s   1      -
`, strings.ReplaceAll(output, "1s", "0s"))
			require.Equal(t, cli.ExitOK, code)
			_, output = p.run(t, "ls", "-o", "json", "d*a")
			require.Equal(t, 1, strings.Count(output, "\n"))
			require.Contains(t, output, `{"node":"/local/tenure","name":"deploy/a","held":true,`)
			_, output = p.run(t, "ls", "--path", "/local/other")
			require.Empty(t, output)
		})
	}
}

func TestSemaphore(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "data")
	require.NoError(t, os.WriteFile(file, []byte("from a file"), 0o600))
	for _, p := range places(t) {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			expect := func(code int, output string, line ...string) {
				t.Helper()
				gotCode, got := p.run(t, line...)
				require.Equal(t, output, got, line)
				require.Equal(t, code, gotCode, line)
			}
			expect(cli.ExitFailure, "tenure: --limit is missing: write e.g. tenure semaphore create --limit 4 build\n",
				"semaphore", "create", "build")
			expect(cli.ExitFailure, "tenure: --limit=0 is out of range: must be 1 or more\n",
				"semaphore", "create", "--limit", "0", "build")
			_, output := p.run(t, "semaphore", "create", "--no-create", "--limit", "2", "build")
			require.Regexp(t, `^tenure: .*/local/tenure.*node does not exist\n$`, output)
			expect(cli.ExitOK, "", "semaphore", "create", "--limit", "2", "--data", "hello", "build")
			expect(exitRefused, "tenure: semaphore \"build\" already exists: its limit cannot be changed, and tenure "+
				"semaphore set changes its data\n", "semaphore", "create", "--limit", "3", "build")
			expect(exitFree, "\"build\" is free, 0 of 2 taken, data \"hello\"\n", "who", "build")
			expect(cli.ExitOK, "", "semaphore", "set", "--data", "@"+file, "build")
			expect(exitFree, "\"build\" is free, 0 of 2 taken, data \"from a file\"\n", "who", "build")
			expect(cli.ExitFailure, "tenure: --data=\"@/none\": open /none: no such file or directory\n",
				"semaphore", "set", "--data", "@/none", "build")
			expect(exitRefused, "tenure: semaphore \"other\" does not exist\n", "semaphore", "set", "--data", "x", "other")

			s := p.session(t, "holder")
			_, err := s.AcquireSemaphore(t.Context(), "build", 1, options.WithAcquireData([]byte("alice")))
			require.NoError(t, err)
			expect(exitRefused, "tenure: semaphore \"build\" is in use: tenure who shows by whom, and --force deletes it "+
				"all the same\n", "semaphore", "delete", "build")
			expect(cli.ExitOK, "tenure: alice has lost \"build\", token 1, and may still be running\n",
				"semaphore", "delete", "--force", "build")
			expect(exitRefused, "tenure: semaphore \"build\" does not exist\n", "semaphore", "delete", "build")
			lock(t, s, "deploy", "alice")
			expect(exitRefused, "tenure: semaphore \"deploy\" is a lock without a limit, which disappears by itself when "+
				"nobody uses it\n", "semaphore", "delete", "--force", "deploy")
		})
	}
}

func TestNode(t *testing.T) {
	t.Parallel()
	for _, p := range places(t) {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			expect := func(code int, output string, line ...string) {
				t.Helper()
				gotCode, got := p.run(t, append([]string{"node"}, line...)...)
				require.Equal(t, output, got, line)
				require.Equal(t, code, gotCode, line)
			}
			expect(cli.ExitOK, "", "create", "--session-grace-period", "20s", "/local/app")
			expect(cli.ExitOK, "", "alter", "--read-consistency", "strict", "/local/app")
			_, output := p.run(t, "node", "describe", "-o", "json", "/local/app")
			require.JSONEq(t, `{"path": "/local/app", "owner": "`+ownerIn(t, output)+`", "session_grace_period_ms": 20000,
				"read_consistency": "strict"}`, output)
			expect(cli.ExitFailure, "tenure: no setting is given: write e.g. tenure node alter --session-grace-period 20s "+
				"PATH\n", "alter", "/local/app")
			expect(cli.ExitFailure, "tenure: --read-consistency=\"x\" must be strict or relaxed\n",
				"alter", "--read-consistency", "x", "/local/app")
			expect(cli.ExitFailure, "tenure: PATH=\"app\" is not absolute: write /local/app\n", "describe", "app")
			expect(exitRefused, "tenure: node \"/local/none\" does not exist\n", "describe", "/local/none")

			session, err := p.client.Session(t.Context(), "/local/app")
			require.NoError(t, err)
			t.Cleanup(func() { _ = session.Close(context.WithoutCancel(t.Context())) })
			what := "may have sessions"
			if p.name != "server" {
				what = "has 1 session"
			}
			expect(exitRefused, "tenure: node \"/local/app\" "+what+", whose locks would be lost: --force drops it all "+
				"the same\n", "drop", "/local/app")
			expect(cli.ExitOK, "", "drop", "--force", "/local/app")
			<-session.Context().Done()
			expect(exitRefused, "tenure: node \"/local/app\" does not exist\n", "drop", "--force", "/local/app")
		})
	}
}

func ownerIn(t *testing.T, object string) string {
	t.Helper()
	var d described
	require.NoError(t, json.Unmarshal([]byte(object), &d))

	return d.Owner
}

// release and session end take a semaphore from its holder. The next waiter gets it.
func TestRelease(t *testing.T) {
	t.Parallel()
	for _, p := range places(t) {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			first, second := p.session(t, "first"), p.session(t, "second")
			lease := lock(t, first, "deploy", "alice")
			waiter(t, second, "deploy")
			if p.name == "server" {
				code, output := p.run(t, "release", "deploy")
				require.Regexp(t, "^tenure: tenure release needs the admin address of the server, .*\n$", output)
				require.Equal(t, cli.ExitFailure, code)

				return
			}
			expect := func(code int, output string, line ...string) {
				t.Helper()
				gotCode, got := p.run(t, line...)
				require.Equal(t, output, got, line)
				require.Equal(t, code, gotCode, line)
			}
			one, two := first.SessionID(), second.SessionID()
			expect(exitRefused, "tenure: token 7 does not hold \"deploy\": tenure who deploy shows which does\n",
				"release", "--token", "7", "deploy")
			expect(exitRefused, "tenure: \"other\" is free\n", "release", "other")
			_, output := p.run(t, "session", "ls", "-o", "json")
			require.Contains(t, output, fmt.Sprintf(`{"node":"/local/tenure","session":%d,"connected":true,`+
				`"description":"second","holds":[],"waits":["deploy"]}`, two))
			expect(cli.ExitOK, fmt.Sprintf("tenure: alice has lost \"deploy\", token 1, with its session %d, and may still "+
				"be running\n", one), "release", "--token", "1", "deploy")
			<-lease.Context().Done()
			expect(exitRefused, fmt.Sprintf("tenure: node \"/local/tenure\" has no session %d\n", one),
				"session", "end", fmt.Sprint(one))
			expect(cli.ExitOK, "token 2 holds \"deploy\"\n", "check", "deploy", "2")
			expect(cli.ExitOK, fmt.Sprintf("tenure: session %d is ended; its client may still be running\n", two),
				"session", "end", fmt.Sprint(two))
			<-second.Context().Done()
			expect(cli.ExitFailure, "tenure: ID=\"x\" is not the id of a session: tenure session ls shows them\n",
				"session", "end", "x")
		})
	}
}

// A semaphore with several holders is released only by token.
func TestVictim(t *testing.T) {
	t.Parallel()
	s := look.Free("build")
	s.Held = true
	s.Holders = []look.Holder{{Token: 1, Session: 3}, {Token: 2, Session: 4}}
	_, err := victim(s, 0)
	require.EqualError(t, err, `"build" has 2 holders: choose one with --token`)
	h, err := victim(s, 2)
	require.NoError(t, err)
	require.Equal(t, uint64(4), h.Session)
}

// A token is not sent to another machine in clear text.
func TestAdmin_ClearText(t *testing.T) {
	t.Parallel()
	code, _, stderr := tenureRun(t, map[string]string{"YDB_ACCESS_TOKEN_CREDENTIALS": "secret"},
		"ls", "--ydb", "grpc://10.0.0.7:2136/local", "--admin", "http://10.0.0.7:8136")
	require.Equal(t, cli.ExitFailure, code)
	require.Equal(t, "tenure: --admin=\"http://10.0.0.7:8136\" would send the access token to another machine in clear "+
		"text: write https:// if the server has a certificate, or forward its port to this machine, for example with "+
		"ssh -L, and write http://localhost\n", stderr)
}

// Without --ydb, --admin names the server. The embedded server is not asked instead.
func TestAdmin_Alone(t *testing.T) {
	t.Parallel()
	p := withAdmin(t)
	dsn, page := p.flags[1], p.flags[3]
	s := p.session(t, "holder")
	lock(t, s, "deploy", "alice")
	run := func(variables, line string) (code int, output string) {
		env := map[string]string{"HOME": "/home/me"}
		for pair := range strings.FieldsSeq(variables) {
			name, value, _ := strings.Cut(pair, "=")
			env[name] = value
		}
		code, stdout, stderr := tenureRun(t, env, strings.Fields(line)...)

		return code, stdout + stderr
	}
	for _, c := range []struct{ variables, line, want string }{
		{"", "status --admin " + page, "server " + page + "\n\nnode /local/tenure, sessions: 1\n  \"deploy\" is held"},
		{"", "ls --admin " + page, "/local/tenure  deploy  alice"},
		{"TENURE_ADMIN=" + page, "ls", "/local/tenure  deploy  alice"},
		{"", "session ls --admin " + page, "deploy"},
		{"", "who deploy --admin " + page, `"deploy" is held`},
		{"TENURE_ADMIN=" + page, "who --ydb embedded deploy --dir " + filepath.Join(t.TempDir(), "x"), `"deploy" is free`},
		{"", "ls --ydb embedded --admin " + page, `--ydb="embedded" and --admin name different servers`},
		{"", "ls --dir /x --admin " + page, "--dir is only for the embedded server, but --admin names another one"},
		{
			"", "semaphore create --limit 4 --admin " + page + " build",
			"tenure: tenure semaphore create needs the address of the server, and --admin names only its admin address: " +
				"pass --ydb or TENURE_DSN\n",
		},
		{"TENURE_DSN=" + dsn, "semaphore create --limit 4 --admin " + page + " build", ""},
		{"", "release --admin " + page + " deploy", `alice has lost "deploy"`},
	} {
		_, output := run(c.variables, c.line)
		require.Contains(t, output, c.want, c.line)
	}
}

//go:build unix

package command_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"tenure"
	"tenure/internal/cli"
	"tenure/internal/command"
	"tenure/internal/guard"
)

// role is the variable that selects what a process of this binary does. Without it, the process runs the tests.
const role = "TENURE_TEST_ROLE"

func TestMain(m *testing.M) {
	if guard.Selected() {
		os.Exit(guard.Main())
	}
	switch os.Getenv(role) {
	case "":
		self, err := os.Executable()
		if err == nil {
			err = os.Setenv("SELF", self) // for scripts
		}
		for _, v := range os.Environ() { // so that the settings of who runs the tests change nothing
			if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "TENURE_") {
				err = errors.Join(err, os.Unsetenv(name))
			}
		}
		if err == nil { // otherwise each process of a race run sleeps for a second at its end
			err = os.Setenv("GORACE", "halt_on_error=1 atexit_sleep_ms=0")
		}
		if err != nil {
			panic(err)
		}
		goleak.VerifyTestMain(m)
	case "holder":
		os.Exit(cli.Main(holder))
	case "pool":
		os.Exit(cli.Main(pool))
	case "listener":
		os.Exit(listen())
	default:
		os.Exit(act(os.Getenv(role)))
	}
}

// act is the main function of a COMMAND or its child. It prints "ready" and its process id, and then each signal that
// it receives. It exits with 3 after the first one, unless it is stubborn.
func act(as string) int {
	signals := make(chan os.Signal, 10)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGINT, syscall.SIGUSR1, syscall.SIGTERM)
	fmt.Printf("ready\n%d\n", os.Getpid())
	if as == "suspended" {
		_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
	}
	for sig := range signals {
		if as == "slow" {
			time.Sleep(300 * time.Millisecond) // cleans up
		}
		fmt.Println(unix.SignalName(sig.(syscall.Signal)))
		if as != "stubborn" {
			break
		}
	}

	return 3
}

// listen is like act for all signals that can be caught. It keeps running after signals that do not ask a process to
// end.
func listen() int {
	signals := make(chan os.Signal, 100)
	signal.Notify(signals)
	fmt.Printf("ready\n%d\n", os.Getpid())
	for sig := range signals {
		switch sig {
		case syscall.SIGURG, syscall.SIGCHLD: // the runtime and children
			continue
		case syscall.SIGCONT: // follows each signal that asks to stop
			fmt.Println("SIGCONT")
			continue
		}
		fmt.Println(command.SignalName(sig.(syscall.Signal)))
		switch sig {
		case syscall.SIGALRM, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGWINCH:
		default:
			return 3
		}
	}

	return 0
}

// holder is a command that runs its arguments as COMMAND, under a lease of the server, or under one that does not end.
func holder(env *cli.Env) *cobra.Command {
	c := &command.Command{
		Name: "holder", Stdin: env.Stdin, Stdout: env.Stdout, Stderr: env.Stderr, Grace: time.Hour,
		Observe: func(e command.Event) {
			switch e.(type) {
			case command.Killing, command.Problem:
				cli.Complain(env, "holder", errors.New(e.String()))
			}
		},
	}
	sig, dir, timeout := "USR1", "", 10*time.Second
	cmd := &cobra.Command{
		Use: "holder", Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if c.Path, err = command.Look(args[0]); err != nil {
				return err
			}
			if c.Signal, err = command.ParseSignal(sig); err != nil {
				return err
			}
			lifeline, err := os.Open(os.DevNull)
			if err != nil {
				return err
			}
			c.Argv = args
			if c.DSN != "" {
				return hold(cmd.Context(), c, dir, timeout)
			}

			return c.Run(cmd.Context(), &lease{session: session{
				inherit: func(cmd *exec.Cmd) { cmd.ExtraFiles = append(cmd.ExtraFiles, lifeline) },
			}})
		},
	}
	cli.AddFlags(cmd,
		cli.Flag{Name: "grace", Arg: "D", Value: &c.Grace, Usage: "grace"},
		cli.Flag{Name: "ydb", Arg: "DSN", Value: &c.DSN, Usage: "server"},
		cli.Flag{Name: "dir", Arg: "DIR", Value: &dir, Usage: "state directory"},
		cli.Flag{Name: "timeout", Arg: "D", Value: &timeout, Usage: "session timeout"},
		cli.Flag{Name: "stop-timeout", Arg: "D", Value: &c.StopTimeout, Usage: "stop-timeout"},
		cli.Flag{Name: "signal", Arg: "SIG", Value: &sig, Usage: "signal"},
	)

	return cmd
}

// path is the node of the leases of holders.
const path = "/local/test"

// acquire opens a session and waits for the lock.
func acquire(ctx context.Context, dsn, dir string, timeout time.Duration) (*tenure.Client, coordination.Lease, error) {
	client, err := tenure.Open(ctx, dsn, tenure.WithDir(dir))
	if err != nil {
		return nil, nil, err
	}
	if err := client.CreateNode(ctx, path, coordination.NodeConfig{}); err != nil {
		return client, nil, err
	}
	session, err := client.Session(ctx, path, options.WithSessionTimeout(timeout))
	if err != nil {
		return client, nil, err
	}
	lease, err := session.AcquireSemaphore(ctx, "lock", coordination.Exclusive, options.WithEphemeral(true))

	return client, lease, err
}

// hold runs COMMAND under a lease of the server.
func hold(ctx context.Context, c *command.Command, dir string, timeout time.Duration) error {
	client, lease, err := acquire(ctx, c.DSN, dir, timeout)
	if err == nil {
		err = c.Run(ctx, lease)
	}
	if client != nil {
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = client.Close(limited) // the server may be gone
	}

	return err
}

// A lease ends when its ctx ends. The zero lease does not end.
type lease struct {
	coordination.Lease

	ctx     context.Context
	session session
}

func (l *lease) Session() coordination.Session { return &l.session }

func (l *lease) Context() context.Context {
	if l.ctx == nil {
		return context.Background()
	}

	return l.ctx
}

type session struct {
	coordination.Session

	inherit func(*exec.Cmd)
}

func (s *session) SessionID() uint64 { return 42 }

func (s *session) Inherit(cmd *exec.Cmd) {
	if s.inherit != nil {
		s.inherit(cmd)
	}
}

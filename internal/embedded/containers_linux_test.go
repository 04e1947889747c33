package embedded_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"
	"golang.org/x/sys/unix"

	"tenure"
)

// unhurried is a session timeout that is longer than the test: what comes sooner does not come by it.
const unhurried = 10 * time.Minute

// TestContainers plays processes that share nothing but a directory, as a volume that each has in a place of its own:
// pids, mounts, host names, networks and IPC are theirs alone. What is not in the directory, such as an abstract socket
// or a port, the others do not find.
func TestContainers(t *testing.T) {
	t.Parallel()
	if name := os.Getenv("TENURE_TEST_CONTAINER"); name != "" {
		contained(t, name)

		return
	}
	volume := t.TempDir()
	require.NoError(t, os.Chmod(volume, 0o700)) //nolint:gosec // it is a directory

	// They contend; the host and holder hands over.
	a := startContainer(t, "a", volume)
	a.await("open")
	a.tell("acquire")
	last := a.acquired(0)
	b := startContainer(t, "b", volume)
	b.await("open")
	b.tell("acquire")
	b.await("waiting")
	a.tell("release")
	a.await("released")
	last = b.acquired(last)
	b.tell("release")
	b.await("released")

	// The host, which holds, is killed: the other one hosts, and holds.
	a.tell("acquire")
	last = a.acquired(last)
	b.tell("acquire")
	b.await("waiting")
	killed := time.Now()
	a.kill()
	last = b.acquired(last)
	t.Logf("%v from the kill of host and holder to the next one", time.Since(killed))

	// One that holds and does not host is killed.
	c := startContainer(t, "c", volume)
	c.await("open")
	c.tell("acquire")
	c.await("waiting")
	b.tell("release")
	b.await("released")
	last = c.acquired(last)
	b.tell("acquire")
	b.await("waiting")
	killed = time.Now()
	c.kill()
	last = b.acquired(last)
	t.Logf("%v from the kill of the holder to the next one", time.Since(killed))

	// The host is stopped. Who comes is told, and of no pid that is another process where it is.
	require.NoError(t, b.cmd.Process.Signal(syscall.SIGSTOP))
	d := startContainer(t, "d", volume)
	notice := d.await("notice")
	require.Contains(t, notice, "waiting for process 1 on b")
	require.Contains(t, notice, "on its host, resume the process if it is stopped")
	require.NotContains(t, notice, "kill")
	require.NoError(t, b.cmd.Process.Signal(syscall.SIGCONT))
	d.await("open")

	// It goes in order, with what it held.
	d.tell("acquire")
	d.await("waiting")
	b.tell("close")
	b.await("closed")
	b.ends()
	d.acquired(last)
	d.tell("close")
	d.await("closed")
	d.ends()
	left, err := filepath.Glob(filepath.Join(volume, "lifelines", "*"))
	require.NoError(t, err)
	require.LessOrEqual(t, len(left), 2, "those of the two that were killed")
	require.NoFileExists(t, filepath.Join(volume, "socket"))
}

// container is a process with namespaces of its own.
type container struct {
	t     *testing.T
	name  string
	cmd   *exec.Cmd
	stdin io.Writer
	lines chan string // what it says; closed when it has ended
}

func startContainer(t *testing.T, name, volume string) *container {
	t.Helper()
	place := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.Mkdir(place, 0o700))
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^TestContainers$", "-test.timeout=1m")
	cmd.Env = append(os.Environ(), "TENURE_TEST_CONTAINER="+name, "VOLUME="+volume, "PLACE="+place,
		"GORACE=atexit_sleep_ms=0")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:   syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC | syscall.CLONE_NEWNET,
		Unshareflags: syscall.CLONE_NEWNS,
		Pdeathsig:    syscall.SIGKILL,
	}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}}
	}
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		for _, no := range []error{syscall.EPERM, syscall.EACCES, syscall.EINVAL, syscall.ENOSYS, syscall.ENOSPC} {
			if errors.Is(err, no) {
				t.Skipf("the system allows no namespaces: %v", err)
			}
		}
		require.NoError(t, err)
	}
	c := &container{t: t, name: name, cmd: cmd, stdin: stdin, lines: make(chan string, 100)}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()
	})
	go func() { // ends with the process
		defer close(c.lines)
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			c.lines <- lines.Text()
		}
	}()

	return c
}

func (c *container) tell(command string) {
	c.t.Helper()
	_, err := fmt.Fprintln(c.stdin, command)
	require.NoError(c.t, err)
}

// await waits until the process says what begins with the word, and nothing else before, and returns the rest.
func (c *container) await(word string) (rest string) {
	c.t.Helper()
	select {
	case line := <-c.lines:
		said, rest, _ := strings.Cut(line, " ")
		if said == "skip" {
			c.t.Skip("the system allows no such namespaces: " + rest)
		}
		require.Equal(c.t, word, said, "%s: %s", c.name, line)

		return rest
	case <-time.After(soon):
		require.FailNow(c.t, c.name+" does not say "+word)

		return ""
	}
}

// acquired waits for the lock and returns its token, which is above the last one.
func (c *container) acquired(last uint64) (token uint64) {
	c.t.Helper()
	line := c.await("acquired")
	_, err := fmt.Sscan(line, &token)
	require.NoError(c.t, err)
	require.Greater(c.t, token, last)

	return token
}

func (c *container) kill() {
	c.t.Helper()
	require.NoError(c.t, c.cmd.Process.Kill())
	require.Error(c.t, c.cmd.Wait())
}

func (c *container) ends() {
	c.t.Helper()
	c.await("PASS") // the test's own word
	require.NoError(c.t, c.cmd.Wait())
}

// contained is such a process. It does what it is told, and says what has come of it.
func contained(t *testing.T, name string) {
	t.Helper()
	if err := moveIn(name, os.Getenv("VOLUME"), os.Getenv("PLACE")); err != nil {
		fmt.Println("skip", err)

		return
	}
	client, err := tenure.Open(t.Context(), "", tenure.WithDir(os.Getenv("PLACE")),
		tenure.WithNotice(func(line string) { fmt.Println("notice", line) }))
	require.NoError(t, err)
	require.NoError(t, client.CreateNode(t.Context(), path, coordination.NodeConfig{}))
	s, err := client.Session(t.Context(), path, options.WithSessionTimeout(unhurried))
	require.NoError(t, err)
	fmt.Println("open")

	var lease *tenure.Lease
	for commands := bufio.NewScanner(os.Stdin); commands.Scan(); {
		switch commands.Text() {
		case "acquire":
			lease = obtain(t, s)
			token, err := lease.Token(t.Context())
			require.NoError(t, err)
			fmt.Println("acquired", token)
		case "release":
			require.NoError(t, lease.Release())
			fmt.Println("released")
		case "close":
			require.NoError(t, client.Close(t.Context()))
			fmt.Println("closed")

			return
		}
	}
}

// obtain gets the lock, and says it if it has to wait.
func obtain(t *testing.T, s coordination.Session) *tenure.Lease {
	t.Helper()
	leases := make(chan coordination.Lease, 1)
	go func() {
		defer close(leases)
		l, err := s.AcquireSemaphore(t.Context(), "job", coordination.Exclusive, options.WithEphemeral(true))
		if err != nil {
			t.Error(err)

			return
		}
		leases <- l
	}()
	for waits := false; !waits && len(leases) == 0; {
		d, err := s.DescribeSemaphore(t.Context(), "job", options.WithDescribeWaiters(true))
		waits = err == nil && slices.ContainsFunc(d.Waiters, func(w *coordination.SemaphoreSession) bool {
			return w.SessionID == s.SessionID()
		})
		if waits {
			fmt.Println("waiting")
		}
	}
	l := <-leases
	require.NotNil(t, l)

	return l.(*tenure.Lease)
}

// moveIn makes the process a container of that name, with the volume in its place and nowhere else.
func moveIn(name, volume, place string) error {
	if err := unix.Sethostname([]byte(name)); err != nil {
		return fmt.Errorf("set host name: %w", err)
	}
	for _, m := range []struct {
		source, target, kind string
		flags                uintptr
	}{
		{volume, place, "", unix.MS_BIND},
		{"none", volume, "tmpfs", unix.MS_RDONLY},
	} {
		if err := unix.Mount(m.source, m.target, m.kind, m.flags, ""); err != nil {
			return fmt.Errorf("mount %s at %q: %w", m.source, m.target, err)
		}
	}
	// In a container, an ordinary user may not have this; then it sees the pids of others, and has no use for them.
	_ = unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")

	return nil
}

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
	"tenure/internal/programs/programstest"
)

// unhurried is a session timeout that is longer than the test, so that no session ends because of it.
const unhurried = 10 * time.Minute

// TestContainers runs processes that share only a directory, like containers that mount the same volume at different
// paths. Each has its own pids, mounts, host name, network and IPC objects. So the processes cannot find each other by
// anything outside the directory, such as an abstract socket or a port.
func TestContainers(t *testing.T) {
	t.Parallel()
	if name := os.Getenv("TENURE_TEST_CONTAINER"); name != "" {
		contained(t, name)

		return
	}
	volume := t.TempDir()
	require.NoError(t, os.Chmod(volume, 0o700)) //nolint:gosec // it is a directory

	// Two processes contend for the lock. The host holds it and hands it over.
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

	// The host is killed while it holds the lock. The other process becomes the host and gets the lock.
	a.tell("acquire")
	last = a.acquired(last)
	b.tell("acquire")
	b.await("waiting")
	killed := time.Now()
	a.kill()
	last = b.acquired(last)
	t.Logf("%v from the kill of the host, which held the lock, to the next holder", time.Since(killed))

	// A process that holds the lock and is not the host is killed.
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
	t.Logf("%v from the kill of the holder to the next holder", time.Since(killed))

	// The host is stopped. A new client gets a notice. The notice contains no kill command, because in the client's
	// container the pid would be that of another process.
	require.NoError(t, b.cmd.Process.Signal(syscall.SIGSTOP))
	d := startContainer(t, "d", volume)
	notice := d.await("notice")
	require.Contains(t, notice, "waiting for process 1 on b")
	require.Contains(t, notice, "on its host, resume the process if it is stopped")
	require.NotContains(t, notice, "kill")
	require.NoError(t, b.cmd.Process.Signal(syscall.SIGCONT))
	d.await("open")

	// The host shuts down cleanly and releases the lock.
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
	require.LessOrEqual(t, len(left), 2, "only the two killed processes may leave lifelines")
	require.NoFileExists(t, filepath.Join(volume, "socket"))
}

// container is a process that has its own namespaces.
type container struct {
	t     *testing.T
	name  string
	cmd   *exec.Cmd
	stdin io.Writer
	lines chan string // lines of its standard output; closed when the process has ended
}

func startContainer(t *testing.T, name, volume string) *container {
	t.Helper()
	place := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.Mkdir(place, 0o700))
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^TestContainers$", "-test.timeout=5m")
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
				t.Skipf("the system does not allow namespaces: %v", err)
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

// await waits for the next line of the process, requires that it begins with the word, and returns the rest.
func (c *container) await(word string) (rest string) {
	c.t.Helper()
	select {
	case line := <-c.lines:
		said, rest, _ := strings.Cut(line, " ")
		if said == "skip" {
			c.t.Skip("the system does not allow such namespaces: " + rest)
		}
		require.Equal(c.t, word, said, "%s: %s", c.name, line)

		return rest
	case <-time.After(soon):
		require.FailNow(c.t, c.name+" does not print "+word)

		return ""
	}
}

// acquired waits until the process has the lock. It returns the token, which must be greater than last.
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
	c.await("PASS") // printed by package testing
	require.NoError(c.t, programstest.Wait(c.t, c.cmd))
}

// contained is the program of a container. It reads commands from standard input and prints their results.
func contained(t *testing.T, name string) {
	t.Helper()
	if err := moveIn(name, os.Getenv("VOLUME"), os.Getenv("PLACE")); err != nil {
		fmt.Println("skip", err)

		return
	}
	client, err := tenure.Open(t.Context(), tenure.Embedded, tenure.WithDir(os.Getenv("PLACE")),
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

// obtain acquires the lock, and prints "waiting" if it has to wait.
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

// moveIn sets the host name of the container and mounts the volume at place and nowhere else.
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
	// Inside a container, an ordinary user may not be allowed to mount this. Then /proc shows the pids outside, which
	// does no harm.
	_ = unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")

	return nil
}

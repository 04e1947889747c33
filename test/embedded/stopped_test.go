//go:build unix

package embedded

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/clock"
)

// stopProcess stops a process as Ctrl-Z would.
func (c *Crew) stopProcess(p *Process) {
	c.tb.Helper()
	require.NoError(c.tb, c.record.Append(Stop, p.Who, AsWaiter, 0))
	c.Signal(p, syscall.SIGSTOP)
}

// startLock starts the command lock, which waits for the same lock as the others. What it says is in Said.
func (c *Crew) startLock(dir string) *Process {
	c.tb.Helper()
	cmd := exec.Command(filepath.Join(dir, "lock"), "--dir", c.model.Dir, "-path", Node, theLock)
	cmd.Env = []string{"HOME=" + dir, "GORACE=halt_on_error=1 atexit_sleep_ms=0"}
	cmd.SysProcAttr = dieWithUs()

	return c.run(cmd)
}

// buildLock builds the command lock, as this test was built: with the race detector if that is on here. It reads the
// directories of the module, for the go command to see: cached results of tests are good while what they read is the
// same.
func buildLock(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	args := []string{"build", "-o", dir + string(os.PathSeparator)}
	if info, ok := debug.ReadBuildInfo(); ok &&
		slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		args = append(args, "-race")
	}
	out, err := exec.Command("go", append(args, "tenure/cmd/lock")...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.NoError(t, filepath.WalkDir(filepath.Join("..", ".."), func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == ".git" {
			return filepath.SkipDir
		}

		return err
	}))

	return dir
}

// A host that is stopped holds everybody up, and those who wait are told who it is and what to do. Nobody gets what
// another one has. It goes on as if nothing had been when it is continued, and is replaced when it is killed.
func TestHost_IsStopped(t *testing.T) {
	t.Parallel()
	commands := buildLock(t)
	for _, holds := range []bool{false, true} {
		t.Run(fmt.Sprint("holds the lock: ", holds), func(t *testing.T) {
			t.Parallel()
			c := newQueue(t, 3, Contender{Timeout: time.Minute, Pace: 5 * time.Millisecond, Confirm: true})
			holder := c.holderThat(3, holds)
			host := c.Host()

			c.stopProcess(host)
			stopped := time.Now()
			waits := c.startLock(commands)
			names := []string{"lock"}
			if !holds { // the holder had asked something
				names = append(names, fmt.Sprint("contender ", holder.Who))
			}
			for _, name := range names {
				notice := regexp.MustCompile(fmt.Sprintf(
					`(?m)^%s: waiting for process %d on .* does not answer: .*\(kill -CONT %[2]d\).*\(kill -9 %[2]d\).*$`,
					name, host.cmd.Process.Pid))
				var said string
				c.Until(name+" says for whom it waits", soon, func() bool {
					said = notice.FindString(c.Said())

					return said != ""
				})
				t.Logf("%v after the stop: %s", time.Since(stopped).Round(time.Millisecond), said)
				require.Less(t, time.Since(stopped), tooLong)
			}

			c.Signal(host, syscall.SIGCONT)
			c.works(holder)
			require.Same(t, holder, c.Holder(theLock))
			require.Equal(t, 1, strings.Count(c.Said(), "lock: "), "the command says it once, and nothing else")
			c.Kill(waits)

			c.stopProcess(host)
			c.Kill(host)
			killed := time.Now()
			if holds {
				turn := c.History.Turns
				c.Until("the next one works", soon, func() bool { return c.History.Turns > turn })
			} else {
				c.works(holder)
			}
			t.Logf("%v after the kill: work goes on", time.Since(killed).Round(time.Millisecond))
			require.Less(t, time.Since(killed), tooLong)
			require.Zero(t, c.History.lost)
		})
	}
}

// A holder that is stopped keeps the lock for its session's timeout, as one that is only slow would. When it goes on
// after that, it does not work first.
func TestHolder_IsStopped(t *testing.T) {
	t.Parallel()
	const timeout = 1500 * time.Millisecond
	c := newQueue(t, 3, Contender{Timeout: timeout, Pace: 100 * time.Millisecond})
	holder := c.holderThat(3, false)
	c.works(holder) // and pauses now
	behind := len(c.Events)
	c.stopProcess(holder)
	stop := c.UntilEvent("the stop", soon, behind, func(e Event) bool { return e.Verb == Stop })
	next := c.UntilEvent("the next one works", soon, behind, func(e Event) bool { return e.Verb == Begin })
	t.Logf("%v after the stop: the next one works", next.At.Sub(stop.At).Round(time.Millisecond))
	require.GreaterOrEqual(t, next.At.Sub(stop.At), timeout)

	behind = len(c.Events)
	c.Signal(holder, syscall.SIGCONT)
	first := c.UntilEvent("it goes on", soon, behind, func(e Event) bool { return e.Who == holder.Who })
	require.Equal(t, Lost, first.Verb)
	c.settle(3)
	c.pass()
	c.pass()
	require.Same(t, holder, c.Holder(theLock)) // it has asked last
}

// While a process lives that the holder has started for its work, the lock stays until the timeout of a holder that is
// killed; when that process has died, it goes on at once.
func TestHolder_HasAChild(t *testing.T) {
	t.Parallel()
	for _, hosts := range []bool{false, true} {
		killed := func(t *testing.T, timeout time.Duration) (c *Crew, kill, child Event) {
			t.Helper()
			c = newQueue(t, 3, Contender{Timeout: timeout, Child: true})
			holder := c.holderThat(3, hosts)
			child = c.UntilEvent("it has a child", soon, 0, func(e Event) bool {
				return e.Verb == Child && e.Who == holder.Who
			})
			behind := len(c.Events)
			c.Kill(holder)
			kill = c.UntilEvent("the kill", soon, behind, func(e Event) bool { return e.Verb == Kill })

			return c, kill, child
		}
		begin := func(c *Crew, kill Event) Event {
			return c.UntilEvent("the next one works", soon, 0, func(e Event) bool {
				return e.Verb == Begin && e.At > kill.At
			})
		}
		t.Run(fmt.Sprintf("that lives on, holder hosts: %v", hosts), func(t *testing.T) {
			t.Parallel()
			const timeout = 2 * time.Second
			c, kill, _ := killed(t, timeout)
			waited := begin(c, kill).At.Sub(kill.At)
			t.Logf("%v after the kill: the next one works", waited.Round(time.Millisecond))
			require.GreaterOrEqual(t, waited, timeout)
		})
		t.Run(fmt.Sprintf("that dies, holder hosts: %v", hosts), func(t *testing.T) {
			t.Parallel()
			c, kill, child := killed(t, chaosTimeout)
			turn := c.History.Turns
			c.Until("there is a host that has seen the session", soon, func() bool {
				_, waiting, ok := c.look(theLock)

				return ok && len(waiting) == 2 && clock.System().Now().Sub(kill.At) > time.Second/2
			})
			require.Equal(t, turn, c.History.Turns)
			died := clock.System().Now()
			require.NoError(t, syscall.Kill(int(child.Token), syscall.SIGKILL))
			waited := begin(c, kill).At.Sub(died)
			t.Logf("%v after the child's death: the next one works", waited.Round(time.Millisecond))
			require.Positive(t, waited)
			require.Less(t, waited, tooLong)
		})
	}
}

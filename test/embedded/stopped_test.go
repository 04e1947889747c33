//go:build unix

package embedded

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/clock"
	"tenure/internal/programs"
)

// stopProcess suspends a process with SIGSTOP.
func (c *Crew) stopProcess(p *Process) {
	c.tb.Helper()
	require.NoError(c.tb, c.record.Append(Stop, p.Who, AsWaiter, 0))
	c.Signal(p, syscall.SIGSTOP)
}

// startLock starts the command lock, which waits for the same lock as the contenders. Stderr includes its messages.
func (c *Crew) startLock(lock string) *Process {
	c.tb.Helper()
	cmd := exec.Command(lock, "--dir", c.model.Dir, "-path", Node, theLock)
	cmd.Env = []string{"HOME=" + filepath.Dir(lock), "GORACE=halt_on_error=1 atexit_sleep_ms=0"}
	cmd.SysProcAttr = dieWithUs()

	return c.run(cmd)
}

// commands is the directory of the command lock. The user that runs the tests and all others can reach it. It is empty
// until buildLock has been called.
var commands string

// buildLock builds the command lock once and returns its path. It uses the race detector if this test binary was built
// with it. It also reads the directories of the module, so that the go command sees which files this test depends on
// and does not use a cached result when they change.
func buildLock(t *testing.T) (lock string) {
	t.Helper()
	require.NoError(t, buildOnce())

	return filepath.Join(commands, "lock")
}

var buildOnce = sync.OnceValue(func() (err error) {
	if commands, err = os.MkdirTemp("", "commands-"); err != nil {
		return err
	}
	if err := programs.ForTest(commands, programs.Raced(), programs.Lock); err != nil {
		return err
	}

	return os.Chmod(commands, 0o755)
})

// A suspended host blocks all other processes. They print which process they wait for and what to do about it, and none
// gets the lock of another. When the host is resumed, everything continues as before. When it is killed, another
// process takes over.
func TestHost_Suspended(t *testing.T) {
	t.Parallel()
	lock := buildLock(t)
	for _, holds := range []bool{false, true} {
		t.Run(fmt.Sprint("holds the lock: ", holds), func(t *testing.T) {
			t.Parallel()
			c := newQueue(t, 3, Contender{Timeout: time.Minute, Pace: 5 * time.Millisecond, Confirm: true})
			holder := c.holderThat(3, holds)
			host := c.Host()

			c.stopProcess(host)
			stopped := time.Now()
			waits := c.startLock(lock)
			names := []string{"lock"}
			if !holds { // the holder has sent a request
				names = append(names, fmt.Sprint("contender ", holder.Who))
			}
			for _, name := range names {
				notice := regexp.MustCompile(fmt.Sprintf(
					`(?m)^%s: waiting for process %d on .* does not answer: .*\(kill -CONT %[2]d\).*\(kill -9 %[2]d\).*$`,
					name, host.cmd.Process.Pid))
				var line string
				c.Until(name+" prints which process it waits for", soon, func() bool {
					line = notice.FindString(c.Stderr())

					return line != ""
				})
				t.Logf("%v after SIGSTOP: %s", time.Since(stopped).Round(time.Millisecond), line)
				require.Less(t, time.Since(stopped), tooLong)
			}

			c.Signal(host, syscall.SIGCONT)
			c.works(holder)
			require.Same(t, holder, c.Holder(theLock))
			require.Equal(t, 1, strings.Count(c.Stderr(), "lock: "), "lock prints this message once and nothing else")
			c.Kill(waits)

			c.stopProcess(host)
			c.Kill(host)
			killed := time.Now()
			if holds {
				turn := c.History.Turns
				c.Until("the next waiter works", soon, func() bool { return c.History.Turns > turn })
			} else {
				c.works(holder)
			}
			t.Logf("work continued %v after the kill", time.Since(killed).Round(time.Millisecond))
			require.Less(t, time.Since(killed), tooLong)
			require.Zero(t, c.History.lost)
		})
	}
}

// A suspended holder keeps the lock until its session timeout, like a holder that is only slow. When it is resumed
// later, it notices the loss before it works again.
func TestHolder_Suspended(t *testing.T) {
	t.Parallel()
	const timeout = 5 * time.Second
	c := newQueue(t, 3, Contender{Timeout: timeout, Pace: 100 * time.Millisecond})
	holder := c.holderThat(3, false)
	c.works(holder) // after this it pauses for Pace
	behind := len(c.Events)
	c.stopProcess(holder)
	stop := c.UntilEvent("the stop is recorded", soon, behind, func(e Event) bool { return e.Verb == Stop })
	next := c.UntilEvent("the next waiter works", soon, behind, func(e Event) bool { return e.Verb == Begin })
	t.Logf("the next waiter started to work %v after SIGSTOP", next.At.Sub(stop.At).Round(time.Millisecond))
	require.GreaterOrEqual(t, next.At.Sub(stop.At), timeout)

	behind = len(c.Events)
	c.Signal(holder, syscall.SIGCONT)
	first := c.UntilEvent("the holder continues", soon, behind, func(e Event) bool { return e.Who == holder.Who })
	require.Equal(t, Lost, first.Verb)
	c.settle(3)
	c.pass()
	c.pass()
	require.Same(t, holder, c.Holder(theLock)) // it is last in the queue
}

// When a holder is killed but a child that it started for its work lives, the lock stays held until the session
// timeout. When that child dies, the lock passes on immediately.
func TestHolder_HasAChild(t *testing.T) {
	t.Parallel()
	for _, hosts := range []bool{false, true} {
		killed := func(t *testing.T, timeout time.Duration) (c *Crew, kill, child Event) {
			t.Helper()
			c = newQueue(t, 3, Contender{Timeout: timeout, Child: true})
			holder := c.holderThat(3, hosts)
			child = c.UntilEvent("the holder has a child", soon, 0, func(e Event) bool {
				return e.Verb == Child && e.Who == holder.Who
			})
			behind := len(c.Events)
			c.Kill(holder)
			kill = c.UntilEvent("the kill is recorded", soon, behind, func(e Event) bool { return e.Verb == Kill })

			return c, kill, child
		}
		begin := func(c *Crew, kill Event) Event {
			return c.UntilEvent("the next waiter works", soon, 0, func(e Event) bool {
				return e.Verb == Begin && e.At > kill.At
			})
		}
		t.Run(fmt.Sprintf("that survives, holder hosts: %v", hosts), func(t *testing.T) {
			t.Parallel()
			if hosts && testing.Short() {
				t.Skip("waits for the grace period of sessions after a change of hosts, 10s")
			}
			const timeout = 2 * time.Second
			c, kill, _ := killed(t, timeout)
			waited := begin(c, kill).At.Sub(kill.At)
			t.Logf("the next waiter started to work %v after the kill", waited.Round(time.Millisecond))
			require.GreaterOrEqual(t, waited, timeout)
		})
		t.Run(fmt.Sprintf("that dies, holder hosts: %v", hosts), func(t *testing.T) {
			t.Parallel()
			c, kill, child := killed(t, chaosTimeout)
			turn := c.History.Turns
			c.Until("a host has loaded the session", soon, func() bool {
				_, waiting, ok := c.look(theLock)

				return ok && len(waiting) == 2 && clock.System().Now().Sub(kill.At) > time.Second/2
			})
			require.Equal(t, turn, c.History.Turns)
			died := clock.System().Now()
			require.NoError(t, syscall.Kill(int(child.Token), syscall.SIGKILL))
			waited := begin(c, kill).At.Sub(died)
			t.Logf("the next waiter started to work %v after the child's death", waited.Round(time.Millisecond))
			require.Positive(t, waited)
			require.Less(t, waited, tooLong)
		})
	}
}

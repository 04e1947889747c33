package e2e

import (
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/programs/programstest"
)

// reader is a COMMAND that reads the terminal.
const reader = `echo pid=$$; read x; echo "got $x"`

// Ctrl-Z stops lock and COMMAND, and fg continues both. While they are stopped, another process hosts the server.
func TestJob_Suspend(t *testing.T) {
	t.Parallel()
	for name, form := range map[string]string{
		"alone": "lock d -- ./reader", "in a pipeline": "cat /dev/tty | lock d -- ./reader | cat", "in a script": "./script",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, term *terminal) {
				t.Helper()
				term.script("reader", reader)
				term.script("script", "lock d -- ./reader; exit $?")
				term.enters(form)
				pid := term.seesPID()
				lock := term.lockOf(pid)
				for range 2 {
					term.types(ctrlZ)
					term.prompted()
					term.becomes(pid, "T")
					term.becomes(lock, "T")
					term.enters("lock other -- echo another ran")
					term.sees("another ran")
					term.prompted()
					term.enters("fg")
					term.becomes(pid, "RS")
					term.becomes(lock, "RS")
				}
				term.enters("line")
				term.sees("got line")
				if name == "in a pipeline" {
					term.types("\x04\x04")
				}
				term.prompted()
			})
		})
	}
}

// bg continues COMMAND in the background, and fg brings it back.
func TestJob_Background(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, term *terminal) {
		t.Helper()
		begin := term.gate("begin")
		term.script("waiter", "echo pid=$$; read _ <begin; echo works; read x; echo got $x")
		term.enters("lock d -- ./waiter")
		pid := term.seesPID()
		lock := term.lockOf(pid)
		term.types(ctrlZ)
		term.prompted()
		term.becomes(pid, "T")
		term.enters("bg")
		term.prompted()
		begin()
		term.sees("works")
		term.becomes(pid, "T") // it reads
		term.becomes(lock, "T")
		term.stopped()
		term.enters("fg")
		term.enters("line")
		term.sees("got line")
		term.prompted()
	})
}

// A COMMAND that was started in the background and needs the terminal stops together with lock.
func TestJob_StartedInBackground(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, term *terminal) {
		t.Helper()
		term.script("reader", reader)
		term.enters("lock d -- ./reader &")
		pid := term.seesPID()
		term.becomes(pid, "T")
		term.becomes(term.lockOf(pid), "T")
		term.stopped()
		term.enters("fg")
		term.enters("line")
		term.sees("got line")
		term.prompted()
	})
}

// A COMMAND that stops itself like an editor at Ctrl-Z also stops the script that has started lock.
func TestJob_CommandStopsItself(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, term *terminal) {
		t.Helper()
		term.script("stops", `echo pid=$$; kill -TSTP 0; echo continued`)
		term.script("script", "lock d -- ./stops; echo the script continues")
		for _, run := range []string{"./script", "lock d -- ./stops"} {
			term.enters(run)
			pid := term.seesPID()
			term.prompted()
			term.becomes(pid, "T")
			term.enters("fg")
			term.sees("continued")
			term.prompted()
		}
	})
}

// SIGTSTP to lock stops COMMAND too. A COMMAND that ignores it keeps running.
func TestJob_StopLock(t *testing.T) {
	t.Parallel()
	for name, states := range map[string]string{":": "T", "trap '' TSTP": "RS"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, term *terminal) {
				t.Helper()
				begin := term.gate("begin")
				term.script("waiter", name+"; echo pid=$$; read _ <begin; read x; echo got $x")
				term.enters("lock d -- ./waiter")
				pid := term.seesPID()
				lock := term.lockOf(pid)
				require.NoError(t, syscall.Kill(lock, syscall.SIGTSTP))
				term.prompted()
				term.becomes(lock, "T")
				term.becomes(pid, states)
				require.NoError(t, syscall.Kill(lock, syscall.SIGCONT))
				term.becomes(lock, "RS")
				term.becomes(pid, "RS")
				term.foreground(lock)
				begin()
				term.enters("line")
				term.sees("got line")
				term.prompted()
			})
		})
	}
}

// If lock is stopped for longer than the session timeout, its guard kills COMMAND in time, and lock reports it.
func TestJob_LostWhileStopped(t *testing.T) {
	t.Parallel()
	term := newShell(t, "bash")
	term.script("reader", reader)
	term.enters("lock --timeout 6s d -- ./reader")
	pid := term.seesPID()
	term.types(ctrlZ)
	term.prompted()
	term.ends(pid)
	term.enters("fg")
	term.sees("lock: .*(lost|may be granted to someone else).*\r\n") // it depends on when lock runs again
	term.prompted()
	term.enters("echo code=$?")
	term.sees("code=123\r")
}

// A COMMAND that nobody can continue does not stop. lock reports one that needs the terminal and cannot get it.
func TestJob_Orphaned(t *testing.T) {
	t.Parallel()
	t.Run("Ctrl-Z", func(t *testing.T) {
		t.Parallel()
		require.NoError(t, build())
		term := newTerminal(t, filepath.Join(scratch, "lock"), "d", "--", "sh", "-c",
			"stty -echo; "+reader+"; kill -TSTP $$; echo continued")
		term.seesPID()
		term.types(ctrlZ)
		term.enters("line")
		term.sees("got line")
		term.sees("continued")
		require.NoError(t, programstest.Wait(t, term.cmd))
	})
	t.Run("read", func(t *testing.T) {
		t.Parallel()
		term := newShell(t, "bash")
		term.script("reader", "exec </dev/tty; "+reader)
		term.enters("(set -m; lock d -- ./reader &)")
		pid := term.seesPID()
		term.becomes(pid, "T")
		term.sees("lock: COMMAND was stopped by SIGTTIN, because it needs the terminal and is in the background: " +
			"the lock is still held: continue COMMAND with kill -CONT -" + `\d+, or end it` + "\r\n")
		term.becomes(term.lockOf(pid), "RS")
		require.NoError(t, syscall.Kill(-pid, syscall.SIGKILL))
		term.ends(pid)
		require.Equal(t, 1, term.count("COMMAND was stopped"))
	})
}

// lock reports a COMMAND that SIGSTOP has stopped, and does not stop itself. It can write to a terminal that forbids
// that to the background.
func TestJob_StoppedByHand(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, term *terminal) {
		t.Helper()
		term.script("sleeper", "echo pid=$$; exec sleep 1000")
		term.enters("stty tostop")
		term.prompted()
		term.enters("lock d -- ./sleeper")
		pid := term.seesPID()
		lock := term.lockOf(pid)
		term.types(ctrlZ)
		term.prompted()
		term.enters("bg")
		term.prompted()
		term.becomes(pid, "RS")
		require.NoError(t, syscall.Kill(pid, syscall.SIGSTOP))
		term.sees("lock: COMMAND was stopped by SIGSTOP: the lock is still held: continue COMMAND with kill -CONT")
		term.becomes(lock, "RS")
		term.foreground(lock)
		require.NoError(t, syscall.Kill(-pid, syscall.SIGCONT))
		term.types(ctrlC)
		term.prompted()
		require.Equal(t, 1, term.count("COMMAND was stopped"))
	})
}

// Ctrl-Z does nothing if the signal was ignored from the start.
func TestJob_IgnoredFromTheStart(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, term *terminal) {
		t.Helper()
		term.script("reader", reader)
		term.script("script", "trap '' TSTP; lock d -- ./reader")
		term.enters("./script")
		pid := term.seesPID()
		term.types(ctrlZ)
		term.enters("line")
		term.sees("got line")
		term.prompted()
		term.ends(pid)
	})
}

// Signals for lock do not wait for the end of a stop.
func TestJob_TerminateStopped(t *testing.T) {
	t.Parallel()
	term := newShell(t, "bash")
	term.script("reader", reader)
	term.enters("lock d -- ./reader")
	pid := term.seesPID()
	lock := term.lockOf(pid)
	term.types(ctrlZ)
	term.prompted()
	require.NoError(t, syscall.Kill(lock, syscall.SIGTERM))
	require.NoError(t, syscall.Kill(lock, syscall.SIGCONT))
	term.ends(pid)
	term.ends(lock)
}

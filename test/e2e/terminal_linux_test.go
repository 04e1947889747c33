package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/creack/pty"
	"github.com/stretchr/testify/require"
)

// COMMAND gets the terminal when it needs it, whatever its stdin is.
func TestTerminal_Password(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, term *terminal) {
		t.Helper()
		term.script("ask", `read a; printf "password: " >/dev/tty; read b </dev/tty; echo "got $a and $b"`)
		term.enters("echo data | lock d -- ./ask")
		term.sees("password: ")
		term.enters("secret")
		term.sees("got data and secret")
		term.prompted()
		term.enters("echo $?")
		term.sees("0\r\n")
	})
}

// Without a pipeline, COMMAND is in the foreground from the start, also if its stdin is not the terminal.
func TestTerminal_StartsInForeground(t *testing.T) {
	t.Parallel()
	term := newShell(t, "bash")
	term.script("front", `set -- $(cat /proc/$$/stat); echo "group $5, foreground $8."`)
	term.enters("lock d -- ./front </dev/null")
	found := term.sees(`group (\d+), foreground (\d+)\.`)
	require.Equal(t, found[1], found[2])
	term.prompted()
	term.enters("lock d -- ./front </dev/null | cat")
	found = term.sees(`group (\d+), foreground (\d+)\.`)
	require.NotEqual(t, found[1], found[2])
}

// Both ends of a pipeline can use the terminal, one after the other.
func TestTerminal_Pipeline(t *testing.T) {
	t.Parallel()
	t.Run("a pager after COMMAND", func(t *testing.T) {
		t.Parallel()
		needs(t, "less")
		each(t, func(t *testing.T, term *terminal) {
			t.Helper()
			term.enters("lock d -- seq 1000 2000 | less")
			term.sees("1020")
			term.types("G")
			term.sees("2000")
			term.types("q")
			term.prompted()
		})
	})
	t.Run("a pager after COMMAND asks for a password", func(t *testing.T) {
		t.Parallel()
		needs(t, "less")
		needs(t, "bash")
		// The pager reads keys before or after COMMAND ends. If it does so before, it is stopped for a moment. dash does
		// not notice that it continues.
		term := newShell(t, "bash")
		term.script("ask", askFirst+"; seq 1000 2000")
		term.enters("lock d -- ./ask | less")
		term.answers()
		term.sees("1020")
		term.types("G")
		term.sees("2000")
		term.types("q")
		term.prompted()
	})
	t.Run("a pager and COMMAND take turns", func(t *testing.T) {
		t.Parallel()
		needs(t, "less")
		each(t, func(t *testing.T, term *terminal) {
			t.Helper()
			again := term.gate("again")
			term.script("ask", askFirst+`; seq 1000 1100; read _ <again; exec >&-
printf "another: " >/dev/tty; read b </dev/tty; echo "then $b" >/dev/tty`)
			term.enters("lock d -- ./ask | less")
			term.answers()
			term.sees("1020")
			term.types(" ")
			term.sees("1040") // so the pager has the terminal
			term.types("q")   // which COMMAND would read if it asked before the pager has read it
			term.until("the pager has ended", func() bool { return !strings.Contains(term.processes(), " less") })
			again()
			term.sees("another: ")
			term.enters("enough")
			term.sees("then enough")
			term.prompted()
		})
	})
	t.Run("a program needs the terminal after COMMAND has ended", func(t *testing.T) {
		t.Parallel()
		each(t, func(t *testing.T, term *terminal) {
			t.Helper()
			lives, late := term.gate("lives"), term.gate("late")
			// A child of COMMAND survives SIGTERM, so lock waits for it, because it was asked to stop.
			term.script("asks", `(trap "" TERM; echo pid=$$ >/dev/tty; read _ <lives) & read x </dev/tty`)
			term.script("program", "read _ <late; kill -TTIN 0; echo continued; cat >/dev/null")
			term.enters("lock d -- ./asks | ./program")
			pid := term.seesPID()
			lock := term.lockOf(pid)
			inFront := func(pid int) func() bool {
				return func() bool { return statOf(term.cmd.Process.Pid, 5) == strconv.Itoa(pid) }
			}
			term.until("COMMAND has the terminal", inFront(pid))
			require.NoError(t, syscall.Kill(lock, syscall.SIGTERM))
			term.until("lock has taken the terminal back", inFront(lock))
			late()
			term.sees("continued")
			term.becomes(lock, "RS")
			lives()
			term.prompted()
		})
	})
	t.Run("COMMAND is a pager", func(t *testing.T) {
		t.Parallel()
		needs(t, "less")
		each(t, func(t *testing.T, term *terminal) {
			t.Helper()
			term.enters("seq 1000 2000 | lock d -- less")
			term.sees("1020")
			term.types("G")
			term.sees("2000")
			term.types(ctrlZ)
			term.prompted()
			term.enters("fg")
			term.sees("2000")
			term.types("q")
			term.prompted()
		})
	})
	t.Run("COMMAND is an editor", func(t *testing.T) {
		t.Parallel()
		needs(t, "vim")
		each(t, func(t *testing.T, term *terminal) {
			t.Helper()
			term.enters("lock d -- vim -u NONE -N -n file")
			term.types("ihello\x1b:w\r")
			file := filepath.Join(term.dir, "file")
			term.until("the editor writes the file", func() bool {
				text, err := os.ReadFile(file)

				return err == nil && string(text) == "hello\n"
			})
			term.types(ctrlZ)
			term.prompted()
			term.enters("fg")
			term.types("oworld\x1b:wq\r")
			term.prompted()
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			require.Equal(t, "hello\nworld\n", string(text))
		})
	})
}

// askFirst is the begin of a COMMAND that asks for a password.
const askFirst = `printf "password: " >/dev/tty; read a </dev/tty; echo "got $a"`

// answers types the password that askFirst asks for.
func (t *terminal) answers() {
	t.t.Helper()
	t.sees("password: ")
	t.enters("secret")
	t.sees("got secret")
}

func needs(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skip(err)
	}
}

// An interactive shell under lock has its own job control, and exits normally.
func TestTerminal_ShellAsCommand(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"PS1='inner> ' bash --norc --noediting -i", "PS1='inner> ' dash -i"} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, term *terminal) {
				t.Helper()
				term.script("inner", "exec env "+command)
				for _, run := range []string{"lock d -- ./inner", "./script"} {
					term.script("script", "lock d -- ./inner; exit $?")
					term.enters(run)
					term.sees("inner> ")
					term.enters("sh -c 'echo pid=$$; read x; echo got $x; exec sleep 1000'")
					pid := term.seesPID()
					term.types(ctrlZ)
					term.becomes(pid, "T")
					term.sees("inner> ")
					term.enters("fg")
					term.enters("line")
					term.sees("got line")
					term.types(ctrlC)
					term.sees("inner> ")
					term.enters("exit 7")
					term.prompted()
					term.enters("echo code=$?")
					term.sees("code=7\r")
					term.prompted()
				}
			})
		})
	}
}

// signals is a COMMAND that prints the signals that it gets. USR1 ends it.
const signals = `trap "echo caught INT" INT; trap "echo caught QUIT" QUIT
trap "echo size \$(stty size </dev/tty)" WINCH
trap 'kill $!; exit 7' USR1
echo pid=$$
while :; do sleep 1000 & wait; kill $!; done`

// COMMAND gets the keys that send signals exactly once, whether it is in the foreground or not. lock stays until
// COMMAND has ended.
func TestTerminal_Signals(t *testing.T) {
	t.Parallel()
	for name, key := range map[string]string{"INT": ctrlC, "QUIT": ctrlBackslash} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, term *terminal) {
				t.Helper()
				term.script("signals", signals)
				term.script("script", "trap : INT QUIT; lock d -- ./signals; exit 0")
				for i, run := range []string{"lock d -- ./signals", "./script"} {
					term.enters(run)
					pid := term.seesPID()
					term.types(key)
					term.sees("caught " + name)
					require.NoError(t, pty.Setsize(term.side, &pty.Winsize{Rows: uint16(30 + i), Cols: 100}))
					term.sees("size 3. 100")
					require.NoError(t, syscall.Kill(pid, syscall.SIGUSR1))
					term.prompted()
					require.Equal(t, 1+i, term.count("caught "+name))
					require.Equal(t, 1+i, term.count("size 3"))
				}
			})
		})
	}
}

//go:build unix

package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/creack/pty"
	"github.com/stretchr/testify/require"

	"tenure/internal/access"
	"tenure/internal/programs/programstest"
)

// A terminal is a process that runs in a terminal of its own, and what the terminal shows.
type terminal struct {
	t     *testing.T
	cmd   *exec.Cmd
	file  *os.File
	shown bytes.Buffer
}

func inTerminal(t *testing.T, program string, args ...string) *terminal {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), soon) // kills a process that does not end
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = []string{asTenure + "=1", "GORACE=atexit_sleep_ms=0", "TENURE_CONFIG=" + os.DevNull}
	file, err := pty.Start(cmd)
	require.NoError(t, err)
	t.Cleanup(func() { file.Close() })

	return &terminal{t: t, cmd: cmd, file: file}
}

// await reads until the terminal shows the text.
func (c *terminal) await(text string) {
	c.t.Helper()
	part := make([]byte, 256)
	for !strings.Contains(c.shown.String(), text) {
		n, err := c.file.Read(part)
		require.NoError(c.t, err, c.shown.String())
		c.shown.Write(part[:n])
	}
}

func (c *terminal) write(text string) {
	c.t.Helper()
	_, err := c.file.WriteString(text)
	require.NoError(c.t, err)
}

func TestToken_HashAsksAtATerminal(t *testing.T) {
	t.Parallel()
	c := inTerminal(t, os.Args[0], "token", "hash")
	c.await("The token: ")
	token, hash := access.NewToken()
	c.write(token + "\n")
	c.await(hash)
	require.NoError(t, programstest.Wait(t, c.cmd))
	require.NotContains(t, c.shown.String(), token)

	c = inTerminal(t, os.Args[0], "token", "hash", "--password")
	c.await("The password: ")
	c.write("one secret\n")
	c.await("The password again: ")
	c.write("another secret\n")
	c.await("tenure: the two passwords differ: try again")
	require.Error(t, programstest.Wait(t, c.cmd))
	require.NotContains(t, c.shown.String(), "secret")
}

// An interrupt ends the command, and the terminal shows again what is typed.
func TestToken_HashRestoresTheTerminal(t *testing.T) {
	t.Parallel()
	c := inTerminal(t, "sh", "-c", `trap : INT; "$0" token hash; echo "exit code $?"; read line`, os.Args[0])
	c.await("The token: ")
	c.write("\x03")
	c.await("exit code 130")
	c.write("visible")
	c.await("visible")
	c.write("\n")
	require.NoError(t, programstest.Wait(t, c.cmd))
}

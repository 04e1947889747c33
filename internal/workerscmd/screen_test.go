package workerscmd

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// What is printed appears above the line, and the line stays.
func TestScreen(t *testing.T) {
	t.Parallel()
	var terminal bytes.Buffer
	s := &screen{w: &terminal}
	w := s.over(&terminal)
	fmt.Fprintln(w, "a")
	s.show("1 of 2")
	s.show("1 of 2")
	fmt.Fprintln(w, "b")
	s.show("2 of 2")
	s.show("")
	s.width = func() int { return 5 }
	s.show("3 of 3")
	s.show("")
	fmt.Fprintln(w, "c")
	require.Equal(t, "a\n\r\x1b[K1 of 2\r\x1b[Kb\n1 of 2\r\x1b[K2 of 2\r\x1b[K\r\x1b[K3 of\r\x1b[Kc\n", terminal.String())
}

func TestScreen_NoTerminal(t *testing.T) {
	t.Parallel()
	var file bytes.Buffer
	s := &screen{}
	w := s.over(&file)
	s.show("1 of 2")
	fmt.Fprintln(w, "a")
	require.Equal(t, "a\n", file.String())
}

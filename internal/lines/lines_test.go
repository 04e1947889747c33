package lines_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/creack/pty"
	"github.com/stretchr/testify/require"

	"tenure/internal/lines"
	"tenure/internal/output"
)

// printed prints each text with a Write of its own, and returns the output.
func printed(name string, colour bool, texts ...string) string {
	var out bytes.Buffer
	p := lines.New(&out, io.Discard, colour)
	w, _ := p.Writers(name)
	for _, text := range texts {
		_, _ = io.WriteString(w, text)
	}
	_ = w.Close()

	return out.String()
}

func TestWriter(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 64<<10)
	for name, test := range map[string]struct {
		texts []string
		want  string
	}{
		"nothing":          {nil, ""},
		"a line":           {[]string{"one\n"}, "a | one\n"},
		"in pieces":        {[]string{"o", "n", "e\ntw", "o\n"}, "a | one\na | two\n"},
		"several":          {[]string{"one\n\ntwo\n"}, "a | one\na | \na | two\n"},
		"incomplete":       {[]string{"one\ntwo"}, "a | one\na | two\n"},
		"bytes":            {[]string{"\xff\x00\r\x1b[31m\n"}, "a | \xff\x00\r\x1b[31m\n"},
		"the longest line": {[]string{long, "\n"}, "a | " + long + "\n"},
		"too long":         {[]string{long + "y\n"}, "a | " + long + "\na | y\n"},
		"never ends":       {[]string{long, long, "y"}, "a | " + long + "\na | " + long + "\na | y\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.want, printed("a", false, test.texts...))
		})
	}
}

// A name never breaks a line.
func TestPrinter_QuotesName(t *testing.T) {
	t.Parallel()
	require.Equal(t, "\"a\\nb\\x1b[31m\" | text\n", printed("a\nb\x1b[31m", false, "text\n"))
	require.Equal(t, "\"\\xff\" | text\n", printed("\xff", false, "text\n"))
	require.Equal(t, "größe 1 | text\n", printed("größe 1", false, "text\n"))
}

// A name always has the same colour.
func TestPrinter_Colour(t *testing.T) {
	t.Parallel()
	text := printed("a", true, "text\n")
	require.Regexp(t, "^\x1b\\[0;[0-9]+ma \\| \x1b\\[0mtext\n$", text)
	require.Equal(t, text, printed("a", true, "text\n"))
	require.NotEqual(t, strings.Fields(text)[0], strings.Fields(printed("b", true, "text\n"))[0])
}

// Shorter names are padded.
func TestPrinter_Aligns(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p := lines.New(&out, &out, false)
	long, _ := p.Writers("job-12")
	_, short := p.Writers("job-3")
	_, _ = io.WriteString(short, "one\n")
	_, _ = io.WriteString(long, "two\n")
	require.Equal(t, "job-3  | one\njob-12 | two\n", out.String())
}

// Lines of different programs do not mix, whatever the writers get.
func TestPrinter_DoesNotMix(t *testing.T) {
	t.Parallel()
	r, w := io.Pipe()
	o := output.New(w, w)
	p := lines.New(o.Stdout, o.Stderr, false)
	var running sync.WaitGroup
	const programs, each = 10, 500
	for i := range programs {
		stdout, stderr := p.Writers(fmt.Sprintf("job-%d", i))
		running.Go(func() {
			for n := range each {
				to := stdout
				if n%2 > 0 {
					to = stderr
				}
				for _, part := range []string{fmt.Sprint(n), " ", strings.Repeat(fmt.Sprint(i), 100), "\n"} {
					_, _ = io.WriteString(to, part)
				}
			}
		})
	}
	go func() {
		running.Wait()
		o.Close()
		w.Close()
	}()
	text, err := io.ReadAll(r)
	require.NoError(t, err)
	next := make([]int, programs)
	for line := range strings.Lines(string(text)) {
		var i, n int
		var rest string
		_, err := fmt.Sscanf(line, "job-%d | %d %s\n", &i, &n, &rest)
		require.NoError(t, err, "%q", line)
		require.Equal(t, strings.Repeat(fmt.Sprint(i), 100), rest)
		require.Equal(t, next[i], n)
		next[i]++
	}
	for i := range programs {
		require.Equal(t, each, next[i], "nothing is dropped")
	}
}

// After Hurry, a Write does not wait for a reader.
func TestWriter_Hurry(t *testing.T) {
	t.Parallel()
	r, w := io.Pipe()
	o := output.New(w, io.Discard)
	p := lines.New(o.Stdout, o.Stderr, false)
	stdout, _ := p.Writers("job")
	blocked, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		line := strings.Repeat("x", 1000) + "\n"
		for i := range 10_000 {
			_, _ = io.WriteString(stdout, line)
			if i == 50 { // more would fit, but not all
				close(blocked)
			}
		}
		_, _ = io.WriteString(stdout, "the end")
		stdout.Close()
	}()
	<-blocked
	select {
	case <-done:
		require.FailNow(t, "nothing was read")
	default:
	}
	stdout.Hurry()
	<-done
	r.Close()
	o.Close()
}

func TestColoured(t *testing.T) {
	t.Parallel()
	side, terminal, err := pty.Open()
	require.NoError(t, err)
	defer side.Close()
	defer terminal.Close()
	env := func(vars map[string]string) func(string) (string, bool) {
		return func(name string) (string, bool) {
			value, ok := vars[name]

			return value, ok
		}
	}
	require.True(t, lines.Coloured(terminal, env(nil)))
	require.True(t, lines.Coloured(terminal, env(map[string]string{"NO_COLOR": "", "TERM": "xterm"})))
	require.False(t, lines.Coloured(terminal, env(map[string]string{"NO_COLOR": "1"})))
	require.False(t, lines.Coloured(terminal, env(map[string]string{"TERM": "dumb"})))
	require.False(t, lines.Coloured(io.Discard, env(nil)))
	null, err := os.Open(os.DevNull)
	require.NoError(t, err)
	defer null.Close()
	require.False(t, lines.Coloured(null, env(nil)))
}

package workerscmd

import (
	"io"
	"slices"
	"sync"
)

// A screen is a terminal with a line at its end that changes, such as a bar. What is printed through the writers of
// over appears above the line. On a screen that is not a terminal, the line never appears. Its methods are safe for
// concurrent use.
type screen struct {
	w     io.Writer  // nil: not a terminal
	width func() int // of the terminal in characters; 0: not known; it may be nil

	mu   sync.Mutex // guards the rest
	line string
}

// clearLine removes the line that the cursor is in.
const clearLine = "\r\x1b[K"

// show replaces the line. The empty line removes it.
func (s *screen) show(line string) {
	if s.w == nil {
		return
	}
	if s.width != nil {
		line = clip(line, s.width()-1) // a longer line would continue in the next one, where nothing would remove it
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if line != s.line {
		_, _ = io.WriteString(s.w, clearLine+line)
	}
	s.line = line
}

// over returns a writer of whole lines for the same terminal.
func (s *screen) over(w io.Writer) io.Writer {
	if s.w == nil {
		return w
	}

	return &overWriter{s, w}
}

type overWriter struct {
	*screen

	to io.Writer
}

func (o *overWriter) Write(lines []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.line == "" {
		return o.to.Write(lines)
	}
	if _, err := o.to.Write(slices.Concat([]byte(clearLine), lines)); err != nil {
		return 0, err
	}
	_, _ = io.WriteString(o.w, o.line)

	return len(lines), nil
}

// clip returns at most width characters of the text, or all of it if width is not positive.
func clip(text string, width int) string {
	if runes := []rune(text); width > 0 && len(runes) > width {
		return string(runes[:width])
	}

	return text
}

// Package lines prints the output of several programs in one place. Each line begins with the name of its program, and
// lines never mix:
//
//	job-3  | copied 1,200 rows
//	job-12 | waiting for input
//
// Apart from that, the bytes of a line stay as they are. Names that contain control characters are quoted.
package lines

import (
	"bytes"
	"context"
	"hash/fnv"
	"io"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"
)

const (
	// maxLine is the length of a piece of a line that is longer. A program that never ends its line needs no more memory.
	maxLine = 64 << 10

	// maxWidth is the greatest width for which shorter names are padded.
	maxWidth = 24
)

// A Printer prints the output of several programs. It is safe for concurrent use.
type Printer struct {
	stdout, stderr io.Writer
	colour         bool
	width          atomic.Int32 // of the longest name so far, up to maxWidth
}

// New returns a Printer. One Write to stdout or stderr is one or more whole lines. If they have a method Patient, as
// [output.Stream] has, the programs wait for the readers of their output.
func New(stdout, stderr io.Writer, colour bool) *Printer {
	p := &Printer{colour: colour}
	p.stdout = locked(stdout)
	p.stderr = p.stdout
	if stdout != stderr {
		p.stderr = locked(stderr)
	}

	return p
}

// Coloured reports whether lines for this file should have colours: it is a terminal, and the environment does not
// forbid that (https://no-color.org).
func Coloured(file io.Writer, lookupEnv func(string) (string, bool)) bool {
	terminal, ok := file.(*os.File)
	if !ok || !term.IsTerminal(int(terminal.Fd())) {
		return false
	}
	plain, _ := lookupEnv("NO_COLOR")
	kind, _ := lookupEnv("TERM")

	return plain == "" && kind != "dumb"
}

// Writers returns the writers for stdout and stderr of the program with this name. The caller must call Close for both
// when the program has ended.
func (p *Printer) Writers(name string) (stdout, stderr *Writer) {
	if !printable(name) {
		name = strconv.Quote(name)
	}
	width := int32(min(utf8.RuneCountInString(name), maxWidth))
	for old := p.width.Load(); old < width && !p.width.CompareAndSwap(old, width); old = p.width.Load() {
	}

	return p.writer(name, p.stdout), p.writer(name, p.stderr)
}

func (p *Printer) writer(name string, to io.Writer) *Writer {
	w := &Writer{printer: p, name: name, to: to, hurry: func() {}}
	if to, ok := to.(sink); ok {
		var ctx context.Context
		ctx, w.hurry = context.WithCancel(context.Background())
		w.to = to.Patient(ctx)
	}

	return w
}

// sink is implemented by output.Stream.
type sink interface {
	Patient(ctx context.Context) io.Writer
}

// printable reports whether the name can stand in a line as it is.
func printable(name string) bool {
	for _, r := range name {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return false
		}
	}

	return name != ""
}

// locked makes a writer safe for concurrent use.
func locked(w io.Writer) io.Writer {
	if _, ok := w.(sink); ok {
		return w
	}

	return &lockedWriter{w: w}
}

type lockedWriter struct {
	mu sync.Mutex // held while w.Write runs
	w  io.Writer
}

func (l *lockedWriter) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()

	return l.w.Write(b)
}

// colours are the colours of the names, as parameters of the terminal. Black, white and red are missing.
var colours = []string{"32", "33", "34", "35", "36", "92", "93", "94", "95", "96"}

// appendPrefix appends what precedes a line of the program with this name.
func (p *Printer) appendPrefix(b []byte, name string) []byte {
	if p.colour {
		hash := fnv.New32a()
		_, _ = hash.Write([]byte(name))
		b = append(b, "\x1b[0;"+colours[hash.Sum32()%uint32(len(colours))]+"m"...) // the line before may have set a colour
	}
	b = append(b, name...)
	for n := utf8.RuneCountInString(name); n < int(p.width.Load()); n++ {
		b = append(b, ' ')
	}
	b = append(b, " | "...)
	if p.colour {
		b = append(b, "\x1b[0m"...)
	}

	return b
}

// A Writer is one stream of a program. Its methods must not be called concurrently, except Hurry.
type Writer struct {
	printer *Printer
	name    string
	to      io.Writer
	hurry   func()
	rest    []byte // an incomplete line
}

// Write prints the complete lines, and keeps the beginning of the next one.
func (w *Writer) Write(b []byte) (int, error) {
	var out []byte
	n := len(b)
	for len(b) > 0 {
		end := bytes.IndexByte(b, '\n')
		line, next := b, []byte(nil)
		if end >= 0 {
			line, next = b[:end], b[end+1:]
		}
		if room := maxLine - len(w.rest); len(line) > room {
			line, next, end = b[:room], b[room:], room
		}
		b = next
		if end < 0 {
			w.rest = append(w.rest, line...)

			break
		}
		out = w.printer.appendPrefix(out, w.name)
		out = append(append(append(out, w.rest...), line...), '\n')
		w.rest = w.rest[:0]
	}
	if len(out) > 0 {
		if _, err := w.to.Write(out); err != nil {
			return 0, err
		}
	}

	return n, nil
}

// Hurry makes further Writes, and one that waits, drop what the reader does not take.
func (w *Writer) Hurry() { w.hurry() }

// Close prints an incomplete last line, and does not wait for the reader.
func (w *Writer) Close() error {
	w.Hurry()
	if len(w.rest) == 0 {
		return nil
	}
	_, err := w.Write([]byte("\n"))

	return err
}

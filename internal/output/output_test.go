//go:build unix

package output_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"tenure/internal/output"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pipe returns a pipe. Full fills it, so that the next write blocks.
func pipe(t *testing.T, full bool) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	require.NoError(t, err)
	t.Cleanup(func() { r.Close(); w.Close() })
	if full {
		conn, err := w.SyscallConn()
		require.NoError(t, err)
		require.NoError(t, conn.Write(func(fd uintptr) bool {
			for err == nil { // the descriptor does not block
				_, err = syscall.Write(int(fd), make([]byte, 4096))
			}

			return true
		}))
		require.ErrorIs(t, err, syscall.EAGAIN)
	}

	return r, w
}

func open(stdout, stderr io.Writer) *output.Output {
	o := output.New(stdout, stderr)
	o.Name = "demo"

	return o
}

// read returns what a full pipe contains behind the bytes that fill it, up to the end.
func read(t *testing.T, r io.Reader) string {
	t.Helper()
	text, err := io.ReadAll(r)
	require.NoError(t, err)

	return strings.TrimLeft(string(text), "\x00")
}

// As long as the reader keeps up, a Write returns when the text is written, and Close loses nothing.
func TestStream_Write(t *testing.T) {
	t.Parallel()
	var out, errs bytes.Buffer
	o := open(&out, &errs)
	for i := range 3 {
		n, err := fmt.Fprintln(o.Stdout, "line", i)
		require.NoError(t, err)
		require.Equal(t, 7, n)
		_, _ = io.WriteString(o.Stderr, "message\n")
	}
	o.Close()
	require.Equal(t, "line 0\nline 1\nline 2\n", out.String())
	require.Equal(t, strings.Repeat("message\n", 3), errs.String())
	_, err := io.WriteString(o.Stdout, "late\n")
	require.NoError(t, err)
	require.NotContains(t, out.String(), "late")
	o.Close() // is a no-op
}

// Two streams to one file keep the order of their lines, also when the reader is late.
func TestStream_SameFileKeepsOrder(t *testing.T) {
	t.Parallel()
	r, w := pipe(t, true)
	o := open(w, w)
	var want strings.Builder
	for i := range 100 {
		fmt.Fprintln(o.Stdout, "out", i)
		fmt.Fprintln(o.Stderr, "err", i)
		fmt.Fprintln(&want, "out", i)
		fmt.Fprintln(&want, "err", i)
	}
	var reader sync.WaitGroup
	text := ""
	reader.Go(func() { text = read(t, r) })
	o.Close()
	require.NoError(t, w.Close())
	reader.Wait()
	require.Equal(t, want.String(), text)
}

// A reader that has closed its end costs nothing but the text.
func TestStream_BrokenPipe(t *testing.T) {
	t.Parallel()
	r, w := pipe(t, false)
	require.NoError(t, r.Close())
	var out bytes.Buffer
	o := open(&out, w)
	_, err := io.WriteString(o.Stderr, "message\n")
	require.Error(t, err, "the pipe is broken")
	_, err = io.WriteString(o.Stdout, "line\n")
	require.NoError(t, err)
	o.Close()
	require.Equal(t, "line\n", out.String())
}

// A reader that reads nothing delays only the first Write, for a moment. What does not fit into the queue is dropped.
// When the reader continues, it gets the queue, the number of dropped messages, and what is written after that.
func TestStream_FullPipe(t *testing.T) {
	t.Parallel()
	r, w := pipe(t, true)
	o := open(io.Discard, w)
	message := strings.Repeat("x", 9_999) + "\n"
	began := time.Now()
	const messages = 500
	for range messages {
		_, err := io.WriteString(o.Stderr, message)
		require.NoError(t, err)
	}
	require.Less(t, time.Since(began), 5*time.Second, "not 10 ms for each message")

	lines := bufio.NewReader(r)
	_, err := lines.Discard(1)
	require.NoError(t, err)
	whole, dropped := 0, 0
	for whole+dropped < messages {
		line, err := lines.ReadString('\n')
		require.NoError(t, err)
		if strings.TrimLeft(line, "\x00") == message {
			whole++

			continue
		}
		_, err = fmt.Sscanf(line, "demo: %d messages were dropped because standard error was blocked\n", &dropped)
		require.NoError(t, err, "%d bytes: %.100q", len(line), line)
	}
	require.Equal(t, messages, whole+dropped)
	require.Greater(t, whole, 100)
	_, err = io.WriteString(o.Stderr, "next\n")
	require.NoError(t, err)
	line, err := lines.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "next\n", line)
	o.Close()
}

// Lines that are dropped from standard output are counted on standard error.
func TestStream_DroppedFromStdout(t *testing.T) {
	t.Parallel()
	r, w := pipe(t, true)
	errs, in := io.Pipe()
	o := open(w, in)
	for range 2 {
		_, _ = o.Stdout.Write(make([]byte, 1<<20)) // the goroutine has taken the first one out of the queue, or will
	}
	_, _ = io.WriteString(o.Stdout, "line\n")
	var reader sync.WaitGroup
	reader.Go(func() { _, _ = io.Copy(io.Discard, r) })
	line, err := bufio.NewReader(errs).ReadString('\n')
	require.NoError(t, err)
	require.Regexp(t, "^demo: (1 message was|2 messages were) dropped because standard output was blocked\n$", line)
	o.Close()
	require.NoError(t, w.Close())
	reader.Wait()
}

// Close gives up a reader that does not read, and says on the other stream what that one does not get.
func TestOutput_CloseIsBounded(t *testing.T) {
	t.Parallel()
	r, w := pipe(t, true)
	var errs bytes.Buffer
	o := open(w, &errs)
	_, _ = io.WriteString(o.Stdout, "line\n")
	began := time.Now()
	o.Close()
	require.Less(t, time.Since(began), 5*time.Second)
	require.Equal(t, "demo: 1 message was dropped because standard output was blocked\n", errs.String())
	require.NoError(t, r.Close()) // ends the goroutine
}

// Close waits for a reader that reads slowly.
func TestOutput_CloseWaitsForProgress(t *testing.T) {
	t.Parallel()
	r, w := io.Pipe()
	o := open(w, io.Discard)
	for i := range 5 {
		fmt.Fprintln(o.Stdout, "line", i)
	}
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		o.Close()
	}()
	lines := bufio.NewReader(r)
	for i := range 5 {
		time.Sleep(50 * time.Millisecond) // the reader is slow
		line, err := lines.ReadString('\n')
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintln("line", i), line)
	}
	<-closed
}

// Data is not dropped. A Write of it waits for its reader, but not longer than the context.
func TestStream_Data(t *testing.T) {
	t.Parallel()
	r, w := pipe(t, false)
	o := open(w, io.Discard)
	data := o.Stdout.Data(t.Context())
	large := strings.Repeat("x", 3<<20)
	var reader sync.WaitGroup
	text := ""
	reader.Go(func() { text = read(t, r) })
	_, err := io.WriteString(data, large)
	require.NoError(t, err)
	o.Close()
	require.NoError(t, w.Close())
	reader.Wait()
	require.Equal(t, large, text)
	_, err = io.WriteString(data, "late")
	require.Error(t, err)
}

func TestStream_DataEnds(t *testing.T) {
	t.Parallel()
	r, w := pipe(t, true)
	o := open(w, io.Discard)
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("interrupted")
	time.AfterFunc(10*time.Millisecond, func() { cancel(why) })
	data := o.Stdout.Data(ctx)
	_, err := io.WriteString(data, "data")
	require.ErrorIs(t, err, why)
	_, err = io.WriteString(data, "more")
	require.ErrorIs(t, err, why)
	require.ErrorIs(t, data.Err(), why)
	require.NoError(t, r.Close())
	o.Close()
}

func TestStream_DataError(t *testing.T) {
	t.Parallel()
	r, w := pipe(t, false)
	require.NoError(t, r.Close())
	o := open(w, io.Discard)
	defer o.Close()
	_, err := io.WriteString(o.Stdout.Data(t.Context()), "data")
	require.Error(t, err)
}

// A Patient waits for the reader and drops nothing. At the end of its context, it does not wait any longer.
func TestStream_Patient(t *testing.T) {
	t.Parallel()
	r, w := pipe(t, true)
	o := open(w, io.Discard)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	patient := o.Stdout.Patient(ctx)
	text, began := strings.Repeat("x", 9_999)+"\n", make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() {
		for i := range 150 { // more than the queue holds
			if i == 6 { // not all of them fit
				close(began)
			}
			_, _ = io.WriteString(patient, text)
		}
	})
	<-began
	_, _ = io.WriteString(o.Stdout, "message\n") // is not kept out
	var reader sync.WaitGroup
	said := ""
	reader.Go(func() { said = read(t, r) })
	writer.Wait()
	o.Close()
	require.NoError(t, w.Close())
	reader.Wait()
	require.Equal(t, 150, strings.Count(said, text))
	require.Contains(t, said, "message\n")
}

func TestStream_PatientEnds(t *testing.T) {
	t.Parallel()
	r, w := pipe(t, true)
	o := open(w, io.Discard)
	ctx, cancel := context.WithCancel(t.Context())
	patient := o.Stdout.Patient(ctx)
	time.AfterFunc(10*time.Millisecond, cancel)
	for range 500 {
		_, _ = io.WriteString(patient, strings.Repeat("x", 9_999)+"\n")
	}
	require.Error(t, ctx.Err())
	require.NoError(t, r.Close())
	o.Close()
}

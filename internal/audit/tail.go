package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"slices"
)

// tailBytes is how much of a log Tail reads, from its end. That is about 14,000 lines.
const tailBytes = 4 << 20

// blockBytes is how much it reads at a time.
const blockBytes = 128 << 10

// Tail returns the last events about a semaphore, the newest first, at most n. It reads the end of the log only, up to
// 4 MiB of its current file and the one before, so it takes milliseconds. The log must be a regular file.
func Tail(path, node, semaphore string, n int) ([]Event, error) {
	t := &tail{node: node, semaphore: semaphore, n: n, room: tailBytes}
	for i, field := range []struct{ key, value string }{{`"sem":`, semaphore}, {`"node":`, node}} {
		value, err := json.Marshal(field.value)
		if err != nil {
			return nil, err
		}
		t.want[i] = slices.Concat([]byte(field.key), value)
	}
	for i := range 2 {
		err := t.file(Rotated(path, i))
		if err != nil && (i == 0 || !errors.Is(err, fs.ErrNotExist)) {
			return nil, err
		}
	}

	return t.found, nil
}

type tail struct {
	node, semaphore string
	want            [2][]byte // parts of each line that may be about the semaphore
	n               int
	room            int64 // bytes that may still be read
	found           []Event
}

// file reads a file from its end.
func (t *tail) file(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() { // opening a pipe would wait for its writer
		return errors.New("the audit log is not a regular file")
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if info, err = f.Stat(); err != nil {
		return err
	}
	var rest []byte // the end of a line whose beginning has not been read
	end := info.Size()
	for end > 0 && t.room > 0 && len(t.found) < t.n {
		block := make([]byte, min(blockBytes, end, t.room), blockBytes+len(rest))
		if _, err := f.ReadAt(block, end-int64(len(block))); err != nil {
			return err
		}
		end -= int64(len(block))
		t.room -= int64(len(block))
		rest = t.lines(append(block, rest...))
	}
	if end == 0 {
		t.line(rest)
	}

	return nil
}

// lines looks at the lines of a text, the last one first, and returns the first one, of which the beginning may be
// missing.
func (t *tail) lines(text []byte) []byte {
	for {
		i := bytes.LastIndexByte(text, '\n')
		if i < 0 {
			return text
		}
		t.line(text[i+1:])
		text = text[:i]
	}
}

func (t *tail) line(line []byte) {
	if len(t.found) == t.n || !bytes.Contains(line, t.want[0]) || !bytes.Contains(line, t.want[1]) {
		return
	}
	var e Event
	if json.Unmarshal(line, &e) != nil {
		return
	}
	if e.Node == t.node && e.Semaphore == t.semaphore {
		t.found = append(t.found, e)
	}
}

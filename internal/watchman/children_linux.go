package watchman

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"sync"
)

// procIsOurs reports whether /proc shows the process ids that this process sees. It may be that of another namespace.
var procIsOurs = sync.OnceValue(func() bool {
	self, err := os.Readlink("/proc/self")

	return err == nil && self == strconv.Itoa(os.Getpid())
})

// Children returns the children of a process. It returns none if /proc is not available.
//
// A look at /proc costs the kernel much: each thread of the process has a directory there, which the kernel has to drop
// again when the thread ends. So Children does not look there if this process is the one, and has no children.
func Children(pid int) []int {
	if pid == os.Getpid() && childless() || !procIsOurs() {
		return nil
	}
	dir := "/proc/" + strconv.Itoa(pid) + "/task/"
	tasks, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var found []int
	for _, task := range tasks {
		text, err := os.ReadFile(dir + task.Name() + "/children")
		if errors.Is(err, fs.ErrNotExist) && task.Name() == strconv.Itoa(pid) {
			return scan(pid) // the kernel was built without this file
		}
		for len(text) > 0 {
			var field []byte
			field, text = word(text)
			if child, err := strconv.Atoi(string(field)); err == nil {
				found = append(found, child)
			}
		}
	}

	return found
}

// scan finds the children of a process among all processes.
func scan(parent int) []int {
	all, _ := os.ReadDir("/proc")
	var found []int
	for _, entry := range all {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		if parentOf(pid) == parent {
			found = append(found, pid)
		}
	}

	return found
}

// parentOf returns the parent of a process, or 0.
func parentOf(pid int) int {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0
	}
	for i, b := range slices.Backward(text) {
		if b != ')' { // it ends the name, which may contain anything
			continue
		}
		_, rest := word(text[i+1:]) // the state
		field, _ := word(rest)
		parent, _ := strconv.Atoi(string(field))

		return parent
	}

	return 0
}

// word cuts the first word off a text.
func word(text []byte) (first, rest []byte) {
	space := func(b byte) bool { return b == ' ' || b == '\n' }
	from := 0
	for from < len(text) && space(text[from]) {
		from++
	}
	to := from
	for to < len(text) && !space(text[to]) {
		to++
	}

	return text[from:to], text[to:]
}

package tty

import (
	"bytes"
	"iter"
	"os"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// The requests that read and write the settings of a terminal.
const getSettings, setSettings = unix.TCGETS, unix.TCSETS

// Shield calls f while SIGTTOU does not stop this process. Neither this process nor its children ignore the signal.
func Shield(f func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var shield, before unix.Sigset_t
	shield.Val[0] = 1 << (unix.SIGTTOU - 1)
	if unix.PthreadSigmask(unix.SIG_BLOCK, &shield, &before) == nil {
		defer unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil) //nolint:errcheck // the set was valid before
	}
	f()
}

// ancestors yields the process ids of the parent of this process, its parent, and so on, without 0.
func ancestors() iter.Seq[int] {
	return func(yield func(int) bool) {
		for pid := os.Getppid(); pid > 0 && yield(pid); _, pid = Stat(pid) {
		}
	}
}

// stops reports whether a process is stopped, or about to stop because of SIGTSTP.
func stops(pid int) bool {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return false
	}
	for line := range bytes.Lines(text) {
		name, value, _ := bytes.Cut(bytes.TrimSpace(line), []byte(":\t"))
		switch string(name) {
		case "State":
			if bytes.HasPrefix(value, []byte("T")) {
				return true
			}
		case "SigPnd", "ShdPnd":
			set, err := strconv.ParseUint(string(value), 16, 64)
			if err == nil && set&(1<<(unix.SIGTSTP-1)) != 0 {
				return true
			}
		}
	}

	return false
}

// Stat returns the state of a process, as ps shows it, and its parent. It returns zeros if they are unknown.
func Stat(pid int) (state byte, parent int) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, 0
	}
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:]) // the name may contain anything
	if len(fields) < 2 {
		return 0, 0
	}
	parent, _ = strconv.Atoi(string(fields[1]))

	return fields[0][0], parent
}

// Package identity describes the current process to people who look at the holders of a lock.
package identity

import (
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxPart is the largest size in bytes of each part of a description, so that the whole fits within limit.Description.
const maxPart = 255

// Self describes the process by its user, host, process id and program, for example "alice@ci-3, pid 42 (backup)". The
// text is a single line of valid UTF-8, and short enough for the description of a session.
func Self() string { return Of(filepath.Base(os.Args[0])) }

// Of is like Self with another name for the program.
func Of(program string) string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}

	return describe(userName(os.LookupEnv, user.Current), host, os.Getpid(), program)
}

// userName returns $USER, which the environments of systemd services and containers often lack. The user database has a
// name for the user id of most processes, and a container may run under an id that has none.
func userName(lookupEnv func(string) (string, bool), current func() (*user.User, error)) string {
	if name, _ := lookupEnv("USER"); name != "" {
		return name
	}
	if u, err := current(); err == nil && u.Username != "" {
		return u.Username
	}

	return "uid " + strconv.Itoa(os.Getuid())
}

// pidMark comes before the process id.
const pidMark = ", pid "

// NamesProcess reports whether the text has a process id, as those of Self and Of.
func NamesProcess(text string) bool { return strings.Contains(text, pidMark) }

func describe(user, host string, pid int, program string) string {
	return fmt.Sprintf("%s@%s%s%d (%s)", clean(user), clean(host), pidMark, pid, clean(program))
}

// clean returns the text as printable UTF-8 of at most maxPart bytes.
func clean(text string) string {
	text = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return '?'
		}

		return r
	}, text)
	for len(text) > maxPart {
		_, size := utf8.DecodeLastRuneInString(text)
		text = text[:len(text)-size]
	}

	return text
}

//go:build linux

package faults

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"tenure/internal/witnesstest"
)

const (
	roleVariable  = "FAULTS_ROLE"  // what this process does; empty: it runs the tests
	stageVariable = "FAULTS_STAGE" // the directory of the stage; it also marks all processes of the stage
)

// Roles of processes of a COMMAND.
const (
	obedient   = "obedient"   // a COMMAND that ends when it is asked to
	stubborn   = "stubborn"   // a COMMAND that ignores all requests, and starts a child
	child      = "child"      // of a stubborn COMMAND; starts a grandchild and a loner
	grandchild = "grandchild" //
	loner      = "loner"      // a grandchild in a session of its own
	short      = "short"      // a COMMAND that ends by itself
)

// family are the roles of the processes that belong to a COMMAND.
var family = map[string][]string{
	obedient: {obedient},
	stubborn: {stubborn, child, grandchild, loner},
}

// ownCode is the exit code of an obedient COMMAND.
const ownCode = 3

// pace is the time between two lines of a process that works.
const pace = 10 * time.Millisecond

// A performer is a process of a COMMAND.
type performer struct {
	role   string
	token  uint64
	record witnesstest.Record
	alive  *os.File // locked while a process of the COMMAND lives
}

// perform is the main function of a process of a COMMAND. It returns the exit code.
func perform(role string) int {
	const failed = 99
	p := performer{role: role}
	var err error
	if p.token, err = strconv.ParseUint(os.Getenv("TENURE_TOKEN"), 10, 64); err != nil {
		return failed
	}
	dir := os.Getenv(stageVariable)
	if p.record, err = witnesstest.Open(filepath.Join(dir, "record")); err != nil {
		return failed
	}
	code, err := p.work(dir)
	if err != nil {
		_ = os.WriteFile(filepath.Join(dir, fmt.Sprint("failed-", os.Getpid())), []byte(err.Error()), 0o600)

		return failed
	}

	return code
}

func (p *performer) work(dir string) (code int, err error) {
	asked := make(chan os.Signal, 1)
	requests := []os.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM}
	if p.role == obedient || p.role == short {
		signal.Notify(asked, requests...)
	} else {
		signal.Ignore(requests...)
	}
	signal.Ignore(syscall.SIGPIPE)

	if err := p.live(dir); err != nil {
		return 0, err
	}
	if err := p.say(begin); err != nil {
		return 0, err
	}
	if err := p.startOthers(); err != nil {
		return 0, err
	}
	if p.role == short {
		return 0, p.say(end)
	}

	over := make(chan struct{})
	go func() { // ends with the process
		defer close(over)
		_, _ = io.Copy(io.Discard, os.Stdin) // until the test has ended
	}()
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for {
		if err := p.say(works); err != nil {
			return 0, err
		}
		select {
		case <-tick.C:
		case <-asked:
			return ownCode, p.say(end)
		case <-over:
			return 0, nil
		}
	}
}

// live locks a file for as long as this process or one of those that it starts lives: they inherit the lock.
func (p *performer) live(dir string) (err error) {
	const inherited = 3
	if slices.Contains([]string{child, grandchild, loner}, p.role) {
		p.alive = os.NewFile(inherited, "alive")

		return nil
	}
	if p.alive, err = os.OpenFile(filepath.Join(dir, "alive"), os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return err
	}
	err = unix.Flock(int(p.alive.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return p.say(crowded)
	}

	return err
}

func (p *performer) startOthers() error {
	others := map[string][]string{stubborn: {child}, child: {grandchild, loner}}[p.role]
	for _, role := range others {
		self, err := os.Executable()
		if err != nil {
			return err
		}
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), roleVariable+"="+role)
		cmd.Stdin, cmd.ExtraFiles = os.Stdin, []*os.File{p.alive}
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: role == loner}
		if err := cmd.Start(); err != nil {
			return err
		}
	}

	return nil
}

func (p *performer) say(verb string) error {
	return p.record.Append(line{Token: p.token, PID: os.Getpid(), Parent: os.Getppid(), Role: p.role, Verb: verb})
}

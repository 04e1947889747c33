package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"tenure/internal/clock"
)

// container runs what a Dockerfile starts as process 1 of a container, and stops it.
func (s *stage) container(ctx context.Context, b block) error {
	limited, cancel := context.WithTimeoutCause(ctx, soon, fmt.Errorf("not over after %v", soon))
	defer cancel()
	im, err := parseImage(s.here(b.text))
	if err != nil {
		return err
	}
	dir, err := s.empty()
	if err != nil {
		return err
	}
	cmd := s.contain(limited, dir, im.command)
	cmd.Env = append(slices.Clone(s.env), im.variables...)
	p, err := s.startCommand(cmd)
	if err != nil {
		return err
	}
	if err := p.firstLine(limited); err != nil {
		return err
	}
	clock.Pause(ctx, s.clock, look)
	zombies, err := zombiesOf(cmd.Process.Pid)
	if err != nil || len(zombies) > 0 {
		return errors.Join(err, p.kill(), fmt.Errorf("%v has not reaped %v", im.command, zombies))
	}
	if code, err := p.stop(im.stop); err != nil || code != 0 && code != 128+int(im.stop) {
		return errors.Join(err, fmt.Errorf("%v exited with %d after %v", im.command, code, im.stop))
	}

	return nil
}

// zombiesOf returns the names of the children of a process that have ended and that the process has not reaped.
func zombiesOf(pid int) (names []string, err error) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	for _, stat := range stats {
		text, err := os.ReadFile(stat)
		if err != nil {
			continue // it has ended
		}
		// The format is "PID (NAME) STATE PPID ...", and NAME can contain anything.
		name, rest, _ := strings.Cut(string(text), "(")
		i := strings.LastIndexByte(rest, ')')
		if i < 0 {
			return nil, fmt.Errorf("%s: unexpected text %q", stat, text)
		}
		name, fields := name+rest[:i], strings.Fields(rest[i+1:])
		if len(fields) > 1 && fields[0] == "Z" && fields[1] == strconv.Itoa(pid) {
			names = append(names, name)
		}
	}

	return names, err
}

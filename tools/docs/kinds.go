package main

import (
	"context"
	"errors"
	"fmt"
	"go/format"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"tenure/internal/clock"
)

// script runs a block of shell commands, or installs it if it is a file.
func (s *stage) script(ctx context.Context, b block) error {
	text := s.here(b.text)
	if strings.HasPrefix(text, "#!") {
		fields := strings.Fields(strings.ReplaceAll(strings.Split(text, "\n")[1], ":", " "))
		if len(fields) < 2 || filepath.Dir(fields[1]) != s.bin {
			return fmt.Errorf("the second line of a file is not a comment with its path below %s", installed)
		}

		return os.WriteFile(fields[1], []byte(text), 0o755)
	}
	dir, err := s.empty()
	if err == nil && strings.Contains(text, "go ") {
		dir, err = s.checkout(ctx)
	}
	if err == nil {
		err = os.CopyFS(dir, os.DirFS(filepath.Join(s.root, "tools", "docs", "testdata", "here")))
	}
	if err == nil && installs(b) {
		err = s.machine.prepare(ctx, s, dir)
	}
	if err != nil {
		return err
	}
	if s.machine.document != "" {
		text = s.machine.here(text)
	}
	if strings.HasPrefix(text, "go test ") {
		fmt.Fprintf(s.out, "the gate runs this command by itself: %s", text)

		return nil
	}

	return s.command(ctx, dir, "bash", "-euo", "pipefail", "-c", text).Run()
}

// terminals runs the lines of a block side by side.
func (s *stage) terminals(ctx context.Context, b block) error {
	limited, cancel := context.WithTimeoutCause(ctx, soon, fmt.Errorf("not over after %v", soon))
	defer cancel()
	if strings.Contains(b.text, "tenure serve") && !free(ctx) {
		return fmt.Errorf("another program listens on %s", address)
	}
	var running []*process
	for _, line := range terminals(s.here(b.text)) {
		p, err := s.start(limited, s.scratch, s.env, "bash", "-c", "exec env "+line)
		if err == nil {
			err = p.firstLine(limited)
		}
		if err != nil {
			return err
		}
		running = append(running, p)
	}
	clock.Pause(ctx, s.clock, look)
	for _, p := range slices.Backward(running) { // the server last
		if code, err := p.stop(syscall.SIGTERM); code != 0 || err != nil {
			return errors.Join(err, fmt.Errorf("%v exited with %d", p.cmd.Args, code))
		}
	}

	return nil
}

// machines is the number of machines that run a crontab.
const machines = 3

// crontab runs each job on several machines. They share their home, as they share a disk.
func (s *stage) crontab(ctx context.Context, b block) error {
	limited, cancel := context.WithTimeoutCause(ctx, soon, fmt.Errorf("not over after %v", soon))
	defer cancel()
	table, err := parseCrontab(s.here(b.text))
	if err != nil {
		return err
	}
	env := append([]string{"HOME=" + s.home, "LOGNAME=reader", "PATH=/usr/bin:/bin", "SHELL=/bin/sh"}, table.variables...)
	for _, job := range table.commands {
		var runs [machines]*process
		for i := range runs {
			if runs[i], err = s.start(limited, s.home, env, "/bin/sh", "-c", job); err != nil {
				return err
			}
		}
		var printed int
		for _, m := range runs {
			if code, err := m.wait(); code != 0 || err != nil {
				return errors.Join(err, fmt.Errorf("the job %q exited with %d", job, code))
			}
			if m.printed() != "" {
				printed++
			}
		}
		if printed != 1 {
			return fmt.Errorf("the job %q printed something on %d of %d machines", job, printed, machines)
		}
	}

	return nil
}

// unit checks a systemd unit and runs what it starts.
func (s *stage) unit(ctx context.Context, b block) error {
	limited, cancel := context.WithTimeoutCause(ctx, soon, fmt.Errorf("not over after %v", soon))
	defer cancel()
	text := s.here(b.text)
	u, err := parseUnit(text)
	if err != nil {
		return err
	}
	dir, err := s.empty()
	if err != nil {
		return err
	}
	file := filepath.Join(dir, u.name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return err
	}
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		fmt.Fprintln(s.out, "there is no systemd-analyze here: the unit is run, and not verified")
	} else if err := s.command(limited, dir, "systemd-analyze", "verify", "--man=no", file).Run(); err != nil {
		return fmt.Errorf("systemd-analyze verify: %w", err)
	}

	env := append(slices.Clone(s.env), u.variables...)
	if u.state {
		env = append(env, "STATE_DIRECTORY="+dir)
	}
	systemd, err := newManager(dir)
	if err != nil {
		return err
	}
	defer systemd.close()
	if u.notifies {
		env = append(env, systemd.variable())
	}
	p, err := s.start(limited, dir, env, "bash", "-c", "exec "+u.command)
	if err != nil {
		return err
	}
	if err := p.firstLine(limited); err != nil {
		return err
	}
	if u.notifies {
		if err := systemd.ready(limited); err != nil {
			return errors.Join(err, p.kill())
		}
	}
	code, err := p.stop(syscall.SIGTERM)
	if err != nil || code != 0 && !slices.Contains(u.success, strconv.Itoa(code)) {
		return errors.Join(err, fmt.Errorf("%s exited with %d after SIGTERM", u.command, code))
	}

	return nil
}

// program builds and runs a Go program.
func (s *stage) program(ctx context.Context, b block) error {
	if !strings.HasPrefix(b.text, "package ") {
		_, err := format.Source([]byte(b.text))

		return err
	}
	if formatted, err := format.Source([]byte(b.text)); err != nil || string(formatted) != b.text {
		return errors.Join(err, errors.New("it is not formatted as gofmt does"))
	}
	dir, err := s.empty()
	if err != nil {
		return err
	}
	file, program := filepath.Join(dir, "main.go"), filepath.Join(dir, "program")
	if err := os.WriteFile(file, []byte(b.text), 0o600); err != nil {
		return err
	}
	for _, args := range [][]string{{"vet", file}, {"build", "-o", program, file}} {
		if err := s.command(ctx, s.root, "go", args...).Run(); err != nil {
			return fmt.Errorf("go %s: %w", args[0], err)
		}
	}

	limited, cancel := context.WithTimeoutCause(ctx, soon, fmt.Errorf("not over after %v", soon))
	defer cancel()
	p, err := s.start(limited, dir, s.env, program)
	if err != nil {
		return err
	}
	if err := p.firstLine(limited); err != nil {
		return err
	}
	clock.Pause(ctx, s.clock, look)
	if code, err := p.stop(os.Interrupt); code != 0 || err != nil {
		return errors.Join(err, fmt.Errorf("the program exited with %d", code))
	}

	if !strings.Contains(b.text, "tenure.Embedded") {
		return nil
	}
	p, err = s.start(limited, dir, append(slices.Clone(s.env), "TENURE_DIR="+file+"/none"), program)
	if err != nil {
		return err
	}
	if code, err := p.wait(); code != 1 || err != nil {
		return errors.Join(err, fmt.Errorf("where the embedded server cannot run, the program exited with %d, not 1", code))
	}

	return nil
}

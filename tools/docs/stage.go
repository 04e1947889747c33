package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"tenure/internal/clock"
	"tenure/internal/programs"
)

const (
	installed = "/usr/local/bin" // where readers are told to install the commands
	address   = "localhost:2136" // where readers are told to run the server

	soon = time.Minute     // for one step of a block
	look = 2 * time.Second // for which a program that does not end runs after its first line
)

// A stage is where the blocks run: the directories and the variables that a reader has.
type stage struct {
	root, scratch string
	bin           string // in place of /usr/local/bin
	home          string
	env           []string
	out           io.Writer
	clock         clock.Clock
	machine       machine
}

func newStage(ctx context.Context, root, scratch string, out io.Writer) (*stage, error) {
	s := &stage{
		root: root, scratch: scratch, bin: filepath.Join(scratch, "bin"), home: filepath.Join(scratch, "home"),
		out: &sharedWriter{to: out}, clock: clock.System(), machine: machine{root: filepath.Join(scratch, "machine")},
	}
	for _, dir := range []string{s.bin, s.home, s.machine.root} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return nil, err
		}
	}
	env, err := s.environment(ctx)
	if err != nil {
		return nil, err
	}
	s.env = env
	if err := os.CopyFS(s.bin, os.DirFS(filepath.Join(root, "tools", "docs", "testdata", "bin"))); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(s.bin)
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		if err := os.Chmod(filepath.Join(s.bin, entry.Name()), 0o755); err != nil {
			return nil, err
		}
	}

	return s, programs.Build(ctx, s.bin, false, programs.Lock, programs.Tenure, programs.Workers)
}

// environment is that of a reader who has installed Go and the commands. What Go has downloaded and built is kept.
func (s *stage) environment(ctx context.Context) ([]string, error) {
	env := []string{
		"HOME=" + s.home, "USER=reader", "LANG=C.UTF-8", "GOBIN=" + s.bin, "STAGE_MACHINE=" + s.machine.root,
		"PATH=" + s.bin + ":" + os.Getenv("PATH"),
		// The modules that are kept were checked when they were downloaded. A module without a go.sum would ask the
		// checksum database about them, which a network of its own cannot reach.
		"GOSUMDB=off",
	}
	for _, name := range []string{
		"GOCACHE", "GOMODCACHE", "GOPATH", "GOPROXY", "GOFLAGS", "GOTOOLCHAIN", "CGO_ENABLED",
	} {
		value, err := exec.CommandContext(ctx, "go", "env", name).Output()
		if err != nil {
			return nil, fmt.Errorf("go env %s: %w", name, err)
		}
		env = append(env, name+"="+strings.TrimSpace(string(value)))
	}
	for _, name := range []string{
		"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "TMPDIR", "TENURE_PROGRAMS",
		"TENURE_ETCD_PROGRAM",
	} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}

	return env, nil
}

// command returns a command that prints to the stage.
func (s *stage) command(ctx context.Context, dir, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, s.env, s.out, s.out
	cmd.WaitDelay = time.Second

	return cmd
}

// here replaces the directory in which readers install the commands by the stage's.
func (s *stage) here(text string) string { return strings.ReplaceAll(text, installed, s.bin) }

func (s *stage) run(ctx context.Context, b block) error {
	if skip, err := s.machine.enter(ctx, s, b); skip || err != nil {
		return err
	}
	if strings.Contains(b.text, "grpc://"+address) && !strings.Contains(b.text, "tenure serve") {
		stop, err := s.serve(ctx)
		if err != nil {
			return err
		}
		defer stop()
	}
	switch b.kind {
	case "sh":
		return s.script(ctx, b)
	case "console":
		return s.terminals(ctx, b)
	case "crontab":
		return s.crontab(ctx, b)
	case "dockerfile":
		return s.container(ctx, b)
	case "ini":
		return s.unit(ctx, b)
	default:
		return s.program(ctx, b)
	}
}

// serve runs a server until stop is called.
func (s *stage) serve(ctx context.Context) (stop func(), err error) {
	p, err := s.start(ctx, s.home, s.env, filepath.Join(s.bin, "tenure"), "serve", "--memory")
	if err != nil {
		return nil, err
	}
	if err := p.firstLine(ctx); err != nil {
		return nil, errors.Join(err, p.kill())
	}

	return func() { _ = p.kill() }, nil
}

// empty returns a new empty directory.
func (s *stage) empty() (string, error) { return os.MkdirTemp(s.scratch, "dir-") }

// checkout returns a directory named tenure with a copy of the module's files. The name is always the same, so that
// Go need not build the copy again for the next block.
func (s *stage) checkout(ctx context.Context) (string, error) {
	dir := filepath.Join(s.scratch, "src", "tenure")
	if err := os.RemoveAll(filepath.Dir(dir)); err != nil {
		return "", err
	}
	list := exec.CommandContext(ctx, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir = s.root
	names, err := list.Output()
	if err != nil {
		return "", fmt.Errorf("git ls-files: %w", err)
	}
	for name := range bytes.SplitSeq(bytes.TrimRight(names, "\x00"), []byte{0}) {
		if err := copyFile(filepath.Join(dir, string(name)), filepath.Join(s.root, string(name))); err != nil {
			return "", err
		}
	}

	return dir, nil
}

func copyFile(to, from string) error {
	text, err := os.ReadFile(from)
	if errors.Is(err, os.ErrNotExist) {
		return nil // removed, and not committed yet
	}
	if err != nil {
		return err
	}
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}

	return os.WriteFile(to, text, info.Mode().Perm())
}

// free reports whether nothing listens on the server's address.
func free(ctx context.Context) bool {
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", address)
	if err != nil {
		return true
	}
	_ = conn.Close()

	return false
}

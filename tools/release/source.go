package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// A release is what the packages of a commit have in common.
type release struct {
	out, errs    io.Writer
	dir          string // for the packages
	src, scratch string
	module       string    // path of the module
	version      string    // such as v0.4.0
	time         time.Time // of the commit: that of all files in the packages
}

// checkout puts the files of the commit into r.src.
func (r *release) checkout(ctx context.Context, commit, version string) error {
	show, err := r.output(ctx, "", "git", "show", "-s", "--format=%ct %H", commit+"^{commit}")
	if err != nil {
		return err
	}
	seconds, hash, _ := strings.Cut(show, " ")
	unix, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return fmt.Errorf("git show: %w", err)
	}
	r.time = time.Unix(unix, 0).UTC()
	if r.version = version; version == "" {
		r.version = fmt.Sprintf("v0.0.0-%s-%s", r.time.Format("20060102150405"), hash[:12])
		tag, err := r.output(ctx, "", "git", "tag", "--points-at", hash, "--list", "v[0-9]*", "--sort=-version:refname")
		if err != nil {
			return err
		}
		if tag != "" {
			r.version = strings.Fields(tag)[0]
		}
	}
	archive := filepath.Join(r.scratch, "src.tar")
	if _, err := r.output(ctx, "", "git", "archive", "--format=tar", "--output="+archive, hash); err != nil {
		return err
	}
	if err := extract(archive, r.src); err != nil {
		return err
	}
	r.module, err = r.output(ctx, r.src, "go", "list", "-m")

	return err
}

// output runs a command in a directory, and returns what it prints, without the last newline.
func (r *release) output(ctx context.Context, dir, name string, args ...string) (string, error) {
	return r.outputEnv(ctx, dir, nil, name, args...)
}

func (r *release) outputEnv(
	ctx context.Context, dir string, env []string, name string, args ...string,
) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env, cmd.Stderr = dir, append(os.Environ(), env...), r.errs
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w", name, strings.Join(args, " "), err)
	}

	return strings.TrimSuffix(string(out), "\n"), nil
}

// The packages of the binaries. That of tenure contains the commands lock and workers too, but a process of them needs
// more memory in it, and more time to start: it initialises the packages of the server, and html/template, which the
// server's page uses, keeps the linker from removing methods that nothing calls.
const (
	tenurePackage   = "./cmd/tenure"
	commandsPackage = "./tools/release/commands"
)

// tags leave out the traces of gRPC, which use html/template too, and which tenure never switches on.
const tags = "grpcnotrace"

// build builds the binary of a package for a target, and returns its path.
func (r *release) build(ctx context.Context, t target, pkg string) (string, error) {
	path := filepath.Join(r.scratch, t.os+"-"+t.arch, filepath.Base(pkg))
	if t.os == "windows" {
		path += ".exe"
	}
	// The binary must not depend on the directory (-trimpath), on the git repository around it (-buildvcs), on the
	// machine's C library (CGO_ENABLED) or on flags in the environment.
	env := []string{
		"GOOS=" + t.os, "GOARCH=" + t.arch, "CGO_ENABLED=0", "GOFLAGS=-mod=readonly", "GOAMD64=v1", "GOARM64=v8.0",
		"GOEXPERIMENT=", "GOWORK=off", fmt.Sprintf("SOURCE_DATE_EPOCH=%d", r.time.Unix()),
	}
	flags := "-s -w -X " + r.module + "/internal/version.released=" + r.version
	_, err := r.outputEnv(ctx, r.src, env, "go", "build", "-trimpath", "-buildvcs=false", "-tags", tags, "-ldflags", flags,
		"-o", path, pkg)

	return path, err
}

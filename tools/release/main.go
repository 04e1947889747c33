// Command release builds the packages of tenure from a commit:
//
//	go run ./tools/release -o dist
//	go run ./tools/release -o dist -targets linux/amd64
//
// It builds what git has recorded for the commit (HEAD, or -commit), not what is in the work tree. The same commit and
// the same version of Go give the same bytes. The output directory must not exist, or be empty. It then contains
//
//	tenure_VERSION_OS_ARCH.tar.gz   the binaries tenure and lock, a link named workers to lock, manual pages,
//	                                completion scripts, documents and licences; for Windows, a .zip with only
//	                                tenure.exe
//	tenure_VERSION_ARCH.deb         a package for Debian and Ubuntu, with units for systemd
//	tenure_VERSION_oci              a container image for Linux, as an OCI layout
//	tenure_VERSION.cdx.json         the modules in the binaries, as an SBOM of CycloneDX
//	SHA256SUMS                      checksums of all files
//
// The version is the tag of the commit, such as v0.4.0, or otherwise a pseudo-version as Go makes them. The program
// needs git, Go, and the modules that the binaries link.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

// allTargets are the systems that packages are made for.
const allTargets = "linux/amd64,linux/arm64,darwin/amd64,darwin/arm64,windows/amd64"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

// A target is a system to build for.
type target struct{ os, arch string }

func (t target) String() string { return t.os + "/" + t.arch }

var host = target{runtime.GOOS, runtime.GOARCH}

func run(ctx context.Context, args []string, out, errs io.Writer) (err error) {
	flags := flag.NewFlagSet("release", flag.ContinueOnError)
	flags.SetOutput(errs)
	dir := flags.String("o", "dist", "output `directory`, which must be empty if it exists")
	list := flags.String("targets", allTargets, "comma-separated OS/ARCH `pairs`")
	commit := flags.String("commit", "HEAD", "`commit` to build")
	version := flags.String("version", "", "`version` (default: from the tag or the commit)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	targets, err := parseTargets(*list)
	if err != nil {
		return err
	}
	if entries, err := os.ReadDir(*dir); err == nil && len(entries) > 0 {
		return fmt.Errorf("-o %q is not empty: remove it, or name another directory", *dir)
	}
	scratch, err := os.MkdirTemp("", "tenure-release-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	r := &release{out: out, errs: errs, dir: *dir, src: filepath.Join(scratch, "src"), scratch: scratch}
	if err := r.checkout(ctx, *commit, *version); err != nil {
		return err
	}
	fmt.Fprintf(out, "building %s for %v\n", r.version, targets)

	return r.make(ctx, targets)
}

func parseTargets(list string) (targets []target, err error) {
	for pair := range strings.SplitSeq(list, ",") {
		system, arch, ok := strings.Cut(pair, "/")
		if !ok || system == "" || arch == "" {
			return nil, fmt.Errorf("-targets: %q is not OS/ARCH: write e.g. linux/amd64", pair)
		}
		targets = append(targets, target{system, arch})
	}

	return targets, nil
}

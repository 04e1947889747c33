// Package programs builds the programs of this module, for tests and tools that start them as processes.
package programs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime/debug"
	"slices"

	"github.com/gofrs/flock"
)

// The packages of the commands.
const (
	Lock    = "tenure/cmd/lock"
	Tenure  = "tenure/cmd/tenure"
	Workers = "tenure/cmd/workers"
)

// keepEnv names a directory in which built programs are kept for other processes. Linking the commands takes several
// seconds of processor time, and the gate does so for a dozen tests and documents. The directory must belong to one
// state of the sources.
const keepEnv = "TENURE_PROGRAMS"

// Raced reports whether the running program was built with the race detector.
func Raced() bool {
	info, ok := debug.ReadBuildInfo()

	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// How says how programs are built.
type How struct {
	Raced bool   // with the race detector
	Tags  string // build tags, separated by commas
	Dir   string // a directory in the module; empty: the working directory
}

// ForTest calls the method with the same name.
func ForTest(dir string, raced bool, packages ...string) error {
	return How{Raced: raced}.ForTest(dir, packages...)
}

// Build calls the method with the same name.
func Build(ctx context.Context, dir string, raced bool, packages ...string) error {
	return How{Raced: raced}.Build(ctx, dir, packages...)
}

// ForTest is like Build. It also reads the directories of the module, so that the go command does not use a cached
// result of the test when a file in them changes.
func (h How) ForTest(dir string, packages ...string) error {
	return errors.Join(h.Build(context.Background(), dir, packages...), readSources(h.Dir))
}

// Build builds the packages. It puts the programs into dir, which must exist. Each program is named after the last
// element of its package's path.
func (h How) Build(ctx context.Context, dir string, packages ...string) error {
	keep := os.Getenv(keepEnv)
	if keep == "" {
		return h.build(ctx, dir, packages)
	}
	kind := "plain"
	if h.Raced {
		kind = "race"
	}
	if h.Tags != "" {
		kind += "-" + h.Tags
	}
	keep = filepath.Join(keep, kind)
	if err := os.MkdirAll(keep, 0o755); err != nil {
		return err
	}
	lock := flock.New(keep + ".lock")
	if err := lock.Lock(); err != nil {
		return err
	}
	defer lock.Close()
	missing := slices.DeleteFunc(slices.Clone(packages), func(p string) bool {
		_, err := os.Stat(filepath.Join(keep, path.Base(p)))

		return err == nil
	})
	if len(missing) > 0 {
		if err := h.build(ctx, keep, missing); err != nil {
			return err
		}
	}
	for _, p := range packages {
		if err := place(filepath.Join(keep, path.Base(p)), filepath.Join(dir, path.Base(p))); err != nil {
			return err
		}
	}

	return nil
}

func (h How) build(ctx context.Context, dir string, packages []string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	args, env := []string{"build", "-o", dir + string(filepath.Separator)}, os.Environ()
	if h.Tags != "" {
		args = append(args, "-tags", h.Tags)
	}
	if h.Raced {
		args = append(args, "-race")
	} else {
		env = append(env, "CGO_ENABLED=0") // as in the packages
	}
	cmd := exec.CommandContext(ctx, "go", append(args, packages...)...)
	var printed bytes.Buffer
	cmd.Dir, cmd.Env, cmd.Stderr = h.Dir, env, io.MultiWriter(os.Stderr, &printed) // a download may take long
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("build %v: %w: %s", packages, err, printed.Bytes())
	}

	return nil
}

// place makes the kept program appear at the path to. It is a link if both are on the same file system.
func place(kept, to string) error {
	if os.Link(kept, to) == nil {
		return nil
	}
	from, err := os.Open(kept)
	if err != nil {
		return err
	}
	defer from.Close()
	file, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, from)

	return errors.Join(err, file.Close())
}

// readSources reads the directories of the module to which dir belongs.
func readSources(dir string) error {
	root, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	for {
		if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
			break
		}
		if root == filepath.Dir(root) {
			return errors.New("the working directory is in no module")
		}
		root = filepath.Dir(root)
	}

	return filepath.WalkDir(root, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == ".git" {
			return filepath.SkipDir
		}

		return err
	})
}

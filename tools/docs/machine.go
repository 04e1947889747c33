package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
)

// A machine is a directory tree that stands in for the reader's machine in a document that installs the package. The
// commands dpkg and systemctl of the stage work in it, and the server runs with the tree as its root directory.
type machine struct {
	root     string
	document string // that has installed the package; empty: none
	skipped  string // a document whose other blocks cannot run here
}

// installs reports whether the block installs the package.
func installs(b block) bool { return b.kind == "sh" && strings.Contains(b.text, "dpkg -i ./tenure_") }

// prepare makes the package, unless TENURE_PACKAGES names a directory that has it, and puts it in the directory.
func (m *machine) prepare(ctx context.Context, s *stage, dir string) error {
	packages := os.Getenv("TENURE_PACKAGES")
	if packages == "" {
		packages = filepath.Join(s.scratch, "packages")
		build := s.command(ctx, s.root, "go", "run", "./tools/release", "-o", packages, "-targets", "linux/"+runtime.GOARCH)
		if err := build.Run(); err != nil {
			return err
		}
	}
	debs, err := filepath.Glob(filepath.Join(packages, "tenure_*_"+runtime.GOARCH+".deb"))
	if err != nil || len(debs) != 1 {
		return fmt.Errorf("%s has %d packages for %s, not one: %v", packages, len(debs), runtime.GOARCH, err)
	}

	return os.Symlink(debs[0], filepath.Join(dir, filepath.Base(debs[0])))
}

// works reports whether this machine can show what the document describes.
func works() error {
	if os.Getuid() != 0 {
		return fmt.Errorf("only root can install the package and start the server as another user")
	}
	_, err := exec.LookPath("/usr/bin/dpkg")

	return err
}

// group matches the group that may read the configuration.
var group = regexp.MustCompile(`(?m)^tenure-config:[^:]*:([0-9]+):`)

// here puts the machine's paths, names and group in the place of those in the document.
func (m *machine) here(text string) string {
	replacements := []string{
		" /etc/", " " + m.root + "/etc/", "=/etc/", "=" + m.root + "/etc/",
		" /usr/share/", " " + m.root + "/usr/share/", " /var/", " " + m.root + "/var/",
		"locks.example", "localhost", "_amd64.deb", "_" + runtime.GOARCH + ".deb",
	}
	groups, _ := os.ReadFile(filepath.Join(m.root, "etc", "group")) // the package creates it
	if found := group.FindSubmatch(groups); found != nil {
		replacements = append(replacements, "tenure-config", string(found[1]))
	}

	return strings.NewReplacer(replacements...).Replace(text)
}

// leave stops what the document has started.
func (m *machine) leave(ctx context.Context, s *stage) error {
	if m.document == "" {
		return nil
	}
	m.document = ""

	return s.command(ctx, s.scratch, filepath.Join(s.bin, "systemctl"), "stop").Run()
}

// enter changes to the document of a block. It reports whether the block cannot run here.
func (m *machine) enter(ctx context.Context, s *stage, b block) (skip bool, err error) {
	if m.document != "" && m.document != b.document {
		if err := m.leave(ctx, s); err != nil {
			return false, err
		}
	}
	if installs(b) {
		if err := works(); err != nil {
			fmt.Fprintf(s.out, "the blocks of %s do not run here: %v\n", b.document, err)
			m.skipped = b.document

			return true, nil
		}
		m.document = b.document
	}

	return m.skipped != "" && m.skipped == b.document, nil
}

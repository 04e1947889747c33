package main

import (
	"bytes"
	"errors"
	"fmt"
	"go/format"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
)

// rename changes the path of the module in dir. It returns the old path and the number of changed files. It writes
// nothing unless it can rewrite all files.
func rename(dir, to string) (from string, changed int, err error) {
	if err := module.CheckPath(to); err != nil {
		return "", 0, fmt.Errorf("%w: pass a module path such as example.com/you/tenure", err)
	}
	from, err = modulePath(dir)
	if err != nil || from == to {
		return from, 0, err
	}
	if err := checkClean(dir); err != nil {
		return from, 0, err
	}
	files, packages, err := survey(dir)
	if err != nil {
		return from, 0, err
	}

	m := newMove(from, to, packages)
	rewritten := make(map[string][]byte)
	for _, name := range files {
		old, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return from, 0, err
		}
		text, err := m.file(name, old)
		if err != nil {
			return from, 0, fmt.Errorf("rewrite %q: %w", name, err)
		}
		if !bytes.Equal(text, old) {
			rewritten[name] = text
		}
	}
	for name, text := range rewritten {
		name = filepath.Join(dir, name)
		info, err := os.Stat(name)
		if err != nil {
			return from, 0, err
		}
		if err := os.WriteFile(name, text, info.Mode().Perm()); err != nil {
			return from, 0, err
		}
	}

	return from, len(rewritten), nil
}

// modulePath returns the path of the module whose root is dir.
func modulePath(dir string) (string, error) {
	text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if errors.Is(err, fs.ErrNotExist) {
		return "", errors.New("there is no go.mod here: run rename in the root directory of the module")
	}
	if err != nil {
		return "", err
	}
	name := modfile.ModulePath(text)
	if name == "" {
		return "", errors.New("go.mod has no module line")
	}

	return name, nil
}

// checkClean returns an error if dir is in a git work tree with uncommitted changes. It accepts a tree outside of git,
// such as an unpacked archive.
func checkClean(dir string) error {
	inside := exec.Command("git", "rev-parse", "--is-inside-work-tree")
	inside.Dir = dir
	if inside.Run() != nil {
		return nil //nolint:nilerr // no git, or no repository: there is nothing to check
	}
	status := exec.Command("git", "status", "--porcelain", "--", ".")
	status.Dir = dir
	out, err := status.Output()
	if err != nil {
		return fmt.Errorf("git status: %w", err)
	}
	if len(out) > 0 {
		return fmt.Errorf("there are uncommitted changes: commit or stash them first:\n%s", bytes.TrimRight(out, "\n"))
	}

	return nil
}

// survey lists the text files that may contain the module's path, and the directories of its packages, both relative to
// dir. It skips directories named testdata, because their files are not compiled and tests may depend on every byte.
func survey(dir string) (files, packages []string, err error) {
	err = filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		switch {
		case entry.IsDir() && (entry.Name() == ".git" || entry.Name() == "testdata" || rel == "bin"):
			return filepath.SkipDir
		case !entry.Type().IsRegular():
			return nil
		}
		switch path.Ext(rel) {
		case ".go":
			packages = append(packages, path.Dir(rel))
			files = append(files, rel)
		case ".md", ".mod", ".txt", ".txtar", ".yml", ".yaml", ".sh":
			if path.Base(rel) == "go.mod" {
				packages = append(packages, path.Dir(rel)) // a module may have no packages
			}
			files = append(files, rel)
		case "":
			if strings.HasPrefix(rel, ".ci/") {
				files = append(files, rel)
			}
		}

		return nil
	})
	slices.Sort(packages)

	return files, slices.Compact(packages), err
}

// A move rewrites files to change a module's path.
type move struct {
	from, to string

	// below matches the import path of a package or module below the root, and the byte on each side that delimits it.
	// The module's path may be an ordinary word, so root matches it only where it is certainly an import path: on a line
	// of its own in an import declaration.
	below, root *regexp.Regexp
	rootImport  string // what precedes the root's new import path, from defaultName
}

func newMove(from, to string, packages []string) *move {
	// Texts also name parent directories without packages, as in "go vet tenure/cmd/...".
	dirs := map[string]bool{}
	for _, name := range packages {
		for ; name != "."; name = path.Dir(name) {
			dirs[regexp.QuoteMeta(name)] = true
		}
	}
	names := make([]string, 0, len(dirs))
	for name := range dirs {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return len(b) - len(a) }) // regexp takes the first match
	old := regexp.QuoteMeta(from)

	return &move{
		from: from, to: to,
		below:      regexp.MustCompile(`(^|[^\w./-])` + old + `/(` + strings.Join(names, "|") + `)($|[^\w-])`),
		root:       regexp.MustCompile(`(?m)^(\s*(?:import )?)((?:[\w.]+ )?)"` + old + `"(\s*(?://.*)?)$`),
		rootImport: defaultName(to),
	}
}

// defaultName returns the text that must precede the root's import path: the package's name and a space, or nothing if
// the last element of the path is the package's name.
func defaultName(to string) string {
	const packageName = "tenure"
	prefix, _, _ := module.SplitPathVersion(to)
	if path.Base(prefix) == packageName {
		return ""
	}

	return packageName + " "
}

// file returns the new text of a file.
func (m *move) file(name string, text []byte) ([]byte, error) {
	if path.Base(name) == "go.mod" {
		return m.goMod(name, text)
	}
	moved := m.paths(text)
	switch {
	case path.Base(name) == ".golangci.yml":
		return m.linter(moved), nil
	case path.Ext(name) == ".go" && !bytes.Equal(moved, text):
		return format.Source(moved) // the new length of a path may change the alignment of comments
	}

	return moved, nil
}

func (m *move) paths(text []byte) []byte {
	for { // repeat, because two paths may share the byte between them
		moved := m.below.ReplaceAll(text, []byte("${1}"+m.to+"/${2}${3}"))
		if bytes.Equal(moved, text) {
			break
		}
		text = moved
	}

	return m.root.ReplaceAllFunc(text, func(line []byte) []byte {
		part := m.root.FindSubmatch(line)
		name := string(part[2])
		if name == "" {
			name = m.rootImport
		}

		return fmt.Appendf(nil, "%s%s%q%s", part[1], name, m.to, part[3])
	})
}

// linter rewrites the values in the linter's configuration that consist of the module's path alone.
func (m *move) linter(text []byte) []byte {
	old := regexp.QuoteMeta(m.from)
	value := regexp.MustCompile(`(prefix\(|module-path: |pkg: )` + old + `(\)|\$|,| |\n)`)

	return value.ReplaceAll(text, []byte("${1}"+m.to+"${2}"))
}

// goMod rewrites the module, require and replace lines of a go.mod file.
func (m *move) goMod(name string, text []byte) ([]byte, error) {
	f, err := modfile.Parse(name, text, nil)
	if err != nil {
		return nil, err
	}
	if f.Module == nil {
		return nil, errors.New("there is no module line")
	}
	lines := []*modfile.Line{f.Module.Syntax}
	for _, r := range f.Require {
		lines = append(lines, r.Syntax)
	}
	for _, r := range f.Replace {
		lines = append(lines, r.Syntax)
	}
	for _, t := range f.Tool {
		lines = append(lines, t.Syntax)
	}
	for _, line := range lines {
		m.goModLine(line)
	}
	f.SortBlocks()

	return f.Format()
}

// goModLine rewrites the first path of the module in a line. If a version follows, it becomes a placeholder for the new
// path's major version. No published version is needed, because a replace line gives the module's directory.
func (m *move) goModLine(line *modfile.Line) {
	for i, token := range line.Token {
		moved, ok := m.path(token)
		if !ok {
			continue
		}
		line.Token[i] = moved
		if i+1 < len(line.Token) && strings.HasPrefix(line.Token[i+1], "v") {
			_, major, _ := module.SplitPathVersion(moved)
			line.Token[i+1] = module.ZeroPseudoVersion(module.PathMajorPrefix(major))
		}

		return
	}
}

// path returns the new path for the path of the module, or of a package or module below it.
func (m *move) path(old string) (moved string, ok bool) {
	if old == m.from {
		return m.to, true
	}
	if rest, ok := strings.CutPrefix(old, m.from+"/"); ok {
		return m.to + "/" + rest, true
	}

	return "", false
}

package main

import (
	_ "embed"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/stretchr/testify/require"
)

// The archives are files below testdata, not literals, because rename does not change directories named testdata.
//
//go:embed testdata/before.txtar
var before string

//go:embed testdata/after.txtar
var after string

// unpack writes the files of an archive to a new directory.
func unpack(t *testing.T, archive string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for _, f := range txtar.Parse([]byte(archive)).Files {
		name := filepath.Join(dir, f.Name)
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
		require.NoError(t, os.WriteFile(name, f.Data, 0o644))
	}

	return dir
}

// pack returns the files of a directory as an archive, in the order of the archive like.
func pack(t *testing.T, dir, like string) string {
	t.Helper()
	archive := txtar.Parse([]byte(like))
	for i := range archive.Files {
		text, err := os.ReadFile(filepath.Join(dir, archive.Files[i].Name))
		require.NoError(t, err)
		archive.Files[i].Data = text
	}

	archive.Comment = nil

	return string(txtar.Format(archive))
}

// files returns an archive without its comment.
func files(archive string) string {
	a := txtar.Parse([]byte(archive))
	a.Comment = nil

	return string(txtar.Format(a))
}

func TestRename(t *testing.T) {
	t.Parallel()
	dir := unpack(t, before)
	from, changed, err := rename(dir, "example.com/you/tenure")
	require.NoError(t, err)
	require.Equal(t, "tenure", from)
	require.Equal(t, 9, changed)
	require.Equal(t, files(after), pack(t, dir, before))

	var out strings.Builder
	require.NoError(t, run(dir, []string{"example.com/you/tenure"}, &out), "a second run changes nothing")
	require.Equal(t, "the module path is example.com/you/tenure already\n", out.String())
	require.Equal(t, files(after), pack(t, dir, before))

	_, _, err = rename(dir, "example.org/tenure")
	require.NoError(t, err)
	require.Equal(t, strings.ReplaceAll(files(after), "example.com/you/tenure", "example.org/tenure"),
		pack(t, dir, before), "the path can change again")
}

func TestRename_MajorVersion(t *testing.T) {
	t.Parallel()
	dir := unpack(t, before)
	_, _, err := rename(dir, "example.com/you/tenure/v2")
	require.NoError(t, err)
	want := strings.ReplaceAll(files(after), "example.com/you/tenure", "example.com/you/tenure/v2")
	require.Equal(t, strings.ReplaceAll(want, "v0.0.0-0001", "v2.0.0-0001"), pack(t, dir, before))
}

func TestRename_AddsPackageName(t *testing.T) {
	t.Parallel()
	dir := unpack(t, before)
	_, _, err := rename(dir, "example.com/leases")
	require.NoError(t, err)
	text, err := os.ReadFile(filepath.Join(dir, "lock/lock.go"))
	require.NoError(t, err)
	require.Contains(t, string(text), "\n\ttenure \"example.com/leases\"\n\t\"example.com/leases/internal/clock\"")
	require.Contains(t, string(text), "\nimport own \"example.com/leases\"\n")
}

func TestRename_Errors(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ file, text, to, err string }{
		"no such path":   {to: "example.com//tenure", err: `malformed module path "example.com//tenure": double slash`},
		"not a domain":   {to: "tenure2", err: "missing dot in first path element: pass a module path such as"},
		"version 1":      {to: "example.com/tenure/v1", err: "invalid version"},
		"empty":          {to: "", err: "malformed module path"},
		"broken Go file": {"lock/lock.go", "package lock\nimport \"tenure\"\n{", "example.com/tenure", `"lock/lock.go"`},
		"broken go.mod":  {"bench/go.mod", "modul tenure/bench", "example.com/tenure", `"bench/go.mod"`},
		"no module line": {"go.mod", "go 1.26.0", "example.com/tenure", "go.mod has no module line"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := unpack(t, before)
			if test.file != "" {
				require.NoError(t, os.WriteFile(filepath.Join(dir, test.file), []byte(test.text), 0o644))
			}
			original := pack(t, dir, before)
			_, _, err := rename(dir, test.to)
			require.ErrorContains(t, err, test.err)
			require.Equal(t, original, pack(t, dir, before))
		})
	}
	_, _, err := rename(t.TempDir(), "example.com/tenure")
	require.EqualError(t, err, "there is no go.mod here: run rename in the root directory of the module")
	require.ErrorContains(t, run(".", nil, nil), "got 0 arguments: pass the new module path")
}

func TestRename_UncommittedChanges(t *testing.T) {
	t.Parallel()
	dir := unpack(t, before)
	git := func(args ...string) {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-c", "user.name=me", "-c", "user.email=me@example.com"}, args...)...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	git("init", "-q")
	_, _, err := rename(dir, "example.com/you/tenure")
	require.ErrorContains(t, err, "there are uncommitted changes: commit or stash them first:\n?? .ci/")

	git("add", ".")
	git("commit", "-q", "-m", "all")
	_, _, err = rename(dir, "example.com/you/tenure")
	require.NoError(t, err)
	require.Equal(t, files(after), pack(t, dir, before))
	_, _, err = rename(dir, "example.org/tenure")
	require.ErrorContains(t, err, "uncommitted changes")
	git("restore", ".")
	require.Equal(t, files(before), pack(t, dir, before))
}

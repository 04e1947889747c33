//go:build unix

package trust

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// stranger is a user who exists on every machine, and whom nobody trusts.
const stranger = overflow

// A tree is a directory with others in it.
type tree struct {
	t    *testing.T
	root string
}

func newTree(t *testing.T) tree {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can give files to other users")
	}
	root, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	for _, dir := range []string{root, filepath.Dir(root)} { // other users can pass
		require.NoError(t, os.Chmod(dir, 0o755))
	}

	return tree{t, root}
}

func (d tree) mkdir(name string, mode fs.FileMode, owner, group int) {
	d.t.Helper()
	path := filepath.Join(d.root, name)
	require.NoError(d.t, os.Mkdir(path, 0o700))
	require.NoError(d.t, os.Chown(path, owner, group))
	require.NoError(d.t, os.Chmod(path, mode))
}

func (d tree) link(target, name string, owner int) {
	d.t.Helper()
	path := filepath.Join(d.root, name)
	require.NoError(d.t, os.Symlink(target, path))
	require.NoError(d.t, os.Lchown(path, owner, owner))
}

func TestPath(t *testing.T) {
	t.Parallel()
	const sticky, setgid = fs.ModeSticky, fs.ModeSetgid
	for name, c := range map[string]struct {
		build func(tree)
		path  string
		want  string // DIR stands for the root of the tree
	}{
		"private":      {func(d tree) { d.mkdir("a", 0o755, 0, 0) }, "a/state", ""},
		"missing":      {func(tree) {}, "a/b/state", ""},
		"the last one": {func(d tree) { d.mkdir("state", 0o777, stranger, 0) }, "state", ""}, // the caller checks it
		"open to all": {
			func(d tree) { d.mkdir("a", 0o777, 0, 0) }, "a/state", `every user can write to "DIR/a" and so replace`,
		},
		"missing in it": {func(d tree) { d.mkdir("a", 0o777, 0, 0) }, "a/b/state", `every user can write to "DIR/a"`},
		"sticky":        {func(d tree) { d.mkdir("a", sticky|0o777, 0, 0) }, "a/state", ""},
		"a stranger's directory in a sticky one": {
			func(d tree) { d.mkdir("a", sticky|0o777, 0, 0); d.mkdir("a/b", 0o755, stranger, 0) }, "a/b/state",
			`"DIR/a/b" belongs to user 65534, who can replace what is in it`,
		},
		"a member's directory": {func(d tree) { d.mkdir("a", 0o755, 7, 0) }, "a/state", ""},
		"open to another group": {
			func(d tree) { d.mkdir("a", 0o775, 0, stranger) }, "a/state",
			`the members of group 65534 can write to "DIR/a" and so replace what is in it: run: chmod g-w DIR/a`,
		},
		"open to our group":          {func(d tree) { d.mkdir("a", 0o775, 0, os.Getegid()) }, "a/state", ""},
		"a shared directory of ours": {func(d tree) { d.mkdir("a", setgid|0o770, stranger, os.Getegid()) }, "a/state", ""},
		"open below a private one": {
			func(d tree) { d.mkdir("a", 0o700, 0, 0); d.mkdir("a/b", 0o777, stranger, 0) }, "a/b/state", "",
		},
		"our link": {func(d tree) { d.mkdir("a", 0o755, 0, 0); d.link("a", "l", 0) }, "l/state", ""},
		"a stranger's link": {
			func(d tree) { d.mkdir("a", 0o755, 0, 0); d.link("a", "l", stranger) }, "l/state",
			`"DIR/l" is a symbolic link of user 65534, who can make it lead elsewhere`,
		},
		"a stranger's link at the end": {
			func(d tree) { d.mkdir("a", 0o755, 0, 0); d.link("a", "l", stranger) }, "l", `"DIR/l" is a symbolic link`,
		},
		"our link to an unsafe place": {
			func(d tree) { d.mkdir("a", 0o777, 0, 0); d.mkdir("a/b", 0o755, 0, 0); d.link("./a/b", "l", 0) }, "l/state",
			`every user can write to "DIR/a"`,
		},
		"up and down": {
			func(d tree) { d.mkdir("a", 0o755, 0, 0); d.mkdir("b", 0o777, 0, 0); d.link("../b/c", "a/l", 0) }, "a/l/state",
			`every user can write to "DIR/b"`,
		},
		"a loop": {func(d tree) { d.link("l", "l", 0) }, "l/state", "too many levels of symbolic links"},
		"a file": {func(d tree) { require.NoError(d.t, os.WriteFile(d.root+"/f", nil, 0o600)) }, "f/state", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newTree(t)
			c.build(d)
			err := Path(filepath.Join(d.root, c.path), 7)
			if c.want == "" {
				require.NoError(t, err)

				return
			}
			require.ErrorContains(t, err, strings.ReplaceAll(c.want, "DIR", d.root))
			require.NotContains(t, err.Error(), "\n")
		})
	}
}

// A user id that is not in the user namespace belongs to nobody in particular.
func TestContains(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"         0          0 4294967295\n": true,
		"         0       1000          1\n": false,
		"0 1000 1\n1 100000 65536\n":         true,
		"0 1000 1\n1 100000 65533\n":         false,
		"0 100000 65535\n":                   true,
		"0 100000 65534\n":                   false,
		"":                                   false,
		"nonsense\n":                         false,
	} {
		require.Equal(t, want, contains(text, overflow), text)
	}
}

func TestKeep(t *testing.T) {
	t.Parallel()
	file := func(name string) func(tree) {
		return func(d tree) {
			require.NoError(d.t, os.WriteFile(filepath.Join(d.root, "state", name), nil, 0o600))
		}
	}
	nothing := func(tree) {}
	for name, c := range map[string]struct {
		mode         fs.FileMode
		owner, group int
		fill         func(tree)
		want         fs.FileMode
		wrong        string
	}{
		"private":                 {0o700, 0, 0, nothing, 0o700, ""},
		"empty, open to read":     {0o755, 0, 0, nothing, 0o700, ""},
		"empty, open to write":    {0o777, 0, 0, nothing, 0o700, ""},
		"ours, open to read":      {0o755, 0, 0, file("LOCK"), 0o700, ""},
		"another's, open to read": {0o755, 0, 0, file("x"), 0o755, ""}, // the files of the store have mode 0600
		"another's, open to write": {
			0o775, 0, 0, file("x"), 0o775, `other users can write to "DIR/state" (mode 0775), and it contains other files`,
		},
		"a shared one": {0o770, stranger, os.Getegid(), nothing, 0o770, ""},
		"a stranger's": {
			0o700, stranger, 0, nothing, 0o700, `"DIR/state" belongs to user 65534, but this process runs as user 0`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newTree(t)
			d.mkdir("state", c.mode, c.owner, c.group)
			c.fill(d)
			path := filepath.Join(d.root, "state")
			tightened, err := Keep(path, "LOCK")
			if c.wrong == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, strings.ReplaceAll(c.wrong, "DIR", d.root))
			}
			require.Equal(t, c.mode != c.want, tightened)
			info, err := os.Stat(path)
			require.NoError(t, err)
			require.Equal(t, c.want, info.Mode().Perm())
		})
	}
	d := newTree(t)
	d.mkdir("a", 0o777, 0, 0)
	_, err := Keep(filepath.Join(d.root, "a", "state"), "LOCK")
	require.ErrorContains(t, err, `a/state" is not safe: every user can write to "`)
	require.NoDirExists(t, filepath.Join(d.root, "a", "state"))
}

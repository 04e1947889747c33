//go:build unix

package embedded

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

const nobody = 65534

// stateDir returns the name of a state directory that is not there yet.
func stateDir(t *testing.T) string {
	t.Helper()

	return filepath.Join(t.TempDir(), "state")
}

func TestDefaultDir(t *testing.T) {
	t.Parallel()
	type env map[string]string
	for name, c := range map[string]struct {
		env  env
		want string
	}{
		"named":                   {env{"TENURE_DIR": "/a", "XDG_STATE_HOME": "/b", "HOME": "/c"}, "/a"},
		"named from here":         {env{"TENURE_DIR": "a", "HOME": "/c"}, "a"},
		"of the user's state":     {env{"TENURE_DIR": "", "XDG_STATE_HOME": "/b", "HOME": "/c"}, "/b/tenure"},
		"of the user":             {env{"XDG_STATE_HOME": "", "HOME": "/c"}, "/c/.local/state/tenure"},
		"no place for state":      {env{"XDG_STATE_HOME": "b", "HOME": "/c"}, "/c/.local/state/tenure"},
		"without a home":          {env{"XDG_STATE_HOME": "/b"}, "/b/tenure"},
		"nothing is known":        {env{}, ""},
		"nothing is known of use": {env{"XDG_STATE_HOME": "b", "HOME": ""}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, DefaultDir(func(name string) (string, bool) {
				value, ok := c.env[name]

				return value, ok
			}))
		})
	}
}

// requireFit opens the directory, which must be fit for use.
func requireFit(t *testing.T, path string) {
	t.Helper()
	d, err := openDirectory(path)
	require.NoError(t, err)
	for _, path := range []string{d.path, d.join(lifelinesName)} {
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o700), info.Mode().Perm(), path)
	}
	require.NoError(t, d.close())
}

func TestOpenDirectory_MakesWhatIsMissing(t *testing.T) {
	t.Parallel()
	parent := filepath.Join(t.TempDir(), "a")
	path := filepath.Join(parent, "b", "state")
	requireFit(t, path)
	info, err := os.Stat(parent)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
	requireFit(t, path) // as it is now
	link := filepath.Join(parent, "link")
	require.NoError(t, os.Symlink(path, link))
	requireFit(t, link)
}

// A path is taken from where the process is when it opens the directory.
func TestOpenDirectory_Relative(t *testing.T) {
	t.Chdir(t.TempDir())
	here, err := os.Getwd()
	require.NoError(t, err)
	d, err := openDirectory("state")
	require.NoError(t, err)
	require.Equal(t, filepath.Join(here, "state"), d.path)
	require.NoError(t, d.close())
}

// requireRefused opens a directory that is not fit for use, and returns what is said.
func requireRefused(t *testing.T, path string, parts ...string) (line string) {
	t.Helper()
	_, err := openDirectory(path)
	require.Error(t, err)
	line = err.Error()
	require.NotContains(t, line, "\n")
	require.Contains(t, line, "--dir or TENURE_DIR")
	for _, part := range parts {
		require.Contains(t, line, part)
	}

	return line
}

// repair runs the command that a message ends with.
func repair(t *testing.T, line string) {
	t.Helper()
	command := regexp.MustCompile(`, or run(?: as root)?: (.*)$`).FindStringSubmatch(line)
	require.NotNil(t, command, line)
	out, err := exec.CommandContext(t.Context(), "sh", "-c", command[1]).CombinedOutput()
	require.NoError(t, err, "%s: %s", command[1], out)
}

// A directory of a wrong mode is refused with the command that repairs it, whatever the directory's name.
func TestOpenDirectory_Mode(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		dir  string
		mode os.FileMode
		want string
	}{
		"open to all":          {"state", 0o755, "lets other users in (mode 0755)"},
		"open to one":          {"state", 0o701, "lets other users in (mode 0701)"},
		"closed to its owner":  {"state", 0o500, "keeps its own user out (mode 0500)"},
		"blanks in its name":   {"my  state", 0o755, "chmod 700 '"},
		"a quote in its name":  {`st'a"te`, 0o755, "chmod 700 '"},
		"commands in its name": {"$(false)`false`; false #", 0o755, "chmod 700 '"},
		"a name like a flag":   {"--state", 0o755, "lets other users in"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), c.dir)
			require.NoError(t, os.Mkdir(path, 0o700))
			require.NoError(t, os.Chmod(path, c.mode))
			line := requireRefused(t, path, c.want)
			repair(t, line)
			requireFit(t, path)
		})
	}
}

// What was made for other things is to be left as it is.
func TestOpenDirectory_WithOtherThings(t *testing.T) {
	t.Parallel()
	path := stateDir(t)
	requireFit(t, path)
	require.NoError(t, os.Chmod(path, 0o755))
	repair(t, requireRefused(t, path))
	require.NoError(t, os.Remove(filepath.Join(path, lifelinesName)))
	require.NoError(t, os.WriteFile(filepath.Join(path, "letter"), nil, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(path, "LOCK"), nil, 0o600)) // a store's, though never embedded
	require.NoError(t, os.Chmod(path, 0o755))
	repair(t, requireRefused(t, path))
	require.NoError(t, os.Remove(filepath.Join(path, "LOCK")))
	require.NoError(t, os.Chmod(path, 0o755))
	line := requireRefused(t, path, "made for other things", filepath.Join(path, "tenure"))
	require.NotContains(t, line, "run:")
	require.NotContains(t, line, "chmod")
	requireFit(t, filepath.Join(path, "tenure"))
}

func TestOpenDirectory_OtherOwner(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can give a directory to another user")
	}
	path := stateDir(t)
	requireFit(t, path)
	require.NoError(t, os.Chown(path, nobody, nobody))
	line := requireRefused(t, path, "belongs to user 65534, and this process is user 0", "chown -R 0 "+path)
	repair(t, line)
	requireFit(t, path)
}

// Each of these is one clear line that names what is in the way.
func TestOpenDirectory_InItsPlace(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		prepare func(path string) error
		want    string
	}{
		"a file":              {func(path string) error { return os.WriteFile(path, nil, 0o600) }, "not a directory"},
		"a link to nowhere":   {func(path string) error { return os.Symlink("/none/such", path) }, `link to "/none/such"`},
		"a link to itself":    {func(path string) error { return os.Symlink(path, path) }, "symbolic link"},
		"a file of lifelines": {fileOfLifelines, "/lifelines\": not a directory"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := stateDir(t)
			require.NoError(t, c.prepare(path))
			requireRefused(t, path, path, c.want)
		})
	}
	t.Run("a file on the way", func(t *testing.T) {
		t.Parallel()
		file := stateDir(t)
		require.NoError(t, os.WriteFile(file, nil, 0o600))
		requireRefused(t, filepath.Join(file, "state"), file+"/state", "not a directory")
	})
}

func fileOfLifelines(path string) error {
	if err := os.Mkdir(path, 0o700); err != nil {
		return err
	}

	return os.WriteFile(filepath.Join(path, lifelinesName), nil, 0o600)
}

func TestOpenDirectory_NoneIsKnown(t *testing.T) {
	t.Parallel()
	requireRefused(t, "", "no state directory, and no home")
}

// What root may do everywhere, others may not.
func TestOpenDirectory_AsOrdinaryUser(t *testing.T) {
	t.Parallel()
	if os.Geteuid() == 0 {
		if !Again(t, &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}) {
			return
		}
		t.Fatal("this user is root still")
	}
	t.Run("a way that others keep", func(t *testing.T) {
		t.Parallel()
		parent := filepath.Join(t.TempDir(), "parent")
		require.NoError(t, os.Mkdir(parent, 0o500))
		path := filepath.Join(parent, "state")
		requireRefused(t, path, path, "permission denied")
		requireRefused(t, "/none/such", `"/none/such": mkdir "/none": permission denied`)
	})
	t.Run("of another", func(t *testing.T) {
		t.Parallel()
		line := requireRefused(t, "/", "belongs to user 0", "made for other things", `"/tenure"`)
		require.NotContains(t, line, "chown")
	})
	t.Run("the rest", func(t *testing.T) {
		t.Parallel()
		t.Run("made", TestOpenDirectory_MakesWhatIsMissing)
		t.Run("mode", TestOpenDirectory_Mode)
		t.Run("in its place", TestOpenDirectory_InItsPlace)
	})
}

func TestQuote(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"/a/B-1_2.x", "/a b", "/a'b", "''", `\`, "$HOME", "é", "*", "~", "!x", "a\tb"} {
		out, err := exec.CommandContext(t.Context(), "sh", "-c", "printf %s "+quote(name)).Output()
		require.NoError(t, err)
		require.Equal(t, name, string(out))
	}
	require.Equal(t, "/a/B-1_2.x", quote("/a/B-1_2.x"))
	require.True(t, strings.HasPrefix(quote("~"), "'"))
}

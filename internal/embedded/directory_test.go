//go:build unix

package embedded

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// nobody is an ordinary user, and other one that is not in the user database.
const (
	nobody = 65534
	other  = 54322
)

// stateDir returns the name of a state directory that does not exist yet.
func stateDir(t *testing.T) string {
	t.Helper()

	return filepath.Join(t.TempDir(), "state")
}

// variables returns a lookup in env.
func variables(env map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		value, ok := env[name]

		return value, ok
	}
}

func TestDefaultDir(t *testing.T) {
	t.Parallel()
	chosen, err := DefaultDir(
		variables(map[string]string{"TENURE_DIR": "/a", "XDG_STATE_HOME": "/b", "HOME": "/c"}), "--dir")
	require.NoError(t, err)
	require.Equal(t, Choice{"/a", "TENURE_DIR"}, chosen)

	chosen, err = DefaultDir(variables(map[string]string{"HOME": "/c"}), "--dir")
	require.NoError(t, err)
	require.Equal(t, Choice{"/c/.local/state/tenure", "HOME"}, chosen)

	_, err = DefaultDir(variables(map[string]string{"TENURE_DIR": "", "HOME": "/c"}), "--dir")
	require.EqualError(t, err, "TENURE_DIR is empty: write TENURE_DIR=/path/to/directory, or unset the variable")

	_, err = DefaultDir(variables(map[string]string{"TENURE_DIR": "a b"}), "--dir")
	here, _ := os.Getwd()
	require.EqualError(t, err, `TENURE_DIR="a b" is not an absolute path, so each working directory would have its own `+
		"locks: write TENURE_DIR='"+here+"/a b'")
}

// The first variable that is an absolute path decides, and the user database decides if there is none.
func TestStateDir(t *testing.T) {
	t.Parallel()
	type env map[string]string
	const inHome = "/.local/state/tenure"
	for name, c := range map[string]struct {
		env    env
		dir    string
		source string
	}{
		"XDG before HOME":              {env{"XDG_STATE_HOME": "/b", "HOME": "/c"}, "/b/tenure", "XDG_STATE_HOME"},
		"XDG without HOME":             {env{"XDG_STATE_HOME": "/b"}, "/b/tenure", "XDG_STATE_HOME"},
		"XDG empty":                    {env{"XDG_STATE_HOME": "", "HOME": "/c"}, "/c" + inHome, "HOME"},
		"XDG relative":                 {env{"XDG_STATE_HOME": "b", "HOME": "/c"}, "/c" + inHome, "HOME"},
		"HOME before systemd":          {env{"HOME": "/c", "STATE_DIRECTORY": "/d"}, "/c" + inHome, "HOME"},
		"systemd":                      {env{"STATE_DIRECTORY": "/d"}, "/d/tenure", "STATE_DIRECTORY"},
		"systemd, several directories": {env{"STATE_DIRECTORY": "/d:/e"}, "/d/tenure", "STATE_DIRECTORY"},
		"systemd, HOME empty":          {env{"HOME": "", "STATE_DIRECTORY": "/d"}, "/d/tenure", "STATE_DIRECTORY"},
		"systemd, HOME relative":       {env{"HOME": "c", "STATE_DIRECTORY": "/d"}, "/d/tenure", "STATE_DIRECTORY"},
		"nothing set":                  {env{}, "/home/me" + inHome, "user database"},
		"nothing usable":               {env{"HOME": "c", "STATE_DIRECTORY": "d"}, "/home/me" + inHome, "user database"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := chooseStateDir(variables(c.env), func() (string, error) { return "/home/me", nil })
			require.NoError(t, err)
			require.Equal(t, Choice{c.dir, c.source}, got)
		})
	}
}

func TestStateDir_NoneIsKnown(t *testing.T) {
	t.Parallel()
	nobody := func() (string, error) { return "", errors.New("user 7 is not in the user database") }
	for name, c := range map[string]struct {
		env  map[string]string
		want string
	}{
		"HOME not set": {nil, "HOME is not set, and user 7 is not in the user database"},
		"HOME empty":   {map[string]string{"HOME": ""}, "HOME is empty, and user 7 is not in the user database"},
		"HOME relative": {
			map[string]string{"HOME": "c"},
			`HOME="c" is not an absolute path, and user 7 is not in the user database`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := chooseStateDir(variables(c.env), nobody)
			require.EqualError(t, err, c.want)
		})
	}
}

// A process without a home directory in its environment finds that of its account, or says what to do.
func TestDefaultDir_OfTheAccount(t *testing.T) {
	t.Parallel()
	account, err := user.LookupId(strconv.Itoa(os.Geteuid()))
	chosen, chooseErr := DefaultDir(variables(nil), "--dir")
	if err != nil || !filepath.IsAbs(account.HomeDir) {
		require.ErrorContains(t, chooseErr, "cannot choose a state directory: HOME is not set, and user ")
		require.ErrorContains(t, chooseErr, ": pass --dir or set TENURE_DIR")

		return
	}
	require.NoError(t, chooseErr)
	require.Equal(t, Choice{account.HomeDir + "/.local/state/tenure", "user database"}, chosen)
}

// An account that the user database does not know needs --dir or TENURE_DIR.
func TestDefaultDir_OfAnUnknownAccount(t *testing.T) {
	t.Parallel()
	const unknown = 54321
	if os.Geteuid() != unknown {
		if os.Geteuid() != 0 {
			t.Skip("only root can start a process of another user")
		}
		if !Again(t, &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: unknown, Gid: unknown}}) {
			return
		}
		t.Fatal("this user is root still")
	}
	_, err := DefaultDir(variables(nil), "--dir")
	require.EqualError(t, err, "cannot choose a state directory: HOME is not set, and user 54321 is not in the user "+
		"database: pass --dir or set TENURE_DIR")
}

// requireFit requires that the directory can be opened and is closed to other users.
func requireFit(t *testing.T, path string) {
	t.Helper()
	d, err := openDirectory(path, "--dir")
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
	requireFit(t, path) // it exists now
	link := filepath.Join(parent, "link")
	require.NoError(t, os.Symlink(path, link))
	requireFit(t, link)
}

// A relative path starts at the working directory of the process when it opens the directory.
func TestOpenDirectory_Relative(t *testing.T) {
	t.Chdir(t.TempDir())
	here, err := os.Getwd()
	require.NoError(t, err)
	d, err := openDirectory("state", "--dir")
	require.NoError(t, err)
	require.Equal(t, filepath.Join(here, "state"), d.path)
	require.NoError(t, d.close())
}

// requireRefused requires that the directory is refused in one line with the parts, and returns that line.
func requireRefused(t *testing.T, path string, parts ...string) (line string) {
	t.Helper()
	_, err := openDirectory(path, "--dir")
	require.Error(t, err)
	line = err.Error()
	require.NotContains(t, line, "\n")
	require.Contains(t, line, "--dir or TENURE_DIR")
	for _, part := range parts {
		require.Contains(t, line, part)
	}

	return line
}

// repair runs the command at the end of a message.
func repair(t *testing.T, line string) {
	t.Helper()
	command := regexp.MustCompile(`, or run(?: as root)?: (.*)$`).FindStringSubmatch(line)
	require.NotNil(t, command, line)
	out, err := exec.CommandContext(t.Context(), "sh", "-c", command[1]).CombinedOutput()
	require.NoError(t, err, "%s: %s", command[1], out)
}

// A directory with the wrong mode is refused, and the message has a command that repairs it, whatever its name is.
func TestOpenDirectory_Mode(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		dir  string
		mode os.FileMode
		want string
	}{
		"open to all":          {"state", 0o755, "is accessible to other users (mode 0755)"},
		"open to one":          {"state", 0o701, "is accessible to other users (mode 0701)"},
		"closed to its owner":  {"state", 0o500, "is not accessible to its owner (mode 0500)"},
		"blanks in its name":   {"my  state", 0o755, "chmod 700 '"},
		"a quote in its name":  {`st'a"te`, 0o755, "chmod 700 '"},
		"commands in its name": {"$(false)`false`; false #", 0o755, "chmod 700 '"},
		"a name like a flag":   {"--state", 0o755, "is accessible to other users"},
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

// The advice for a directory with other files in it is to choose another directory, not to change its mode.
func TestOpenDirectory_WithOtherThings(t *testing.T) {
	t.Parallel()
	path := stateDir(t)
	requireFit(t, path)
	require.NoError(t, os.Chmod(path, 0o755))
	repair(t, requireRefused(t, path))
	require.NoError(t, os.Remove(filepath.Join(path, lifelinesName)))
	require.NoError(t, os.WriteFile(filepath.Join(path, "letter"), nil, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(path, "LOCK"), nil, 0o600)) // from a store, though not an embedded one
	require.NoError(t, os.Chmod(path, 0o755))
	repair(t, requireRefused(t, path))
	require.NoError(t, os.Remove(filepath.Join(path, "LOCK")))
	require.NoError(t, os.Chmod(path, 0o755))
	line := requireRefused(t, path, "contains other files", filepath.Join(path, "tenure"))
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
	require.NoError(t, os.Chown(path, other, other))
	line := requireRefused(t, path, "belongs to user 54322, but this process runs as root",
		"run this command as that user (sudo -u '#54322' ...)", "install -d -m 2770 -g GROUP DIRECTORY")
	require.NotContains(t, line, "chown") // it would end what the owner's processes do
	missing := filepath.Join(path, "a", "b")
	requireRefused(t, missing, missing, "does not exist", "belongs to user 54322")
	require.NoDirExists(t, filepath.Join(path, "a"))
}

// As root, a variable that leads into a directory of another user does not choose the state directory.
func TestStateDir_AsRoot(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can give a directory to another user")
	}
	home, ours := t.TempDir(), t.TempDir()
	left := filepath.Join(home, ".local", "state", "tenure") // an earlier process of root may have made it
	require.NoError(t, os.MkdirAll(left, 0o700))
	require.NoError(t, os.Chown(home, other, other))
	const account, because = "/root/.local/state/tenure", "user database, because %s leads into a directory of user 54322"
	for name, c := range map[string]struct {
		env  map[string]string
		want Choice
	}{
		"HOME": {map[string]string{"HOME": home}, Choice{account, fmt.Sprintf(because, "HOME")}},
		"XDG":  {map[string]string{"XDG_STATE_HOME": home + "/x"}, Choice{account, fmt.Sprintf(because, "XDG_STATE_HOME")}},
		"HOME of root": {
			map[string]string{"HOME": ours + "/missing"}, Choice{ours + "/missing/.local/state/tenure", "HOME"},
		},
		"systemd": {map[string]string{"STATE_DIRECTORY": home}, Choice{home + "/tenure", "STATE_DIRECTORY"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := chooseAsRoot(variables(c.env), func() (string, error) { return "/root", nil })
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
	_, err := chooseAsRoot(variables(map[string]string{"HOME": home}), func() (string, error) {
		return "", errors.New("user 0 is not in the user database")
	})
	require.EqualError(t, err, "HOME leads into a directory of user 54322, and user 0 is not in the user database")
}

// Each obstacle is named in one line.
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
	t.Run("a file among its parents", func(t *testing.T) {
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

// An ordinary user meets permissions that do not apply to root.
func TestOpenDirectory_AsOrdinaryUser(t *testing.T) {
	t.Parallel()
	if os.Geteuid() == 0 {
		if !Again(t, &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}) {
			return
		}
		t.Fatal("this user is root still")
	}
	t.Run("a parent without permission", func(t *testing.T) {
		t.Parallel()
		parent := filepath.Join(t.TempDir(), "parent")
		require.NoError(t, os.Mkdir(parent, 0o500))
		path := filepath.Join(parent, "state")
		requireRefused(t, path, path, "permission denied")
		requireRefused(t, "/none/such", `"/none/such": mkdir "/none": permission denied`)
	})
	t.Run("of another user", func(t *testing.T) {
		t.Parallel()
		line := requireRefused(t, "/", "belongs to user 0", "contains other files", `"/tenure"`)
		require.NotContains(t, line, "chown")
	})
	t.Run("the rest", func(t *testing.T) {
		t.Parallel()
		t.Run("made", TestOpenDirectory_MakesWhatIsMissing)
		t.Run("mode", TestOpenDirectory_Mode)
		t.Run("in its place", TestOpenDirectory_InItsPlace)
	})
}

// Errors name the setting that the user of the process has: an option of package tenure, or a flag of a command.
func TestOpen_NamesTheSetting(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for setting, c := range map[string]Config{
		"tenure.WithDir": {Dir: file},
		"--dir":          {Dir: file, DirSetting: "--dir"},
	} {
		_, err := Open(t.Context(), c)
		require.ErrorContains(t, err, ": choose another with "+setting+" or TENURE_DIR")
	}
}

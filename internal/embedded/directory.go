package embedded

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"tenure/internal/groupdir"
	"tenure/internal/shell"
)

const (
	socketName    = "socket"
	statusName    = "status"
	lifelinesName = "lifelines"
	lockName      = "LOCK" // the store's
)

// A Choice is a directory and the name of what chose it.
type Choice struct {
	Dir    string
	Source string // a variable, such as HOME, or "user database"
}

// DefaultDir returns the state directory for callers that do not name one: $TENURE_DIR if it is set, otherwise that of
// [StateDir]. Lookup is os.LookupEnv or a function like it. An empty TENURE_DIR is an error, because it is most likely
// the value of a variable that its user forgot to set. A relative one is an error too (see CheckAbs). Errors name the
// setting with which the user can choose a directory, such as "--dir".
func DefaultDir(lookup func(string) (string, bool), setting string) (Choice, error) {
	if dir, ok := lookup("TENURE_DIR"); ok {
		if dir == "" {
			return Choice{}, errors.New("TENURE_DIR is empty: write TENURE_DIR=/path/to/directory, or unset the variable")
		}

		return Choice{dir, "TENURE_DIR"}, CheckAbs("TENURE_DIR", dir)
	}
	choice, err := StateDir(lookup)
	if err != nil {
		return Choice{}, fmt.Errorf("cannot choose a state directory: %w: pass %s or set TENURE_DIR", err, setting)
	}

	return choice, nil
}

// CheckAbs returns an error if the value of a setting that stays for several commands is a relative path. It would name
// another directory, and so other locks, wherever a command runs.
func CheckAbs(setting, dir string) error {
	if filepath.IsAbs(dir) {
		return nil
	}
	example := "/path/to/directory"
	if abs, err := filepath.Abs(dir); err == nil {
		example = abs
	}

	return fmt.Errorf("%s=%q is not an absolute path, so each working directory would have its own locks: write %s=%s",
		setting, dir, setting, shell.Quote(example))
}

// StateDir returns the directory in which tenure keeps the files of the account. It is named tenure and is in the first
// of these directories that is known:
//
//   - $XDG_STATE_HOME
//   - ~/.local/state, where ~ is $HOME
//   - $STATE_DIRECTORY, which systemd sets for a service with StateDirectory=; the first one if it lists several
//   - ~/.local/state, where ~ is the home directory that the system's user database has for the account
//
// A variable that is empty, or not an absolute path, is ignored: the XDG Base Directory Specification asks for that.
//
// If the process runs as root, XDG_STATE_HOME and HOME are also ignored if they lead into a directory of another user.
// Sudo may leave HOME unchanged, and files of root in the user's home would then lock the user out.
func StateDir(lookup func(string) (string, bool)) (Choice, error) {
	if os.Geteuid() == 0 {
		return chooseAsRoot(lookup, accountHome)
	}

	return chooseStateDir(lookup, accountHome)
}

// chooseAsRoot is like chooseStateDir, but does not choose a directory in a directory of another user.
func chooseAsRoot(lookup func(string) (string, bool), accountHome func() (string, error)) (Choice, error) {
	choice, err := chooseStateDir(lookup, accountHome)
	if err != nil || choice.Source != "HOME" && choice.Source != "XDG_STATE_HOME" {
		return choice, err
	}
	uid, ok := foreignParent(choice.Dir)
	if !ok {
		return choice, nil
	}
	account, err := accountHome()
	if err != nil {
		return Choice{}, fmt.Errorf("%s leads into a directory of user %d, and %w", choice.Source, uid, err)
	}

	return Choice{
		inHome(account), fmt.Sprintf("user database, because %s leads into a directory of user %d", choice.Source, uid),
	}, nil
}

func chooseStateDir(lookup func(string) (string, bool), accountHome func() (string, error)) (Choice, error) {
	if state, _ := lookup("XDG_STATE_HOME"); filepath.IsAbs(state) {
		return Choice{filepath.Join(state, "tenure"), "XDG_STATE_HOME"}, nil
	}
	home, ok := lookup("HOME")
	if filepath.IsAbs(home) {
		return Choice{inHome(home), "HOME"}, nil
	}
	service, _ := lookup("STATE_DIRECTORY")
	if first, _, _ := strings.Cut(service, ":"); filepath.IsAbs(first) {
		return Choice{filepath.Join(first, "tenure"), "STATE_DIRECTORY"}, nil
	}
	account, err := accountHome()
	switch {
	case err == nil:
		return Choice{inHome(account), "user database"}, nil
	case !ok:
		return Choice{}, fmt.Errorf("HOME is not set, and %w", err)
	case home == "":
		return Choice{}, fmt.Errorf("HOME is empty, and %w", err)
	}

	return Choice{}, fmt.Errorf("HOME=%q is not an absolute path, and %w", home, err)
}

func inHome(home string) string { return filepath.Join(home, ".local", "state", "tenure") }

// accountHome returns the home directory that the user database has for the account of this process.
func accountHome() (string, error) {
	id := strconv.Itoa(os.Geteuid())
	account, err := user.LookupId(id)
	if err != nil {
		return "", fmt.Errorf("user %s is not in the user database", id)
	}
	if !filepath.IsAbs(account.HomeDir) {
		return "", fmt.Errorf("user %s has no home directory in the user database", id)
	}

	return account.HomeDir, nil
}

// A directory is a state directory that is fit for use.
type directory struct {
	path    string
	file    *os.File // the directory itself, for socket names that are too long otherwise
	shared  bool     // by the members of a group, who trust each other
	setting string   // see Config.DirSetting
}

// openDirectory makes the directory if it is missing, and refuses one that users can access who are neither its owner
// nor members of a group that shares it. Errors name the setting with which the user can choose another directory.
func openDirectory(path, setting string) (*directory, error) {
	d := &directory{path: path, setting: setting}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, d.fault(err)
	}
	path, d.path = abs, abs
	if err := d.checkParent(); err != nil {
		return nil, err
	}
	if err := d.checkPath(); err != nil { // before a directory is made where it does not belong
		return nil, err
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, d.fault(err)
	}
	if err := cmp.Or(d.checkPath(), d.checkOurs()); err != nil {
		return nil, err
	}
	if err := d.prepare(); err != nil {
		return nil, err
	}
	if d.file, err = os.Open(path); err != nil {
		return nil, d.fault(err)
	}

	return d, nil
}

// prepare gives the group of a shared directory access to what is in the directory, and makes what is missing.
func (d *directory) prepare() error {
	err := d.within(func(in *groupdir.Dir) error { return errors.Join(in.Repair(), in.Mkdir(lifelinesName)) })
	if closed, ok := errors.AsType[*groupdir.ClosedError](err); ok {
		return fmt.Errorf("state directory %q: %w: end all processes that use the directory, and run as user %d, to "+
			"repair the modes: tenure status --dir %s", d.path, closed, closed.UID, shell.Quote(d.path))
	}
	if err != nil {
		return d.fault(err)
	}

	return nil
}

// within calls do with the directory that is at the path now.
func (d *directory) within(do func(*groupdir.Dir) error) error {
	in, err := groupdir.Open(d.path)
	if err != nil {
		return err
	}

	return errors.Join(do(in), in.Close())
}

func (d *directory) join(name string) string { return filepath.Join(d.path, name) }

func (d *directory) close() error { return d.file.Close() }

// choose returns the advice to choose another directory. The kind describes that directory.
func (d *directory) choose(kind string) string {
	return fmt.Sprintf("choose %s with %s or TENURE_DIR", kind, d.setting)
}

// fault returns an error that describes why the directory cannot be used, and what to do about it.
func (d *directory) fault(err error) error {
	path := d.path
	if target, _ := os.Readlink(path); target != "" && errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("state directory %q is a symbolic link to %q, which does not exist: create that directory, or %s",
			path, target, d.choose("another"))
	}
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		at := e.Path
		if !filepath.IsAbs(at) { // in the directory
			at = d.join(at)
		}
		if err = e.Err; at != path {
			err = fmt.Errorf("%s %q: %w", strings.TrimSuffix(e.Op, "at"), at, e.Err)
		}
	}

	return fmt.Errorf("state directory %q: %w: %s", path, err, d.advice(err, "another"))
}

// advice returns what to do about the error: free some space if the disk is full, or else choose a directory of the
// kind.
func (d *directory) advice(err error, kind string) string {
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return fmt.Sprintf("free some space on the disk of %q", d.path)
	case errors.Is(err, syscall.EDQUOT):
		return fmt.Sprintf("free some space on the disk of %q, or have the quota raised", d.path)
	default:
		return d.choose(kind)
	}
}

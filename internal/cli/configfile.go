package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// ConfigVariable names the configuration file. It must not be empty. If its value is /dev/null, no file is read.
const ConfigVariable = "TENURE_CONFIG"

// maxConfig is the largest configuration file, in bytes. A larger one is most likely something else.
const maxConfig = 1 << 20

// configHelp is what the help says below the table of flags.
const configHelp = "Flag names are also keys in ~/.config/tenure/config.toml, or in the file that " + ConfigVariable +
	" names.\n"

// setFromConfig sets the flags that neither the command line nor a variable sets from the configuration file.
func setFromConfig(cmd *cobra.Command, lookup func(string) (string, bool)) error {
	path, text, err := readConfig(lookup)
	if err != nil || text == nil {
		return err
	}
	entries, err := parseConfig(path, text, configTable(cmd))
	if err != nil {
		return err
	}
	chosen := map[*pflag.Flag]*entry{}
	for _, e := range entries {
		f, err := e.flag(cmd)
		if err != nil {
			return err
		}
		if f == nil {
			continue // it is for another command
		}
		if err := e.check(settingOf(f)); err != nil {
			return err
		}
		if before := chosen[f]; before == nil || before.table == "" {
			chosen[f] = e // the command's table comes before the keys for all commands
		}
	}

	return applyConfig(cmd, chosen)
}

// configTable returns the name of the table for cmd. The commands below another one, such as those of "tenure node",
// share its table.
func configTable(cmd *cobra.Command) string {
	for cmd.HasParent() && cmd.Parent().HasParent() {
		cmd = cmd.Parent()
	}

	return cmd.Name()
}

// applyConfig sets flags to their values in the configuration file.
func applyConfig(cmd *cobra.Command, chosen map[*pflag.Flag]*entry) error {
	var first error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		e, s := chosen[f], settingOf(f)
		if e == nil || f.Changed || s.variable != "" || s.row.IgnoreEnv != nil && s.row.IgnoreEnv() {
			return
		}
		s.entry = e
		for _, text := range e.texts() {
			if err := s.Set(text); err != nil && first == nil {
				first = e.badValue(s, text)
			}
		}
	})

	return first
}

// readConfig returns the path and the content of the configuration file. The content is nil if the file does not exist.
func readConfig(lookup func(string) (string, bool)) (path string, text []byte, err error) {
	path, named := lookup(ConfigVariable)
	switch {
	case named && path == "":
		return "", nil, fmt.Errorf("%[1]s is empty: write %[1]s=/path/to/config.toml, or unset the variable", ConfigVariable)
	case path == os.DevNull:
		return "", nil, nil
	case !named:
		path = defaultConfig(lookup)
	}
	if path == "" {
		return "", nil, nil
	}
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a FIFO without a writer would block
	switch {
	case errors.Is(err, fs.ErrNotExist) && !named:
		return "", nil, nil
	case err != nil:
		return "", nil, fmt.Errorf("cannot read the configuration file: %w: %s", err, otherConfig)
	}
	defer file.Close()
	if err := trusted(file); err != nil {
		return "", nil, fmt.Errorf("configuration file %s: %w", path, err)
	}
	text, err = io.ReadAll(io.LimitReader(file, maxConfig+1))
	switch {
	case err != nil:
		return "", nil, fmt.Errorf("cannot read the configuration file: %w: %s", err, otherConfig)
	case len(text) > maxConfig:
		return "", nil, fmt.Errorf("configuration file %s is larger than 1 MiB: %s", path, otherConfig)
	}

	return path, text, nil
}

const otherConfig = "set " + ConfigVariable + " to another file, or to /dev/null for none"

// defaultConfig returns the path of the user's configuration file; empty if there is no home directory.
func defaultConfig(lookup func(string) (string, bool)) string {
	if dir, _ := lookup("XDG_CONFIG_HOME"); filepath.IsAbs(dir) { // its specification ignores others
		return filepath.Join(dir, "tenure", "config.toml")
	}
	if home, _ := lookup("HOME"); filepath.IsAbs(home) {
		return filepath.Join(home, ".config", "tenure", "config.toml")
	}

	return ""
}

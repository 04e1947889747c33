package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/clock"
)

// newTestStage returns a stage on which the programs are shell scripts.
func newTestStage(t *testing.T, scripts map[string]string) (*stage, *bytes.Buffer) {
	t.Helper()
	var out bytes.Buffer
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	s := &stage{root: root, scratch: t.TempDir(), out: &sharedWriter{to: &out}, clock: clock.System()}
	s.bin, s.home = filepath.Join(s.scratch, "bin"), filepath.Join(s.scratch, "home")
	require.NoError(t, os.Mkdir(s.bin, 0o700))
	require.NoError(t, os.Mkdir(s.home, 0o700))
	for name, text := range scripts {
		require.NoError(t, os.WriteFile(filepath.Join(s.bin, name), []byte("#!/bin/sh\n"+text), 0o700))
	}
	s.env = []string{"HOME=" + s.home, "PATH=" + s.bin + ":" + os.Getenv("PATH")}

	return s, &out
}

// A block that does not do what its kind promises is an error.
func TestStage(t *testing.T) {
	t.Parallel()
	scripts := map[string]string{
		"once":  "mkdir $HOME/$1 2>/dev/null && echo first; exit 0",
		"works": "echo works; exec sleep 1000",
		"traps": "trap 'exit 7' TERM; echo traps; while :; do sleep 0.1; done",
		"mute":  "sleep 0.1",
	}
	const unit = "# /etc/systemd/system/a.service\n[Service]\nExecStart=/usr/local/bin/%s\nSuccessExitStatus=%s\n"
	for name, test := range map[string]struct{ kind, text, err string }{
		"script":                 {"sh", "x=1\necho $x | grep 1\n", ""},
		"script that fails":      {"sh", "false | true\n", "exit status 1"},
		"variable that is unset": {"sh", "echo $none\n", "exit status 1"},
		"file":                   {"sh", "#!/bin/sh\n# /usr/local/bin/new: new\nexit 0\n", ""},
		"file elsewhere":         {"sh", "#!/bin/sh\n# /etc/new: new\n", "is not a comment with its path"},
		"job on one machine":     {"crontab", "1 2 3 4 5 /usr/local/bin/once job\n", ""},
		"job on both machines":   {"crontab", "1 2 3 4 5 echo twice\n", "printed something on 3 of 3 machines"},
		"job that fails":         {"crontab", "1 2 3 4 5 false\n", "exited with 1"},
		"terminal without words": {"console", "$ mute\n", "ended without printing anything"},
		"terminal that fails":    {"console", "$ traps\n", "exited with 7"},
		"unit":                   {"ini", fmt.Sprintf(unit, "traps", "7"), ""},
		"unit that fails":        {"ini", fmt.Sprintf(unit, "traps", "8"), "exited with 7 after SIGTERM"},
		"image without a list":   {"dockerfile", "ENTRYPOINT /usr/local/bin/works\n", "the ENTRYPOINT is not a list"},
		"excerpt":                {"go", "if x {\n\treturn\n}\n", ""},
		"excerpt that is wrong":  {"go", "if x {\n", "expected"},
		"program, not formatted": {"go", "package main\nfunc main() {}\n", "not formatted"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, out := newTestStage(t, scripts)
			err := s.run(t.Context(), block{kind: test.kind, text: test.text})
			if test.err == "" {
				require.NoError(t, err, out)
			} else {
				require.ErrorContains(t, err, test.err)
			}
		})
	}
}

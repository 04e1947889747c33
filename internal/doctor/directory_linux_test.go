package doctor_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"tenure/internal/clock"
	"tenure/internal/doctor"
)

func directory(path string) doctor.Directory {
	clk := clock.System()

	return doctor.Directory{
		Check: "state directory", Path: path, Choose: "--dir", Timeout: time.Hour,
		Sync: doctor.SyncTime(func() time.Duration { return clk.Now().Sub(1) }),
	}
}

// result returns the line of a check.
func result(t *testing.T, lines []doctor.Line, check string) doctor.Line {
	t.Helper()
	for _, l := range lines {
		if l.Check == check {
			require.Equal(t, l.Result == doctor.OK, l.Do == "", l)

			return l
		}
	}
	require.Fail(t, "no line", "%s in %v", check, lines)

	return doctor.Line{}
}

// mount mounts a disk in memory.
func mount(t *testing.T, options string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "disk")
	require.NoError(t, os.Mkdir(dir, 0o700))
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=0700,"+options); err != nil {
		t.Skipf("the system does not allow a tmpfs: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, unix.Unmount(dir, unix.MNT_DETACH)) })

	return dir
}

func TestDirectory_Lines(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o700))
	lines := directory(filepath.Join(dir, "a", "b")).Lines()
	require.Contains(t, result(t, lines, "state directory").Found,
		filepath.Join(dir, "a", "b")+" does not exist yet, and "+dir)
	require.Equal(t, doctor.OK, result(t, lines, "disk sync").Result)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)

	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for path, want := range map[string]string{
		file: file + " is not a directory", filepath.Join(file, "x"): "stat " + file + "/x: not a directory",
	} {
		lines = directory(path).Lines()
		require.Equal(t, []doctor.Line{{
			Check: "state directory", Result: doctor.Bad, Found: want, Do: "choose another directory with --dir",
		}}, lines)
	}
}

// A disk with little space, or with room for few files, is found.
func TestDirectory_SmallDisk(t *testing.T) {
	t.Parallel()
	dir := mount(t, "size=1m")
	lines := directory(dir).Lines()
	require.Equal(t, doctor.Bad, result(t, lines, "disk space").Result)
	require.Equal(t, "make room on this disk, or choose a directory on another one with --dir",
		result(t, lines, "disk space").Do)
	line := result(t, lines, "state directory")
	require.Equal(t, doctor.Warn, line.Result)
	require.Contains(t, line.Found, "is in memory (tmpfs)")

	line = result(t, directory(mount(t, "size=1g,nr_inodes=50")).Lines(), "disk space")
	require.Equal(t, doctor.Bad, line.Result)
	require.Contains(t, line.Found, "1024 MiB free and room for 49 files")
	require.Equal(t, doctor.Warn, result(t, directory(mount(t, "size=100m")).Lines(), "disk space").Result)
}

// A directory that cannot be written, or that others can replace, is found.
func TestDirectory_Access(t *testing.T) {
	t.Parallel()
	dir := mount(t, "size=1g")
	require.NoError(t, unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	line := result(t, directory(dir).Lines(), "disk sync")
	require.Equal(t, doctor.Bad, line.Result)
	require.Equal(t, "cannot write in "+dir+": read-only file system", line.Found)

	open := t.TempDir()
	require.NoError(t, os.Chmod(filepath.Dir(open), 0o755)) // so that other users reach it
	require.NoError(t, os.Chmod(open, 0o777))
	require.NoError(t, os.Mkdir(filepath.Join(open, "state"), 0o700))
	lines := directory(filepath.Join(open, "state")).Lines()
	require.Equal(t, doctor.Bad, lines[0].Result)
	require.Contains(t, lines[0].Found, "is not safe")
}

func TestDirectory_SlowDisk(t *testing.T) {
	t.Parallel()
	d := directory(t.TempDir())
	for took, want := range map[time.Duration]doctor.Result{
		time.Second: doctor.OK, 3 * time.Minute: doctor.Warn, 15 * time.Minute: doctor.Bad,
	} {
		d.Sync = func(string) (time.Duration, error) { return took, nil }
		require.Equal(t, want, result(t, d.Lines(), "disk sync").Result)
	}
	n := 0
	d.Sync = func(string) (time.Duration, error) { n++; return time.Duration(n%2) * 15 * time.Minute, nil }
	require.Equal(t, doctor.Bad, result(t, d.Lines(), "disk sync").Result, "some writes are slow")
	d.Sync = func(string) (time.Duration, error) { return 0, errors.New("broken") }
	require.Equal(t, doctor.Bad, result(t, d.Lines(), "disk sync").Result)
}

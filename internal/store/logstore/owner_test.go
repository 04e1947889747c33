package logstore

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/store"
)

func TestOwner(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "store")
	_, ok := Owner(dir)
	require.False(t, ok)
	s, err := Open(dir, Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()

	host, err := os.Hostname()
	require.NoError(t, err)
	owner, ok := Owner(dir)
	require.True(t, ok)
	require.Equal(t, os.Getpid(), owner.PID)
	require.Equal(t, host, owner.Host)
	require.True(t, strings.HasPrefix(owner.Command, os.Args[0]), owner.Command)
	require.LessOrEqual(t, len(owner.Command), maxCommand)
	require.WithinDuration(t, time.Now(), owner.Since, time.Hour)

	_, err = Open(dir, Options{})
	require.ErrorIs(t, err, store.ErrLocked)
	require.EqualError(t, err, fmt.Sprintf("open store %q: store is in use by %s: stop that process, or choose another "+
		"directory", dir, owner))
}

func TestOwner_CommandIsCut(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "store")
	p := start(t, dir, strings.Repeat("x", 2*maxCommand))
	owner, ok := Owner(dir)
	require.True(t, ok)
	require.Equal(t, p.cmd.Process.Pid, owner.PID)
	require.Len(t, owner.Command, maxCommand)
	p.kill(t)
	owner, ok = Owner(dir)
	require.True(t, ok, "a killed process leaves the OWNER file behind")
	require.Equal(t, p.cmd.Process.Pid, owner.PID)
}

func TestOwnerInfo_String(t *testing.T) {
	t.Parallel()
	o := OwnerInfo{
		PID: 12, Host: "mill", Command: "lock --semaphore x", Since: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC),
	}
	require.Equal(t, "process 12 on mill (lock --semaphore x, since 2026-01-02T03:04:05Z)", o.String())
}

// The file may have been written by another version, or only in part.
func TestOwner_AnyContent(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                             "",
		"process 12 on mill, lock":     "",
		`{"pid":12,"host":"mill","com`: "",
		`{"pid":12,"host":"mill","command":"lock x","more":{"a":1}}`: "process 12 on mill (lock x, since ",
		`{"command":"lock x"}`:     "an unknown process (lock x, since ",
		`{"pid":-1,"host":"mill"}`: "an unknown process (since ",
		`{}`:                       "an unknown process (since ",
		`{"pid":12,"host":"mill\u001b[31m","command":"a\nb` + "\xff" + `c"}`: "process 12 on mill [31m (a b c, since ",
	} {
		d, err := image{ownerName: []byte(text)}.disk().options(nil).open("")
		require.NoError(t, err)
		f, err := d.Open(ownerName)
		require.NoError(t, err)
		got, ok := readOwner(f)
		require.Equal(t, want != "", ok, text)
		if ok {
			require.True(t, strings.HasPrefix(got.String(), want), got.String())
		}
	}
}

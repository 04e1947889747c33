package main

import (
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/cli"
	"tenure/internal/store/logstore"
)

// goodBackup is a file that a released version has written.
const goodBackup = "../../internal/backup/testdata/format1.backup"

// files returns the names, modes and contents of all files in a directory.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		text := info.Mode().String()
		if err == nil && info.Mode().IsRegular() {
			b, failed := os.ReadFile(path)
			text, err = text+string(b), failed
		}
		all[path] = text

		return err
	}))

	return all
}

// Each kind of bad input gets one line that says what to do, and changes nothing on the disk.
func TestBackupAndRestore_BadInput(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	good, err := os.ReadFile(goodBackup)
	require.NoError(t, err)
	newer := append([]byte("tenurbak\x02"), good[9:]...)
	flipped := append([]byte{}, good...)
	flipped[len(flipped)/2] ^= 1
	for name, content := range map[string]string{
		"good": string(good), "empty": "", "foreign": "#!/bin/sh\necho something else\n", "cut": string(good[:len(good)-9]),
		"longer": string(good) + "x", "flipped": string(flipped), "newer": string(newer), "header": "tenur",
		"used/file": "kept", "lost/LOCK": "",
	} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	require.NoError(t, os.Symlink("nowhere", filepath.Join(dir, "dangling")))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "nothing"), 0o700))
	running := filepath.Join(t.TempDir(), "data")
	s, err := logstore.Open(running, logstore.Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	var answer func(w http.ResponseWriter)
	admin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { answer(w) }))
	defer admin.Close()
	answers := map[string]func(w http.ResponseWriter){
		"page": func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, "<h1>hello</h1>")
		},
		"cut": func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "application/octet-stream")
			w.Header().Set("Content-Length", fmt.Sprint(len(good)))
			_, _ = w.Write(good[:300])
		},
		"shorter": func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "application/octet-stream")
			_, _ = w.Write(good[:300])
		},
		"flipped": func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "application/octet-stream")
			_, _ = w.Write(flipped)
		},
		"busy": func(w http.ResponseWriter) {
			http.Error(w, "another backup is in progress: try again later", http.StatusConflict)
		},
	}
	places := strings.NewReplacer("DIR", dir, "RUNNING", running, "ADMIN", admin.URL)
	const written = `: pass a file that "tenure backup" has written`
	const another = "copy the file again, or use another backup"
	for _, c := range []struct{ line, want string }{
		{"restore", "FILE is missing: write e.g. tenure restore tenure.backup"},
		{"restore DIR/good DIR/cut", "unexpected argument"},
		{"restore DIR/good", "--to is missing: name the data directory to make, e.g. --to /var/lib/tenure, or an etcd"},
		{"restore --to=x --etcd=http://[::1]:1 DIR/good", "--to and --etcd name different places: leave one of them out"},
		{"restore --check --etcd=http://[::1]:1 DIR/good", "--check writes nothing, but --etcd is given"},
		{"restore --to=x --etcd-user=y DIR/good", "--etcd-user is for several servers over etcd: pass --etcd"},
		{"restore --etcd=http://a:1 DIR/good", `"http://a:1" would send all data through the network in clear text`},
		{"restore --etcd=https://[::1]:1 --database=/ DIR/good", `--database="/" invalid database name "/"`},
		{"backup --etcd=http://[::1]:1 --data=x DIR/new", "--etcd and --data name different servers: leave one of them out"},
		{"restore --to=DIR/new", "FILE is missing: write e.g. tenure restore tenure.backup"},
		{"restore --to= DIR/good", "--to is empty: write --to /var/lib/tenure, or leave the flag out"},
		{"restore --to=DIR/new DIR/missing", `FILE="DIR/missing": no such file or directory` + written},
		{"restore --to=DIR/new DIR/good/x", `FILE="DIR/good/x": not a directory` + written},
		{"restore --to=DIR/new DIR/used", `FILE="DIR/used": is a directory` + written},
		{"restore --to=DIR/new DIR/dangling", `FILE="DIR/dangling": no such file or directory` + written},
		{"restore --to=DIR/new DIR/empty", "this is not a backup of tenure: the file is empty" + written},
		{"restore --to=DIR/new DIR/foreign", "this is not a backup of tenure" + written},
		{"restore --to=DIR/new DIR/header", another},
		{"restore --to=DIR/new DIR/cut", "the backup is incomplete: it ends after 9 records: " + another},
		{
			"restore --to=DIR/new DIR/longer",
			"the backup is damaged: something after the end of the backup at byte 370: " + another,
		},
		{"restore --to=DIR/new DIR/flipped", "the backup is damaged: a wrong checksum at byte "},
		{
			"restore --to=DIR/new DIR/newer",
			"the backup is damaged: a wrong checksum of the header at byte 0: " + another,
		},
		{
			"restore --to=DIR/used DIR/good",
			`--to: "DIR/used": the directory is not empty: it has "file": choose an empty directory`,
		},
		{
			"restore --to=DIR/good DIR/good",
			`--to: open store "DIR/good": mkdir "DIR/good": not a directory: part of the path is a file`,
		},
		{"restore --to=DIR/good/x DIR/good", "part of the path is a file: choose another directory"},
		{
			"restore --to=DIR/dangling DIR/good",
			`--to: open store "DIR/dangling": mkdir "DIR/dangling": file exists: check "DIR/dangling"`,
		},
		{"restore --to=RUNNING DIR/good", "store is in use by process"},
		{"restore --check --to=DIR/new DIR/good", "--check writes nothing, but --to is given: leave one of them out"},
		{"restore --check DIR/cut", "the backup is incomplete"},
		{"restore --wait=-1s --to=DIR/new DIR/good", "--wait=-1s is out of range: must be between 0s and 24h0m0s"},
		{
			"restore --wait=25h --to=DIR/new DIR/good",
			"--wait=25h0m0s is out of range: must be between 0s and 24h0m0s",
		},
		{
			"restore --wait=soon --to=DIR/new DIR/good",
			`--wait="soon" is not a duration: write e.g. 10s, 500ms or 1m30s`,
		},
		{"restore --keep-sessions --wait=1s --to=x y", "--wait would end the leases that --keep-sessions restores"},
		{"restore --to=DIR/new --force DIR/good", "unknown flag --force"},
		{"backup", "FILE is missing: write e.g. tenure backup --admin"},
		{"backup a b", `unexpected argument "b"`},
		{"backup --data=RUNNING DIR/new", "store is in use by process"},
		{"backup --data= DIR/new", "--data is empty: write --data /var/lib/tenure, or leave the flag out"},
		{
			"backup --data=DIR/missing DIR/new",
			`--data="DIR/missing" is not the data directory of a server: LOCK: no such file`,
		},
		{"backup --data=DIR/nothing DIR/new", `pass that of "tenure serve --data"`},
		{
			"backup --data=DIR/good DIR/new",
			`--data="DIR/good" is not the data directory of a server: LOCK: not a directory`,
		},
		{
			"backup --data=x --admin=http://h:1 y",
			"--admin and --data name different servers",
		},
		{
			"backup --dir=DIR/missing DIR/new",
			`state directory "DIR/missing" does not exist, so there is nothing to back up`,
		},
		{"backup --ydb=grpc://h:1/local DIR/new", "needs the admin address of the server"},
		{
			"backup --admin=ADMIN DIR/missing/x",
			"cannot create it: no such file or directory: name a file in another directory",
		},
		{"backup --admin=ADMIN DIR/good", `FILE="DIR/good" exists: name another file, or pass --force to replace it`},
		{
			"backup --admin=ADMIN --force DIR/used",
			`FILE="DIR/used" is not a regular file: name another file, or - for`,
		},
		{
			"backup --admin=ADMIN --force DIR/dangling",
			`FILE="DIR/dangling" is not a regular file: name another file, or - for`,
		},
		{"backup --admin=ADMIN DIR/good/x", `FILE="DIR/good/x": not a directory: name another file`},
		{"backup --admin=ADMIN DIR/" + long(256), "file name too long: name another file"},
		{
			"backup --admin=ADMIN#page --force DIR/good",
			`the answer is not a backup (its type is "text/html"): check that`,
		},
		{
			"backup --admin=ADMIN#cut --force DIR/good",
			"copy the backup from ADMIN: it broke off (unexpected EOF): look at the log of the server",
		},
		{"backup --admin=ADMIN#shorter --force DIR/good", "check the backup: the backup is incomplete"},
		{"backup --admin=ADMIN#flipped --force DIR/good", "check the backup: the backup is damaged"},
		{"backup --admin=ADMIN#busy DIR/new", "another backup is in progress: try again later"},
		{"backup --admin=ADMIN#cut -", "copy the backup from ADMIN: it broke off (unexpected EOF)"},
		{
			"backup --admin=http://127.0.0.1:1 DIR/new",
			`connection refused: check that "tenure serve --http" listens there`,
		},
		{
			"backup --admin=localhost DIR/new",
			`--admin="localhost" is not an address: write e.g. http://localhost:2137`,
		},
	} { // "ADMIN#x" is an admin address that gives the answer x
		before := files(t, dir)
		args := places.Replace(c.line)
		for kind, of := range answers {
			if strings.Contains(args, "#"+kind+" ") {
				answer = of
			}
			args = strings.ReplaceAll(args, "#"+kind+" ", " ")
		}
		code, _, stderr := tenureRun(t, map[string]string{"HOME": dir}, strings.Split(args, " ")...)
		require.Equal(t, cli.ExitFailure, code, "%s: %s", c.line, stderr)
		require.Contains(t, stderr, places.Replace(c.want), c.line)
		again := strings.Count(stderr, ": beginning again\n")
		require.Equal(t, 1, strings.Count(stderr, "\n")-again, "%s: %s", c.line, stderr)
		require.Equal(t, before, files(t, dir), c.line)
	}
}

func long(n int) string { return strings.Repeat("x", n) }

// A name may be as long as the file system allows, and --force replaces a file.
func TestBackup_Replaces(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, data := filepath.Join(dir, long(255)), filepath.Join(dir, "data")
	require.NoError(t, os.WriteFile(file, []byte("old"), 0o644))
	ok(t, "restore", goodBackup, "--to", data, "--wait", "0s")
	code, _, stderr := tenureRun(t, nil, "backup", "--force", "--data", data, file)
	require.Equal(t, cli.ExitOK, code, stderr)
	require.Contains(t, stderr, ", a backup of "+data+": 2 nodes")
	require.Contains(t, ok(t, "restore", "--check", file),
		"is complete and intact: the backup has 2 nodes, 1 semaphore, 0 sessions")
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode())
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 2)
}

// A backup that breaks off is begun again, so that all of it is of one instant, but not forever.
func TestBackup_BeginsAgain(t *testing.T) {
	t.Parallel()
	good, err := os.ReadFile(goodBackup)
	require.NoError(t, err)
	for _, breaks := range []int{2, 3} {
		asked := 0
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			asked++
			w.Header().Set("Content-Type", "application/octet-stream")
			w.Header().Set("Content-Length", fmt.Sprint(len(good)))
			send := good
			if asked <= breaks {
				send = good[:len(good)-asked]
			}
			_, _ = w.Write(send)
		}))
		t.Cleanup(server.Close)
		file := filepath.Join(t.TempDir(), "backup")
		code, stdout, stderr := tenureRun(t, map[string]string{"HOME": "/home/me"}, "backup", "--admin", server.URL, file)
		require.Equal(t, 3, asked)
		require.Empty(t, stdout)
		require.Equal(t, 2, strings.Count(stderr, "it broke off (unexpected EOF): look at the log of the server, and try "+
			"again: beginning again\n"), stderr)
		if breaks == 3 {
			require.Equal(t, cli.ExitFailure, code)
			require.NoFileExists(t, file)

			continue
		}
		require.Equal(t, cli.ExitOK, code, stderr)
		written, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Equal(t, good, written)
	}
}

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestClassify(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"   Apache License\n         Version 2.0, January 2004":                            {"Apache-2.0"},
		"Permission is hereby granted, free of charge, to any\nperson obtaining a copy of": {"MIT"},
		"Redistribution and use in source and binary\nforms":                               {"BSD-2-Clause"},
		"Redistribution and use in source and binary forms. Names may be used to endorse or promote products": {
			"BSD-3-Clause",
		},
		"All rights reserved. Ask us.": nil,
	} {
		require.Equal(t, want, classify(text), text)
	}
}

// A module that nobody may use stops the release.
func TestLicences_NeedALicence(t *testing.T) {
	t.Parallel()
	dir, l := t.TempDir(), newLicences(nil)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "README"), []byte("Apache License Version 2.0"), 0o600))
	err := l.add("example.com/m@v1.0.0", module{path: "example.com/m"}, dir)
	require.ErrorContains(t, err, "module example.com/m@v1.0.0 has no licence that is known: look at "+dir)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "LICENSE.txt"), []byte("All rights reserved."), 0o600))
	require.Error(t, l.add("example.com/m@v1.0.0", module{path: "example.com/m"}, dir))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "COPYING"), []byte("Apache License Version 2.0"), 0o600))
	require.NoError(t, l.add("example.com/m@v1.0.0", module{path: "example.com/m"}, dir))
	require.Equal(t, "Apache-2.0", l.known["example.com/m@v1.0.0"].licence)
	require.Len(t, l.known["example.com/m@v1.0.0"].texts, 2)
}

// Where html/template is linked, the linker keeps all exported methods, which made lock a third larger.
func TestCommands_Imports(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-tags", tags, "./commands").Output()
	require.NoError(t, err)
	imported := strings.Fields(string(out))
	require.Contains(t, imported, "text/template") // of cobra, which does not execute templates
	require.NotContains(t, imported, "html/template")
}

func TestCommands(t *testing.T) {
	t.Parallel()
	unix := program{target: target{"linux", "amd64"}, tenure: []byte("t"), commands: []byte("c")}
	require.Equal(t, []file{
		{name: "tenure", data: []byte("t"), mode: 0o755},
		{name: "lock", data: []byte("c"), mode: 0o755},
		{name: "workers", link: "lock"},
	}, commands(unix))
	windows := program{target: target{"windows", "amd64"}, tenure: []byte("t")}
	require.Equal(t, []file{{name: "tenure.exe", data: []byte("t"), mode: 0o755}}, commands(windows))
}

func TestDebianVersion(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]string{
		"v1.2.3":                               "1.2.3",
		"v1.2.3-rc.1":                          "1.2.3~rc.1",
		"v0.0.0-20260102030405-0123456789abcd": "0.0.0~20260102030405~0123456789abcd",
	} {
		r := &release{version: version}
		require.Equal(t, want, r.debianVersion())
	}
}

func TestWithDirs(t *testing.T) {
	t.Parallel()
	var names []string
	for _, f := range withDirs([]file{{name: "b/c/d"}, {name: "a"}, {name: "b", isDir: true, mode: 0o700}}) {
		names = append(names, f.name)
	}
	require.Equal(t, []string{"a", "b", "b/c", "b/c/d"}, names)
}

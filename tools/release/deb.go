package main

import (
	"bytes"
	"crypto/md5" //nolint:gosec // md5sums is a part of the format, against damage
	"encoding/hex"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// writeDeb writes the package for Debian.
func (r *release) writeDeb(p program, pages, docs []file) error {
	files, err := r.installed(p, pages, docs)
	if err != nil {
		return err
	}
	control, err := r.control(p, files)
	if err != nil {
		return err
	}
	var deb bytes.Buffer
	deb.WriteString("!<arch>\n")
	for _, part := range []struct {
		name  string
		files []file
	}{{"control.tar.gz", control}, {"data.tar.gz", files}} {
		data, err := tarball(part.files, "./", r.time)
		if err != nil {
			return err
		}
		if data, err = compressed(data); err != nil {
			return err
		}
		if part.name == "control.tar.gz" {
			r.member(&deb, "debian-binary", []byte("2.0\n"))
		}
		r.member(&deb, part.name, data)
	}

	return r.write(fmt.Sprintf("tenure_%s_%s.deb", r.version, p.arch), deb.Bytes())
}

// member adds a member to an ar archive.
func (r *release) member(ar *bytes.Buffer, name string, data []byte) {
	fmt.Fprintf(ar, "%-16s%-12d%-6d%-6d%-8s%-10d`\n", name, r.time.Unix(), 0, 0, "100644", len(data))
	ar.Write(data)
	if len(data)%2 == 1 {
		ar.WriteByte('\n')
	}
}

// configuration is the one file of the package that an administrator changes.
const configuration = "etc/tenure/config.toml"

// installed returns the files that the Debian package installs.
func (r *release) installed(p program, pages, docs []file) ([]file, error) {
	files := under("usr/bin", commands(p))
	for to, from := range map[string]string{
		"usr/lib/systemd/system/tenure.service": "systemd/tenure.service",
		"usr/lib/systemd/system/tenure.socket":  "systemd/tenure.socket",
		"usr/lib/sysusers.d/tenure.conf":        "systemd/sysusers.conf",
		configuration:                           "systemd/config.toml",
		"usr/share/doc/tenure/copyright":        "debian/copyright",
	} {
		data, err := os.ReadFile(filepath.Join(r.src, "deploy", from))
		if err != nil {
			return nil, err
		}
		files = append(files, file{name: to, data: data})
	}
	for _, f := range docs {
		if f.name == "LICENSE" {
			continue // debian/copyright names it
		}
		files = append(files, file{name: "usr/share/doc/tenure/" + f.name, data: f.data})
	}
	completions := map[string]string{
		"bash": "usr/share/bash-completion/completions", "zsh": "usr/share/zsh/vendor-completions",
		"fish": "usr/share/fish/vendor_completions.d",
	}
	for _, f := range pages {
		if shell, ok := strings.CutPrefix(path.Dir(f.name), "completion/"); ok {
			files = append(files, completion(completions[shell], shell, f)...)

			continue
		}
		data, err := compressed(f.data)
		if err != nil {
			return nil, err
		}
		files = append(files, file{name: "usr/share/" + f.name + ".gz", data: data})
	}

	return files, nil
}

// completion returns a completion script under the names by which the shell looks for it.
func completion(dir, shell string, script file) []file {
	name := path.Base(script.name)
	files := []file{{name: path.Join(dir, name), data: script.data}}
	if shell == "zsh" {
		return files // its first line names all commands
	}
	for _, command := range []string{"lock", "workers"} {
		link := strings.Replace(name, "tenure", command, 1)
		files = append(files, file{name: path.Join(dir, link), link: name})
	}

	return files
}

// debianVersion returns the version in Debian's form. A pseudo-version is lower than the release that it precedes.
func (r *release) debianVersion() string {
	return strings.ReplaceAll(strings.TrimPrefix(r.version, "v"), "-", "~")
}

// control returns the files that tell dpkg about the package.
func (r *release) control(p program, files []file) ([]file, error) {
	var size int
	var sums strings.Builder
	for _, f := range withDirs(files) {
		size += (len(f.data) + 1023) / 1024
		if f.isDir || f.link != "" || f.name == configuration {
			continue
		}
		sum := md5.Sum(f.data) //nolint:gosec // as above
		fmt.Fprintf(&sums, "%s  %s\n", hex.EncodeToString(sum[:]), f.name)
	}
	text, err := os.ReadFile(filepath.Join(r.src, "deploy", "debian", "control"))
	if err != nil {
		return nil, err
	}
	filled := strings.NewReplacer(
		"@VERSION@", r.debianVersion(), "@ARCH@", p.arch, "@SIZE@", fmt.Sprint(size),
	).Replace(string(text))
	all := []file{
		{name: "control", data: []byte(filled)},
		{name: "md5sums", data: []byte(sums.String())},
		{name: "conffiles", data: []byte("/" + configuration + "\n")},
	}
	for _, name := range []string{"postinst", "prerm", "postrm"} {
		data, err := os.ReadFile(filepath.Join(r.src, "deploy", "debian", name))
		if err != nil {
			return nil, err
		}
		all = append(all, file{name: name, data: data, mode: 0o755})
	}

	return all, nil
}

package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A program holds the binaries for a target with what belongs to them.
type program struct {
	target

	tenure   []byte
	commands []byte   // lock and workers; nil: the target has no links, and only tenure
	modules  []module // that they link
}

// make builds the binaries and writes the packages.
func (r *release) make(ctx context.Context, targets []target) error {
	pages, err := r.pages(ctx)
	if err != nil {
		return err
	}
	licences := newLicences(r)
	var images []program
	for _, t := range targets {
		p, err := r.program(ctx, t, licences)
		if err != nil {
			return fmt.Errorf("%v: %w", t, err)
		}
		docs, err := r.documents(p)
		if err != nil {
			return err
		}
		if err := r.writeArchive(p, pages, docs); err != nil {
			return err
		}
		if t.os != "linux" {
			continue
		}
		if err := r.writeDeb(p, pages, docs); err != nil {
			return err
		}
		images = append(images, p)
	}
	if len(images) > 0 {
		if err := r.writeImage(images); err != nil {
			return err
		}
	}
	if err := r.writeBOM(licences.all()); err != nil {
		return err
	}

	return r.writeSums()
}

// program builds the binaries for a target and finds the licences of their modules.
func (r *release) program(ctx context.Context, t target, l *licences) (p program, err error) {
	p.target = t
	path, err := r.build(ctx, t, tenurePackage)
	if err != nil {
		return p, err
	}
	if p.tenure, err = os.ReadFile(path); err != nil {
		return p, err
	}
	paths := []string{path}
	if t.os != "windows" {
		if path, err = r.build(ctx, t, commandsPackage); err != nil {
			return p, err
		}
		if p.commands, err = os.ReadFile(path); err != nil {
			return p, err
		}
		paths = append(paths, path)
	}
	p.modules, err = l.of(ctx, paths...)

	return p, err
}

// pages returns the manual pages and the completion scripts, which a binary for this machine writes.
func (r *release) pages(ctx context.Context) (files []file, err error) {
	path, err := r.build(ctx, host, tenurePackage)
	if err != nil {
		return nil, err
	}
	man := filepath.Join(r.scratch, "man")
	env := []string{"TENURE_CONFIG=" + os.DevNull}
	if _, err := r.outputEnv(ctx, "", env, path, "man", man); err != nil {
		return nil, err
	}
	manual, err := readDir(man)
	if err != nil {
		return nil, err
	}
	files = under("man/man1", manual)
	for shell, name := range map[string]string{"bash": "tenure", "zsh": "_tenure", "fish": "tenure.fish"} {
		script, err := r.outputEnv(ctx, "", env, path, "completion", shell)
		if err != nil {
			return nil, err
		}
		files = append(files, file{name: "completion/" + shell + "/" + name, data: []byte(script + "\n")})
	}
	slices.SortFunc(files, func(a, b file) int { return strings.Compare(a.name, b.name) })

	return files, nil
}

// documents returns what a reader of the package needs, and the licences.
func (r *release) documents(p program) (files []file, err error) {
	for _, name := range []string{
		"README.md", "CHANGELOG.md", "LICENSE", "deploy/prometheus/alerts.yaml", "deploy/grafana/tenure.json",
	} {
		data, err := os.ReadFile(filepath.Join(r.src, name))
		if err != nil {
			return nil, err
		}
		files = append(files, file{name: name, data: data})
	}
	docs, err := filepath.Glob(filepath.Join(r.src, "docs", "*.md"))
	if err != nil {
		return nil, err
	}
	for _, name := range docs {
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		files = append(files, file{name: "docs/" + filepath.Base(name), data: data})
	}

	return append(files, file{name: "LICENCES-OF-MODULES", data: notices(p.modules)}), nil
}

// commands returns the binaries, with a link for workers. For Windows it returns only tenure, because links need extra
// rights there.
func commands(p program) []file {
	if p.commands == nil {
		return []file{{name: "tenure.exe", data: p.tenure, mode: 0o755}}
	}

	return []file{
		{name: "tenure", data: p.tenure, mode: 0o755},
		{name: "lock", data: p.commands, mode: 0o755},
		{name: "workers", link: "lock"},
	}
}

// writeArchive writes the archive for people who install without a package manager.
func (r *release) writeArchive(p program, pages, docs []file) error {
	name := fmt.Sprintf("tenure_%s_%s_%s", r.version, p.os, p.arch)
	files := slices.Concat(commands(p), pages, docs)
	if p.os == "windows" {
		data, err := zipped(files, name+"/", r.time)
		if err != nil {
			return err
		}

		return r.write(name+".zip", data)
	}
	data, err := tarball(files, name+"/", r.time)
	if err != nil {
		return err
	}
	if data, err = compressed(data); err != nil {
		return err
	}

	return r.write(name+".tar.gz", data)
}

// write writes a file of the release.
func (r *release) write(name string, data []byte) error {
	path := filepath.Join(r.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if filepath.Dir(path) == filepath.Clean(r.dir) {
		fmt.Fprintf(r.out, "%9d %s\n", len(data), name)
	}

	return os.WriteFile(path, data, 0o644)
}

// writeSums writes the checksums of all files.
func (r *release) writeSums() error {
	files, err := readDir(r.dir)
	if err != nil {
		return err
	}
	var sums strings.Builder
	for _, f := range files {
		sum := sha256.Sum256(f.data)
		fmt.Fprintf(&sums, "%s  %s\n", hex.EncodeToString(sum[:]), f.name)
	}

	return r.write("SHA256SUMS", []byte(sums.String()))
}

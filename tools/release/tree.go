package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"cmp"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A file is a file in a package. Directories are made as they are needed, unless they have an owner of their own.
type file struct {
	name  string // without a leading slash
	data  []byte
	mode  fs.FileMode // permissions; 0: 0644
	link  string      // target of a symbolic link
	isDir bool
	owner int
}

// withDirs returns the files with their directories, in the order of their names.
func withDirs(files []file) []file {
	seen := make(map[string]bool)
	for _, f := range files {
		seen[f.name] = true
	}
	all := slices.Clone(files)
	for _, f := range files {
		for dir := path.Dir(f.name); dir != "." && !seen[dir]; dir = path.Dir(dir) {
			seen[dir] = true
			all = append(all, file{name: dir, mode: 0o755, isDir: true})
		}
	}
	slices.SortFunc(all, func(a, b file) int { return strings.Compare(a.name, b.name) })

	return all
}

// under returns the files below a directory.
func under(dir string, files []file) []file {
	moved := slices.Clone(files)
	for i := range moved {
		moved[i].name = path.Join(dir, moved[i].name)
	}

	return moved
}

// tarball returns a tar archive of the files. All of them have the same time.
func tarball(files []file, prefix string, at time.Time) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range withDirs(files) {
		h := &tar.Header{
			Name: prefix + f.name, ModTime: at, Format: tar.FormatUSTAR, Uid: f.owner, Gid: f.owner,
			Mode: int64(cmp.Or(f.mode, 0o644)), Typeflag: tar.TypeReg, Size: int64(len(f.data)),
		}
		switch {
		case f.isDir:
			h.Typeflag, h.Name = tar.TypeDir, h.Name+"/"
		case f.link != "":
			h.Typeflag, h.Linkname, h.Mode = tar.TypeSymlink, f.link, 0o777
		}
		if err := w.WriteHeader(h); err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
		if _, err := w.Write(f.data); err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}

	return b.Bytes(), nil
}

// compressed returns the data in the form of gzip, without a time or a name.
func compressed(data []byte) ([]byte, error) {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}

	return b.Bytes(), nil
}

// zipped returns a zip archive of the files. Links are left out, because Windows needs rights for them.
func zipped(files []file, prefix string, at time.Time) ([]byte, error) {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, f := range withDirs(files) {
		if f.isDir || f.link != "" {
			continue
		}
		h := &zip.FileHeader{Name: prefix + f.name, Method: zip.Deflate, Modified: at}
		h.SetMode(cmp.Or(f.mode, 0o644))
		to, err := w.CreateHeader(h)
		if err != nil {
			return nil, err
		}
		if _, err := to.Write(f.data); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}

	return b.Bytes(), nil
}

// readDir returns the regular files below a directory.
func readDir(dir string) (files []file, err error) {
	err = filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		files = append(files, file{name: filepath.ToSlash(rel), data: data})

		return err
	})

	return files, err
}

// extract unpacks a tar archive of git into a directory.
func extract(archive, dir string) error {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch h.Typeflag {
		case tar.TypeDir:
			err = root.MkdirAll(strings.TrimSuffix(h.Name, "/"), 0o755)
		case tar.TypeReg:
			err = unpack(root, h, r)
		}
		if err != nil {
			return err
		}
	}
}

func unpack(root *os.Root, h *tar.Header, r io.Reader) error {
	to, err := root.OpenFile(h.Name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, fs.FileMode(h.Mode)&fs.ModePerm)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, r)

	return errors.Join(err, to.Close())
}

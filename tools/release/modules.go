package main

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
)

// A module is what a binary links, with its licence.
type module struct {
	path, version string
	licence       string // as SPDX writes it
	texts         []file // licences, notices and patents
}

// licences finds the licences of modules, each once.
type licences struct {
	r     *release
	known map[string]module // by path and version
}

func newLicences(r *release) *licences { return &licences{r: r, known: make(map[string]module)} }

// of returns the modules of binaries, except our own, and the Go distribution. It fails if one of them has no licence
// that it knows.
func (l *licences) of(ctx context.Context, binaries ...string) ([]module, error) {
	var names []string
	for _, binary := range binaries {
		info, err := buildinfo.ReadFile(binary)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", binary, err)
		}
		for _, dep := range info.Deps {
			if dep.Replace != nil {
				return nil, fmt.Errorf("module %s is replaced: a release must not depend on a replacement", dep.Path)
			}
			names = append(names, dep.Path+"@"+dep.Version)
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	unknown := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return l.known[name].path != "" })
	if err := l.learn(ctx, unknown); err != nil {
		return nil, err
	}
	modules := []module{l.known["std"]}
	for _, name := range names {
		modules = append(modules, l.known[name])
	}

	return modules, nil
}

// learn reads the licences of modules in the module cache.
func (l *licences) learn(ctx context.Context, names []string) error {
	if l.known["std"].path == "" {
		root, err := l.r.output(ctx, l.r.src, "go", "env", "GOROOT")
		if err != nil {
			return err
		}
		if err := l.add("std", module{path: "std", version: runtime.Version()}, root); err != nil {
			return err
		}
	}
	if len(names) == 0 {
		return nil
	}
	list, err := l.r.output(ctx, l.r.src, "go", append([]string{"mod", "download", "-json"}, names...)...)
	if err != nil {
		return err
	}
	for d := json.NewDecoder(strings.NewReader(list)); ; {
		var m struct{ Path, Version, Dir string }
		switch err := d.Decode(&m); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("go mod download: %w", err)
		}
		if err := l.add(m.Path+"@"+m.Version, module{path: m.Path, version: m.Version}, m.Dir); err != nil {
			return err
		}
	}
}

// legal matches the names of files with licences.
var legal = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|patents|copyright)([.-].*)?$`)

func (l *licences) add(name string, m module, dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("module %s: %w", name, err)
	}
	var found []string
	for _, entry := range entries {
		if entry.IsDir() || !legal.MatchString(entry.Name()) {
			continue
		}
		data, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			return err
		}
		m.texts = append(m.texts, file{name: entry.Name(), data: data})
		found = append(found, classify(string(data))...)
	}
	if slices.Sort(found); len(found) == 0 {
		return fmt.Errorf("module %s has no licence that is known: look at %s, then add the licence to classify, or do "+
			"without the module", name, dir)
	}
	m.licence = strings.Join(slices.Compact(found), " AND ")
	l.known[name] = m

	return nil
}

// classify returns the licences in a text, as SPDX names them.
func classify(text string) (names []string) {
	text = strings.Join(strings.Fields(text), " ")
	has := func(part string) bool { return strings.Contains(text, part) }
	if has("Apache License Version 2.0") || has("Licensed under the Apache License, Version 2.0") {
		names = append(names, "Apache-2.0")
	}
	if has("Permission is hereby granted, free of charge, to any person obtaining a copy") {
		names = append(names, "MIT")
	}
	if has("Permission to use, copy, modify, and/or distribute this software for any purpose") {
		names = append(names, "ISC")
	}
	if has("Redistribution and use in source and binary forms") {
		if has("may be used to endorse or promote products") {
			names = append(names, "BSD-3-Clause")
		} else {
			names = append(names, "BSD-2-Clause")
		}
	}

	return names
}

// all returns the modules of all binaries.
func (l *licences) all() []module {
	return slices.SortedFunc(maps.Values(l.known), func(a, b module) int { return strings.Compare(a.path, b.path) })
}

// notices returns the licences of the modules as one text.
func notices(modules []module) []byte {
	var b bytes.Buffer
	b.WriteString("tenure contains these modules. Their licences follow.\n\n")
	for _, m := range modules {
		fmt.Fprintf(&b, "%s %s: %s\n", m.path, m.version, m.licence)
	}
	for _, m := range modules {
		for _, text := range m.texts {
			fmt.Fprintf(&b, "\n%s\n%s %s: %s\n\n", strings.Repeat("=", 80), m.path, m.version, text.name)
			b.Write(text.data)
		}
	}

	return b.Bytes()
}

// writeBOM writes the list of modules as a software bill of materials.
func (r *release) writeBOM(modules []module) error {
	type component struct {
		Type     string              `json:"type"`
		Name     string              `json:"name"`
		Version  string              `json:"version"`
		PURL     string              `json:"purl,omitempty"`
		Licences []map[string]string `json:"licenses,omitempty"`
	}
	self := component{Type: "application", Name: "tenure", Version: r.version}
	var all []component
	for _, m := range modules {
		all = append(all, component{
			Type: "library", Name: m.path, Version: m.version, PURL: "pkg:golang/" + m.path + "@" + m.version,
			Licences: []map[string]string{{"expression": m.licence}},
		})
	}
	text, err := json.MarshalIndent(map[string]any{
		"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1, "components": all,
		"metadata": map[string]any{"timestamp": r.time, "component": self},
	}, "", "  ")
	if err != nil {
		return err
	}

	return r.write(fmt.Sprintf("tenure_%s.cdx.json", r.version), append(text, '\n'))
}

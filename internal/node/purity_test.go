package node_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// allowed lists the packages that the package may import. For packages that contain more than the package may use, it
// also lists the permitted identifiers. None of them reads a clock, does I/O, uses randomness or involves goroutines.
var allowed = map[string][]string{
	"bytes":                 nil,
	"cmp":                   nil,
	"container/heap":        nil,
	"encoding/binary":       nil,
	"errors":                nil,
	"fmt":                   {"Errorf", "Sprintf"},
	"hash/crc32":            nil,
	"iter":                  {"Seq", "Seq2"}, // Pull starts a coroutine
	"slices":                nil,
	"time":                  {"Duration", "Millisecond", "Second"},
	"tenure/internal/clock": {"Instant"}, // a number; its methods do arithmetic
}

// TestNode_IsPure checks that the package imports only the packages in allowed and uses no language feature that starts
// or waits for a goroutine.
func TestNode_IsPure(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	files = slices.DeleteFunc(files, func(name string) bool { return strings.HasSuffix(name, "_test.go") })
	require.Greater(t, len(files), 5)

	for _, name := range files {
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, name, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, fault := range impurities(file) {
			t.Errorf("%s: %s", fset.Position(fault.pos), fault.what)
		}
	}
}

// TestNode_IsPure_DetectsViolations checks that TestNode_IsPure reports each kind of violation.
func TestNode_IsPure_DetectsViolations(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]string{
		`import "os"`:                                       "imports os",
		`import . "errors"`:                                 "imports errors under another name",
		`import _ "errors"`:                                 "imports errors under another name",
		`import later "time"; var _ = later.Now`:            "imports time under another name",
		`import "time"; var _ = time.Now()`:                 "uses time.Now",
		`import "time"; var _ time.Timer`:                   "uses time.Timer",
		`import "tenure/internal/clock"; var _ clock.Clock`: "uses clock.Clock",
		`import "fmt"; func f() { fmt.Println() }`:          "uses fmt.Println",
		`func f() { go f() }`:                               "starts a goroutine",
		`func f() { select {} }`:                            "has a select statement",
		`var _ chan int`:                                    "has a channel",
		`func f() { println() }`:                            "prints",
		`import "unsafe"`:                                   "imports unsafe",
		`import "errors"; import "fmt"; var _ = fmt.Errorf; var _ = errors.New`: "",
	} {
		file, err := parser.ParseFile(token.NewFileSet(), "x.go", "package x; "+source, parser.SkipObjectResolution)
		require.NoError(t, err, source)
		var got []string
		for _, fault := range impurities(file) {
			got = append(got, fault.what)
		}
		if want == "" {
			require.Empty(t, got, source)
		} else {
			require.Contains(t, got, want, source)
		}
	}
}

type impurity struct {
	pos  token.Pos
	what string
}

func impurities(file *ast.File) (found []impurity) {
	note := func(pos token.Pos, what string) { found = append(found, impurity{pos, what}) }
	names := map[string]string{} // packages with permitted identifiers: import path by name
	for _, spec := range file.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		some, ok := allowed[path]
		switch {
		case err != nil || !ok:
			note(spec.Pos(), "imports "+path)
		case spec.Name != nil:
			note(spec.Pos(), "imports "+path+" under another name")
		case some != nil:
			names[filepath.Base(path)] = path
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			note(n.Pos(), "starts a goroutine")
		case *ast.SelectStmt:
			note(n.Pos(), "has a select statement")
		case *ast.ChanType:
			note(n.Pos(), "has a channel")
		case *ast.CallExpr:
			if f, ok := n.Fun.(*ast.Ident); ok && (f.Name == "print" || f.Name == "println") {
				note(n.Pos(), "prints")
			}
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && names[x.Name] != "" && !slices.Contains(allowed[names[x.Name]], n.Sel.Name) {
				note(n.Pos(), "uses "+x.Name+"."+n.Sel.Name)
			}
		}

		return true
	})

	return found
}

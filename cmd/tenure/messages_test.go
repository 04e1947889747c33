package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestMessages checks that docs/operations.md lists each message of the server's log, with its level.
func TestMessages(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/operations.md")
	require.NoError(t, err)
	found := 0
	for _, dir := range []string{
		".", "../../server", "../../internal/access", "../../internal/audit", "../../internal/certs", "../../internal/httpd",
		"../../internal/page",
		"../../internal/store/logstore", "../../internal/conns",
	} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		require.NoError(t, err)
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
			require.NoError(t, err)
			ast.Inspect(file, func(n ast.Node) bool {
				if level, message, ok := logged(n); ok {
					found++
					row := fmt.Sprintf("| %s | %s |", level, message)
					require.Contains(t, string(text), row, "%s: the table of messages has no row %q", name, row)
				}

				return true
			})
		}
	}
	require.Greater(t, found, 25)
}

// logged returns the level and the message of a call of a logger's method. Debug messages are for developers.
func logged(n ast.Node) (level, message string, ok bool) {
	call, isCall := n.(*ast.CallExpr)
	if !isCall {
		return "", "", false
	}
	method, isMethod := call.Fun.(*ast.SelectorExpr)
	if !isMethod {
		return "", "", false
	}
	level, withContext := strings.CutSuffix(method.Sel.Name, "Context")
	at := 0
	if withContext {
		at = 1
	}
	if level != "Info" && level != "Warn" && level != "Error" || len(call.Args) <= at {
		return "", "", false
	}
	message, ok = constant(call.Args[at])

	return strings.ToLower(level), message, ok
}

// constant returns the value of a string, or the beginning of one, if the rest is not constant.
func constant(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		s, err := strconv.Unquote(e.Value)

		return s, err == nil && e.Kind == token.STRING
	case *ast.BinaryExpr:
		left, ok := constant(e.X)
		right, rest := constant(e.Y)
		if ok && !rest {
			right = "..."
		}

		return left + right, ok
	default:
		return "", false
	}
}

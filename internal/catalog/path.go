package catalog

import (
	gopath "path"
	"slices"
	"strings"

	"tenure/internal/node"
)

// Limits of a path.
const (
	maxPartSize = 255 // bytes, N1
	maxDepth    = 32  // components, including those of the database; YDB's default
)

// Clean returns an absolute path without doubled and trailing slashes (N6). If the path does not have the form that N1
// requires, the error is of type *[Error].
func Clean(path string) (string, error) {
	parts, err := split(path)
	if err != nil {
		return "", err
	}

	return "/" + strings.Join(parts, "/"), nil
}

// split returns the components of an absolute path.
func split(path string) ([]string, error) {
	if path == "" {
		return nil, refuse(node.BadRequest, "path is empty")
	}
	if path[0] != '/' {
		return nil, refuse(node.BadRequest, "path %.300q is not absolute: it must start with \"/\"", path)
	}
	var parts []string
	for part := range strings.SplitSeq(path, "/") {
		switch {
		case part == "":
			continue
		case len(part) > maxPartSize:
			return nil, refuse(node.BadRequest, "path component %.300q is longer than %d bytes", part, maxPartSize)
		case strings.Trim(part, ".") == "": // like YDB, which refuses any number of dots
			return nil, refuse(node.SchemeError, "path %.300q: component %.300q is not allowed", path, part)
		case len(parts) == maxDepth:
			return nil, refuse(node.SchemeError, "path %.300q has more than %d components", path, maxDepth)
		}
		parts = append(parts, part)
	}

	return parts, nil
}

// relative returns the part of the path below the database, or "" for the database itself.
func (c *Catalog) relative(path string) (string, error) {
	parts, err := split(path)
	if err != nil {
		return "", err
	}
	n := len(c.root)
	if len(parts) < n || !slices.Equal(parts[:n], c.root) {
		return "", refuse(node.BadRequest, "path %.300q is outside the database %q", path, c.database)
	}

	return strings.Join(parts[n:], "/"), nil
}

// Clean returns a path of the database without doubled and trailing slashes. The error is the one that a request for
// the path gets.
func (c *Catalog) Clean(path string) (string, error) {
	rel, err := c.relative(path)
	if err != nil {
		return "", err
	}

	return c.absolute(rel), nil
}

func (c *Catalog) absolute(rel string) string { return join(c.database, rel) }

func join(parent, name string) string {
	if parent == "" || name == "" {
		return parent + name
	}

	return parent + "/" + name
}

// splitLast is the inverse of join.
func splitLast(rel string) (parent, name string) {
	i := strings.LastIndexByte(rel, '/')

	return rel[:max(i, 0)], rel[i+1:]
}

// above yields the paths of the directories above rel, outermost first, without the database itself.
func above(rel string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for i := range len(rel) {
			if rel[i] == '/' && !yield(rel[:i]) {
				return
			}
		}
	}
}

// Parent returns the directory above a clean path, or "/" at the top.
func Parent(path string) string { return gopath.Dir(path) }

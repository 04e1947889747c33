package main

import (
	"context"
	"slices"
	"strings"

	"github.com/ydb-platform/ydb-go-sdk/v3/scheme"

	"tenure/internal/ydberr"
)

// maxDirectories is how many directories of a database are searched for nodes.
const maxDirectories = 1000

// nodesBelow returns the paths of the coordination nodes below a directory, sorted. More is true if it has too many
// directories, so that nodes may be missing. Directories that start with a dot belong to YDB.
func nodesBelow(ctx context.Context, client scheme.Client, dir string) (nodes []string, more bool, err error) {
	dirs := []string{dir}
	for n := 0; n < len(dirs); n++ {
		if n == maxDirectories {
			more = true

			break
		}
		listed, err := client.ListDirectory(ctx, dirs[n])
		if err != nil {
			return nil, false, ydberr.Wrap("list "+dirs[n], err)
		}
		for _, e := range listed.Children {
			path := dirs[n] + "/" + e.Name
			switch {
			case e.IsCoordinationNode():
				nodes = append(nodes, path)
			case e.IsDirectory() && !strings.HasPrefix(e.Name, "."):
				dirs = append(dirs, path)
			}
		}
	}
	slices.Sort(nodes)

	return nodes, more, nil
}

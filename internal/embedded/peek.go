package embedded

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
)

// Peek returns the report of the process that hosts the server of the state directory. Unlike ReadReport, it never
// hosts the server, and fails if no process does.
func Peek(ctx context.Context, dir string) (r Report, err error) {
	if _, err := os.Stat(dir); err != nil {
		return r, err // openDirectory would create it
	}
	d, err := openDirectory(dir, "")
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, d.file.Close()) }()
	resp, err := (&Local{dir: d}).ask(ctx, http.MethodGet, "/", nil)
	if err != nil {
		return r, err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&r); err != nil {
		return r, fmt.Errorf("ask the host in %q: %s: %w", dir, resp.Status, err)
	}

	return r, nil
}

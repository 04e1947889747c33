package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
)

// embedded returns the flags for the embedded server in a directory of the demo's own.
func (p *play) embedded() []string {
	return []string{"--dir", filepath.Join(p.dir, "state")}
}

// host returns the name of the process that hosts the embedded server.
func (p *play) host(ctx context.Context) (string, error) {
	status := exec.CommandContext(ctx, p.bin+"/tenure", "status", "--dir", filepath.Join(p.dir, "state"), "-o", "json")
	status.Env = p.environment()
	out, err := status.Output()
	if err != nil {
		return "", fmt.Errorf("tenure status: %w", err)
	}
	var report struct {
		Host struct {
			PID int `json:"pid"`
		} `json:"host"`
	}
	if err := json.Unmarshal(out, &report); err != nil {
		return "", fmt.Errorf("tenure status: %w", err)
	}
	for name, r := range p.running {
		if r.cmd.Process.Pid == report.Host.PID {
			return name, nil
		}
	}

	return "", fmt.Errorf("no process of the demo hosts the server: %s", out)
}

var address = regexp.MustCompile(`127\.0\.0\.1:\d+`)

// serve starts a server of its own and waits until it is ready.
func (p *play) serve(ctx context.Context) error {
	s, err := p.begin("server", "tenure", "serve", "--listen", p.listen, "--data", filepath.Join(p.dir, "data"))
	if err != nil {
		return err
	}
	line, err := s.firstLine(ctx)
	if err != nil {
		return err
	}
	if p.listen = address.FindString(line); p.listen == "" {
		return fmt.Errorf("no address in the server's line %q", line)
	}

	return nil
}

package main

import (
	"fmt"
	"slices"
	"strings"
)

// A block is a fenced block of a document.
type block struct {
	document string
	line     int    // of its first line, from 1
	kind     string // the word after the opening fence
	text     string
}

var kinds = []string{"console", "crontab", "dockerfile", "go", "ini", "sh", "text"}

// parse returns the fenced blocks of a document.
func parse(document, text string) (blocks []block, err error) {
	const fence = "```"
	var open *block
	for i, line := range strings.Split(text, "\n") {
		switch {
		case open == nil && strings.HasPrefix(line, fence):
			kind := strings.TrimPrefix(line, fence)
			if !slices.Contains(kinds, kind) {
				return nil, fmt.Errorf("%s:%d: no block is of the kind %q: write one of %v", document, i+1, kind, kinds)
			}
			open = &block{document: document, line: i + 2, kind: kind}
		case open != nil && line == fence:
			blocks, open = append(blocks, *open), nil
		case open != nil:
			open.text += line + "\n"
		}
	}
	if open != nil {
		return nil, fmt.Errorf("%s:%d: the block has no end", document, open.line)
	}

	return blocks, nil
}

// terminals returns the command lines of a console block.
func terminals(text string) (commands []string) {
	for line := range strings.Lines(text) {
		if command, ok := strings.CutPrefix(line, "$ "); ok {
			commands = append(commands, strings.TrimSpace(command))
		}
	}

	return commands
}

// A crontab has variables, as NAME=VALUE, and the commands of its jobs.
type crontab struct {
	variables, commands []string
}

// parseCrontab reads a crontab as cron does. In a command, \% is a percent sign.
func parseCrontab(text string) (c crontab, err error) {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		fields := strings.Fields(line)
		switch {
		case line == "" || line[0] == '#':
		case !strings.ContainsAny(fields[0][:1], "*0123456789@"):
			c.variables = append(c.variables, line)
		case len(fields) < 6:
			return c, fmt.Errorf("the line %q is not five fields and a command", line)
		default:
			command := line
			for range 5 {
				_, command, _ = strings.Cut(command, " ")
				command = strings.TrimLeft(command, " ")
			}
			if strings.Contains(strings.ReplaceAll(command, `\%`, ""), "%") {
				return c, fmt.Errorf(`cron takes the %% in %q for the end of a line: write \%%`, command)
			}
			c.commands = append(c.commands, strings.ReplaceAll(command, `\%`, "%"))
		}
	}

	return c, nil
}

// A unit is what is needed of a systemd service.
type unit struct {
	name      string   // e.g. tenure.service
	variables []string // NAME=VALUE
	command   string
	success   []string // exit codes that mean success, besides 0
	state     bool     // it has a state directory
	notifies  bool     // it tells systemd what it does
}

// parseUnit reads a unit whose first line is a comment with its path.
func parseUnit(text string) (u unit, err error) {
	first, _, _ := strings.Cut(text, "\n")
	u.name = first[strings.LastIndex(first, "/")+1:]
	for line := range strings.Lines(text) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if !ok {
			continue
		}
		switch key {
		case "Environment":
			u.variables = append(u.variables, strings.Fields(value)...)
		case "ExecStart":
			u.command = value
		case "SuccessExitStatus":
			u.success = strings.Fields(value)
		case "StateDirectory":
			u.state = true
		case "NotifyAccess":
			u.notifies = true
		}
	}
	if !strings.HasSuffix(u.name, ".service") || u.command == "" {
		return u, fmt.Errorf("the first line is not a comment with the path of a service, or there is no ExecStart")
	}

	return u, nil
}

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// An image is what is needed of a Dockerfile.
type image struct {
	variables []string // NAME=VALUE
	command   []string // of ENTRYPOINT, then of CMD
	stop      syscall.Signal
}

// parseImage reads a Dockerfile. The commands in it must be lists, because a string would run in a shell, which would
// then be process 1.
func parseImage(text string) (im image, err error) {
	im.stop = unix.SIGTERM
	var entry, arguments []string
	for line := range strings.Lines(text) {
		instruction, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch instruction {
		case "ENV":
			im.variables = append(im.variables, strings.Fields(rest)...)
		case "STOPSIGNAL":
			if im.stop = unix.SignalNum(rest); im.stop == 0 {
				return im, fmt.Errorf("no signal is called %q", rest)
			}
		case "ENTRYPOINT":
			err = json.Unmarshal([]byte(rest), &entry)
		case "CMD":
			err = json.Unmarshal([]byte(rest), &arguments)
		}
		if err != nil {
			return im, fmt.Errorf("the %s is not a list of strings: %w", instruction, err)
		}
	}
	if len(entry) == 0 {
		return im, errors.New("there is no ENTRYPOINT")
	}
	im.command = append(entry, arguments...)

	return im, nil
}

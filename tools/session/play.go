package main

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"strconv"
	"syscall"
)

const introduction = `Terminal sessions of lock and tenure, recorded by: go run ./tools/session docs/session.txt
The number before each line is the terminal. Times, process ids, paths and names are examples.
`

// play is the session: two deployments in two terminals, and a look from a third one.
func (r *recorder) play(ctx context.Context) error {
	r.say("%s", introduction)
	r.say("# Two deployments at the same time: the second one waits for the first.")
	first, err := r.start(ctx, "1",
		`lock --data "release 7" deploy -- sh -c 'echo "deploying with token $TENURE_TOKEN"; sleep 1000'`)
	if err != nil {
		return err
	}
	if err := r.await(ctx, first, "deploying"); err != nil {
		return err
	}
	second, err := r.start(ctx, "2", `lock --data "release 8" deploy -- sh -c 'echo "deploying with token $TENURE_TOKEN"'`)
	if err != nil {
		return err
	}
	if err := r.await(ctx, second, "waiting for"); err != nil {
		return err
	}

	r.say("\n# Who holds the lock?")
	third, err := r.start(ctx, "3", "tenure status")
	if err != nil {
		return err
	}
	r.finish(third)

	r.say("\n# Ctrl-C stops the first deployment, and the second one starts immediately.")
	if err := r.signal(first, syscall.SIGINT, "^C"); err != nil {
		return err
	}
	r.finish(first)
	r.finish(second)

	r.say("\n# Without a command, lock holds the lock and prints events. It is killed, and the next one has the lock.")
	holder, err := r.start(ctx, "1", "lock --data alice nightly")
	if err != nil {
		return err
	}
	if err := r.await(ctx, holder, "starting work"); err != nil {
		return err
	}
	next, err := r.start(ctx, "2", "lock nightly -- echo nightly job")
	if err != nil {
		return err
	}
	if err := r.await(ctx, next, "waiting for"); err != nil {
		return err
	}
	if err := holder.cmd.Process.Kill(); err != nil {
		return err
	}
	r.say("3$ kill -KILL %d", holder.cmd.Process.Pid)
	r.finish(next)

	r.say("\n# Mistakes are reported in one line.")
	for _, line := range []string{
		"lock deploy ./deploy.sh", "lock --timout 5s deploy", `lock deploy -- "echo hi"`, `lock --ydb "" deploy`,
		"lock --ydb grpc://127.0.0.1:1/local deploy",
	} {
		wrong, err := r.start(ctx, "1", line)
		if err != nil {
			return err
		}
		r.finish(wrong)
	}

	return nil
}

// The variable parts of the lines, and what stands for them.
var (
	pids      = regexp.MustCompile(`(\bpid|\bprocess|-KILL) (\d+)`)
	durations = regexp.MustCompile(`\bfor (\d+[a-z]+)+\b`)
	header    = regexp.MustCompile(`\bPROCESS +FOR\b`) // the width of the column depends on the machine
	cells     = regexp.MustCompile(`(, pid \d+ \(sh\)) +\d+s `)
	since     = regexp.MustCompile(`\bsince [^,]+`)
	version   = regexp.MustCompile(`\(tenure [^)]*\)`)
)

// normal returns the recording without what differs from one to the next.
func (r *recorder) normal(host string) []byte {
	text := bytes.ReplaceAll(r.out.Bytes(), []byte(r.dir+"/home"), []byte("/home/alice"))
	text = bytes.ReplaceAll(text, []byte(r.dir), []byte("/home/alice"))
	text = bytes.ReplaceAll(text, []byte(host), []byte("ci-1"))
	text = durations.ReplaceAll(text, []byte("for 1s"))
	text = header.ReplaceAll(text, fmt.Appendf(nil, "%-*s  FOR", len("alice@ci-1, pid 4100 (sh)"), "PROCESS"))
	text = cells.ReplaceAll(text, []byte("${1}  1s "))
	text = since.ReplaceAll(text, []byte("since 10:00"))
	text = version.ReplaceAll(text, []byte("(tenure 0.1)"))
	numbers := map[string]string{}

	return pids.ReplaceAllFunc(text, func(match []byte) []byte {
		part := pids.FindSubmatch(match)
		pid := string(part[2])
		if numbers[pid] == "" {
			numbers[pid] = strconv.Itoa(4100 + 7*len(numbers)) // in the order in which they occur
		}

		return fmt.Appendf(nil, "%s %s", part[1], numbers[pid])
	})
}

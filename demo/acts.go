package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	timeout  = 3 * time.Second // of the sessions
	tasks    = 10
	capacity = 4

	scene = 2500 * time.Millisecond // between two events
)

// shareLock runs five processes that share a lock on the embedded server. The demo stops the owner, kills the next
// owner, and kills the process that hosts the server.
func (p *play) shareLock(ctx context.Context) error {
	p.narrate("five processes want one lock; one of them runs the embedded server inside itself")
	if err := p.contend(ctx, 5, p.embedded()...); err != nil {
		return err
	}
	owner, err := p.owner(ctx)
	if err != nil {
		return err
	}

	if err := p.pause(ctx, scene); err != nil {
		return err
	}
	p.narrate("stop the owner, %s, with SIGTERM: the next process has the lock immediately", owner.who)
	if err := p.running[owner.who].stop(); err != nil {
		return err
	}
	if owner, err = p.owner(ctx); err != nil {
		return err
	}

	if err := p.pause(ctx, scene); err != nil {
		return err
	}
	p.narrate("kill the owner, %s, with SIGKILL: the next process has the lock immediately too", owner.who)
	waited, owner, err := p.killOwner(ctx, owner)
	if err != nil {
		return err
	}
	if waited >= timeout {
		return fmt.Errorf("%s had the lock only %v after its owner was killed, not before the session timeout of %v",
			owner.who, waited, timeout)
	}
	p.narrate("that took %v: on one machine, the kernel reports that a process is dead", waited.Round(time.Millisecond))

	if err := p.killHost(ctx, owner); err != nil {
		return err
	}

	return p.finish("that was the lock")
}

// contend starts n processes that want the lock.
func (p *play) contend(ctx context.Context, n int, where ...string) error {
	for i := range n {
		args := append([]string{"--semaphore", "lock", "--timeout", timeout.String()}, where...)
		l, err := p.begin("lock-"+strconv.Itoa(i+1), "lock", args...)
		if err != nil {
			return err
		}
		if _, err := l.firstLine(ctx); err != nil {
			return err
		}
	}

	return nil
}

// owner waits until a process has the lock.
func (p *play) owner(ctx context.Context) (hold, error) {
	holds, err := p.ledger.await(ctx, "an owner", func(current []hold) bool { return len(current) > 0 })
	if err != nil {
		return hold{}, err
	}

	return holds[0], nil
}

// killOwner kills the owner of the lock. It returns the next owner, and the time from the kill to the next grant.
func (p *play) killOwner(ctx context.Context, owner hold) (waited time.Duration, next hold, err error) {
	killed := p.clock.Now()
	p.running[owner.who].kill()
	next, err = p.owner(ctx)

	return next.from.Sub(killed), next, err
}

// killHost kills the process that hosts the embedded server while another process owns the lock. The owner keeps it.
func (p *play) killHost(ctx context.Context, owner hold) error {
	if err := p.pause(ctx, scene); err != nil {
		return err
	}
	host, err := p.host(ctx)
	if err != nil {
		return err
	}
	if host == owner.who {
		p.narrate("%s owns the lock and hosts the server; stop it with SIGTERM", host)
		if err := p.running[host].stop(); err != nil {
			return err
		}
		if owner, err = p.owner(ctx); err != nil {
			return err
		}
		if host, err = p.host(ctx); err != nil || host == owner.who {
			return err // the other processes take over in an order of their own
		}
	}
	p.narrate("kill %s, which hosts the server: another process takes over, and %s keeps the lock", host, owner.who)
	p.running[host].kill()

	return p.keeps(ctx, owner)
}

// keeps checks that the owner keeps the lock for longer than it could without a server.
func (p *play) keeps(ctx context.Context, owner hold) error {
	if err := p.pause(ctx, timeout+scene); err != nil {
		return err
	}
	if after := p.ledger.now(); !slices.Contains(after, owner) {
		return fmt.Errorf("%s lost the lock; now: %v", owner.who, after)
	}

	return nil
}

// finish stops all processes that are still running, the server last.
func (p *play) finish(line string) error {
	p.narrate("%s; stop all processes", line)
	for _, name := range slices.Backward(slices.SortedFunc(maps.Keys(p.running), serverFirst)) {
		if p.running[name].alive() {
			if err := p.running[name].stop(); err != nil {
				return err
			}
		}
	}
	clear(p.running)

	return nil
}

func serverFirst(a, b string) int {
	switch {
	case a == "server":
		return -1
	case b == "server":
		return 1
	}

	return strings.Compare(a, b)
}

// shareTasks runs three processes that share ten tasks on the embedded server. One is killed and started again.
func (p *play) shareTasks(ctx context.Context) error {
	p.narrate("three processes share %d tasks; each of them takes up to %d", tasks, capacity)
	for i := range 3 {
		if err := p.worker("workers-" + strconv.Itoa(i+1)); err != nil {
			return err
		}
	}
	busiest, err := p.share(ctx, tasks)
	if err != nil {
		return err
	}

	p.narrate("kill %s with SIGKILL: the others take over as many of its tasks as they have room for", busiest)
	p.running[busiest].kill()
	if _, err := p.share(ctx, 2*capacity); err != nil {
		return err
	}

	p.narrate("start it again: it takes the rest")
	if err := p.worker(busiest); err != nil {
		return err
	}
	if _, err := p.share(ctx, tasks); err != nil {
		return err
	}

	return p.finish("those were the tasks")
}

func (p *play) worker(name string) error {
	_, err := p.begin(name, "workers", append(p.embedded(), "--semaphore-prefix", "job-", "--tasks", strconv.Itoa(tasks),
		"--capacity", strconv.Itoa(capacity), "--timeout", timeout.String())...)

	return err
}

// share waits until n tasks are running, shows which process runs which, and gives the reader time to look. It returns
// the process that runs the most.
func (p *play) share(ctx context.Context, n int) (busiest string, err error) {
	holds, err := p.ledger.await(ctx, fmt.Sprintf("%d running tasks", n), func(h []hold) bool { return len(h) == n })
	if err != nil {
		return "", err
	}
	by := map[string][]string{}
	for _, h := range holds {
		by[h.who] = append(by[h.who], h.what)
	}
	p.narrate("%d of %d tasks are running:", n, tasks)
	for _, who := range slices.Sorted(maps.Keys(by)) {
		p.say(p.clock.Now(), who, fmt.Sprint("runs ", by[who]))
		if len(by[who]) > len(by[busiest]) {
			busiest = who
		}
	}

	return busiest, p.pause(ctx, scene)
}

// useNetwork runs three processes that share a lock on a server of its own, as several machines do. The demo restarts
// the server while the lock is held, and kills the owner.
func (p *play) useNetwork(ctx context.Context) error {
	p.narrate("now over a network, as for several machines: start the server, and three processes that want one lock")
	if err := p.serve(ctx); err != nil {
		return err
	}
	if err := p.contend(ctx, 3, "--ydb", "grpc://"+p.listen+"/local"); err != nil {
		return err
	}
	owner, err := p.owner(ctx)
	if err != nil {
		return err
	}

	if err := p.pause(ctx, scene); err != nil {
		return err
	}
	p.narrate("kill the server and start it again: %s keeps the lock", owner.who)
	p.running["server"].kill()
	if err := p.serve(ctx); err != nil {
		return err
	}
	if err := p.keeps(ctx, owner); err != nil {
		return err
	}

	p.narrate("kill the owner, %s, with SIGKILL", owner.who)
	p.narrate("over a network, a crash looks like a slow connection: the lock stays taken for the session timeout of %v",
		timeout)
	waited, owner, err := p.killOwner(ctx, owner)
	if err != nil {
		return err
	}
	if waited < timeout {
		return fmt.Errorf("%s had the lock %v after its owner was killed, before the session timeout of %v",
			owner.who, waited, timeout)
	}
	if err := p.pause(ctx, scene); err != nil {
		return err
	}

	return p.finish("that was the network")
}

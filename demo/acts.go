package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
)

const (
	timeout  = 3 * time.Second // of the sessions
	tasks    = 10
	capacity = 4

	scene = 2500 * time.Millisecond // between what happens
)

// shareLock has five processes share the lock: the holder is stopped twice, then killed.
func (p *play) shareLock(ctx context.Context) error {
	p.narrate("five processes want one lock")
	for i := range 5 {
		l, err := p.begin("lock-"+strconv.Itoa(i+1), "lock", "-ydb", "grpc://"+p.listen+"/local", "-path", "/local/demo",
			"-semaphore", "lock", "-timeout", timeout.String())
		if err != nil {
			return err
		}
		if _, err := l.firstLine(ctx); err != nil {
			return err
		}
	}
	holder, err := p.holder(ctx)
	if err != nil {
		return err
	}
	for range 2 {
		if err := p.pause(ctx, scene); err != nil {
			return err
		}
		p.narrate("stop the holder, %s, in order (SIGTERM): the next starts at once", holder.who)
		if err := p.running[holder.who].stop(); err != nil {
			return err
		}
		if holder, err = p.holder(ctx); err != nil {
			return err
		}
	}

	if err := p.pause(ctx, scene); err != nil {
		return err
	}
	p.narrate("kill the holder, %s (SIGKILL): the next starts when its timeout of %v is over", holder.who, timeout)
	killed := p.clock.Now()
	p.running[holder.who].kill()
	if holder, err = p.holder(ctx); err != nil {
		return err
	}
	if waited := holder.from.Sub(killed); waited < timeout {
		return fmt.Errorf("%s started %v after the holder was killed, before its timeout", holder.who, waited)
	}

	return nil
}

// holder waits until a process has the lock.
func (p *play) holder(ctx context.Context) (hold, error) {
	holds, err := p.ledger.await(ctx, "a holder", func(current []hold) bool { return len(current) > 0 })
	if err != nil {
		return hold{}, err
	}

	return holds[0], nil
}

// restartServer kills the server and starts it again while the lock is held: the holder notices nothing. Then the locks
// go home.
func (p *play) restartServer(ctx context.Context) error {
	before, err := p.holder(ctx)
	if err != nil {
		return err
	}
	if err := p.pause(ctx, scene); err != nil {
		return err
	}
	p.narrate("kill the server and start it again: %s keeps the lock", before.who)
	p.running["server"].kill()
	if err := p.serve(ctx); err != nil {
		return err
	}
	if err := p.pause(ctx, timeout+scene); err != nil { // had it not come back, it would have given up by then
		return err
	}
	if after := p.ledger.now(); !slices.Contains(after, before) {
		return fmt.Errorf("%s lost the lock when the server was started again; now: %v", before.who, after)
	}

	p.narrate("enough of the lock")
	for _, name := range slices.Backward(slices.Sorted(maps.Keys(p.running))) { // the holder may be any of them
		if name == "server" || !p.running[name].alive() {
			continue
		}
		if err := p.running[name].stop(); err != nil {
			return err
		}
	}

	return nil
}

// shareTasks has three processes share ten tasks; one is stopped and started again.
func (p *play) shareTasks(ctx context.Context) error {
	p.narrate("three processes share %d tasks, each takes up to %d", tasks, capacity)
	for i := range 3 {
		if err := p.worker("workers-" + strconv.Itoa(i+1)); err != nil {
			return err
		}
	}
	busiest, err := p.share(ctx, tasks)
	if err != nil {
		return err
	}

	p.narrate("stop %s: the others take what they have room for", busiest)
	if err := p.running[busiest].stop(); err != nil {
		return err
	}
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

	p.narrate("enough of the tasks")
	for i := range 3 {
		if err := p.running["workers-"+strconv.Itoa(i+1)].stop(); err != nil {
			return err
		}
	}

	return p.running["server"].stop()
}

func (p *play) worker(name string) error {
	_, err := p.begin(name, "workers", "-ydb", "grpc://"+p.listen+"/local", "-path", "/local/demo",
		"-semaphore-prefix", "job-", "-tasks", strconv.Itoa(tasks), "-capacity", strconv.Itoa(capacity),
		"-timeout", timeout.String())

	return err
}

// share waits until so many tasks run, shows who runs which, and lets that be seen. It returns who runs the most.
func (p *play) share(ctx context.Context, n int) (busiest string, err error) {
	holds, err := p.ledger.await(ctx, fmt.Sprintf("%d running tasks", n), func(h []hold) bool { return len(h) == n })
	if err != nil {
		return "", err
	}
	by := map[string][]string{}
	for _, h := range holds {
		by[h.who] = append(by[h.who], h.what)
	}
	p.narrate("%d of %d tasks run:", n, tasks)
	for _, who := range slices.Sorted(maps.Keys(by)) {
		p.say(p.clock.Now(), who, fmt.Sprint("runs ", by[who]))
		if len(by[who]) > len(by[busiest]) {
			busiest = who
		}
	}

	return busiest, p.pause(ctx, scene)
}

package lockcmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/term"

	"tenure/internal/cli"
	"tenure/internal/clock"
	"tenure/internal/identity"
	"tenure/internal/printable"
	"tenure/lock"
)

// start does what the flags ask for.
func (l *locker) start(ctx context.Context) (err error) {
	l.Prepare()
	l.reporter = l.newReporter()
	l.monitor = l.NewMonitor()
	defer l.monitor.Close()
	l.prepareDisplay()
	defer l.display.end()
	if l.metered, err = l.newMeter(); err != nil {
		return err
	}
	defer l.metered.close()
	_, managed := l.env.LookupEnv("NOTIFY_SOCKET")
	l.notifier = newNotifier(managed && l.restart == restartAlways)
	defer l.notifier.close()
	defer context.AfterFunc(ctx, l.notifier.stopping)()
	if err := l.stateFile.check(); err != nil {
		return fmt.Errorf("%s=%q: %w", cli.Setting(l.cmd, "state-file"), string(l.stateFile), errors.Unwrap(err))
	}

	switch {
	case l.status:
		return l.showStatus(ctx)
	case l.release:
		return l.releaseHolder(ctx)
	case l.pid != 0:
		return l.background(ctx)
	case l.command != nil:
		return l.run(ctx)
	}

	return l.show(ctx)
}

// prepareDisplay decides where and how the waiting line appears.
func (l *locker) prepareDisplay() {
	l.display = &display{
		clock: clock.Go(), clear: func() {}, show: func(line string) { l.complain(errors.New(line)) },
	}
	_, stderr := l.env.Inherited()
	file, ok := stderr.(*os.File)
	if !ok || l.quiet || l.reporter.events != nil || l.logFormat != "text" || !term.IsTerminal(int(file.Fd())) {
		return
	}
	l.display.terminal = true
	l.display.show = func(line string) {
		line = printable.Text(line)
		if width, _, err := term.GetSize(int(file.Fd())); err == nil {
			line = clip(cli.ProgramName(l.cmd)+": "+line, width-1)
		}
		fmt.Fprintf(l.env.Stderr, "\r%s\x1b[K", line)
	}
	l.display.clear = func() { fmt.Fprint(l.env.Stderr, "\r\x1b[K") }
}

// clip returns at most width characters of the text.
func clip(text string, width int) string {
	if runes := []rune(text); width > 0 && len(runes) > width {
		return string(runes[:width])
	}

	return text
}

// card returns the data that this process attaches to the lock.
func (l *locker) card() identity.Card {
	return identity.Card{Who: cmp.Or(l.data, l.process())}
}

// process describes this process. It is the description of the session, which --data does not replace.
func (l *locker) process() string {
	switch {
	case l.pid != 0:
		return identity.Of(fmt.Sprintf("lock --pid %d", l.pid))
	case l.command == nil:
		return identity.Of("lock")
	}

	return identity.Of(l.command.Argv[0])
}

// options returns the options for package lock. Those in more come last.
func (l *locker) options(more ...lock.Option) []lock.Option {
	opts := []lock.Option{
		lock.WithTimeout(l.Timeout),
		lock.WithData([]byte(l.card().String())),
		lock.WithDescription(l.process()),
		lock.WithObserver(l.observe),
		lock.WithAlso(l.names[1:]...),
	}
	if l.NoCreate {
		opts = append(opts, lock.WithoutCreate())
	}
	if l.command != nil {
		opts = append(opts, lock.WithGrace(l.grace))
	}
	if l.shared {
		opts = append(opts, lock.WithShared())
	}
	if l.limit > 0 {
		opts = append(opts, lock.WithLimit(l.limit), lock.WithCount(l.count))
	}

	return append(opts, more...)
}

// complain prints a line on standard error.
func (l *locker) complain(err error) { cli.Complain(l.env, cli.ProgramName(l.cmd), err) }

// say prints a line on standard output, which belongs to this process only if there is no COMMAND.
func (l *locker) say(line string) {
	if l.command == nil && l.reporter.events == nil && !l.quiet {
		fmt.Fprintln(l.env.Stdout, printable.Text(line))
	}
}

package cli

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"tenure/internal/disposition"
)

// An Interrupt is the cause with which the context of a command ends when a signal asks the process to end.
type Interrupt struct{ Signal syscall.Signal }

func (i *Interrupt) Error() string { return i.Signal.String() }

// Is makes an Interrupt a [context.Canceled], like the cause of signal.NotifyContext.
func (i *Interrupt) Is(target error) bool { return target == context.Canceled }

// Interrupts returns the signals that ask the process to end: SIGINT, SIGTERM, SIGHUP and SIGQUIT, except those that
// were ignored when it started, as nohup does with SIGHUP.
func Interrupts() []os.Signal {
	var signals []os.Signal
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT} {
		if !disposition.IsIgnored(sig) {
			signals = append(signals, sig)
		}
	}

	return signals
}

// interrupts receives the signals of a process.
type interrupts struct {
	mu       sync.Mutex // guards the rest
	takers   map[chan<- syscall.Signal]struct{}
	diverted map[syscall.Signal]chan<- syscall.Signal
}

type interruptsKey struct{}

// interruptible returns a context that ends at the first of the Interrupts.
func interruptible(parent context.Context) context.Context {
	i := &interrupts{
		takers:   make(map[chan<- syscall.Signal]struct{}),
		diverted: make(map[syscall.Signal]chan<- syscall.Signal),
	}
	ctx, end := context.WithCancelCause(context.WithValue(parent, interruptsKey{}, i))
	for _, sig := range disposition.Ignored() {
		if sig != childEnded { // package guard waits for it
			signal.Ignore(sig) // the runtime has installed a handler, which would end this process
		}
	}
	signals := make(chan os.Signal, 1)
	if wanted := Interrupts(); len(wanted) > 0 { // none would mean all
		signal.Notify(signals, wanted...)
	}
	go func() { // ends with the process
		for s := range signals {
			sig := s.(syscall.Signal)
			switch {
			case i.divert(sig):
			case ctx.Err() == nil:
				end(&Interrupt{sig})
			default:
				i.pass(sig)
			}
		}
	}()

	return ctx
}

// pass passes on a signal after the first one.
func (i *interrupts) pass(sig syscall.Signal) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.takers) == 0 {
		raise(sig)
	}
	for taker := range i.takers {
		select {
		case taker <- sig:
		default: // it has not taken an earlier one yet
		}
	}
}

// divert sends the signal to the channel of Divert, if there is one.
func (i *interrupts) divert(sig syscall.Signal) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	to, ok := i.diverted[sig]
	if ok {
		select {
		case to <- sig:
		default: // an earlier one has not been received yet
		}
	}

	return ok
}

// Divert sends one of the Interrupts to the channel, which should have a capacity, until release is called: the signal
// does not ask the process to end. Divert does nothing if ctx is not that of a command of Main.
func Divert(ctx context.Context, sig syscall.Signal, to chan<- syscall.Signal) (release func()) {
	i, ok := ctx.Value(interruptsKey{}).(*interrupts)
	if !ok {
		return func() {}
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.diverted[sig] = to

	return func() {
		i.mu.Lock()
		defer i.mu.Unlock()
		delete(i.diverted, sig)
	}
}

// TakeInterrupts sends the Interrupts after the one that ends ctx to the channel, which should have a capacity, until
// release is called. Otherwise they end the process. It does nothing if ctx is not that of a command of Main.
func TakeInterrupts(ctx context.Context, taker chan<- syscall.Signal) (release func()) {
	i, ok := ctx.Value(interruptsKey{}).(*interrupts)
	if !ok {
		return func() {}
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.takers[taker] = struct{}{}

	return func() {
		i.mu.Lock()
		defer i.mu.Unlock()
		delete(i.takers, taker)
	}
}

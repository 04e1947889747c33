package term

import (
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v5"

	"tenure/internal/clock"
)

const (
	// openLimit bounds one attempt to open a session. The SDK's client keeps trying to open a session on a node that
	// does not exist, or that the caller has no rights on, without reporting anything.
	openLimit = 10 * time.Second

	// patience is how long a Run is without a session before it reports that.
	patience = 3 * time.Second

	// An attempt that has not ended after probeAfter hides its reason until openLimit. A look at the node, which ends
	// after probeLimit, finds a reason before the patience is over.
	probeAfter = time.Second
	probeLimit = 1900 * time.Millisecond
)

// Pauses between attempts: there is none before the second attempt, because most often a single connection broke. Then
// they grow. They are spread, so that processes that failed together do not come back together.
const (
	firstPause = 100 * time.Millisecond
	maxPause   = 5 * time.Second
)

// An Opener opens the sessions of one call of Run, one after the other. When there has been no session for a while, it
// reports that and the reason.
//
// It is not safe for concurrent use. A goroutine of Open uses the fields while Open runs, and only then.
type Opener struct {
	config  Config
	delayed func(without time.Duration, why error)
	clock   clock.Clock

	since  clock.Instant // the start of the time without a session; 0: there is a session
	reason error         // why the newest attempt failed, or takes so long; nil: not known
	told   string        // the text of the reason that was reported last
}

// NewOpener returns an Opener. It calls delayed after 3 seconds without a session, and again when the reason changes:
// never concurrently, and not after Open and Repeat have returned.
func NewOpener(c Config, delayed func(without time.Duration, why error)) *Opener {
	c.complete()

	return &Opener{config: c, delayed: delayed, clock: clock.Go()}
}

// Repeat calls attempt until it returns nil, or an error marked by [backoff.Permanent], which Repeat returns unmarked,
// or ctx has ended, whose cause Repeat returns. Before each pause it calls failed with the error and the pause.
func (o *Opener) Repeat(ctx context.Context, attempt func() error, failed func(err error, pause time.Duration)) error {
	pauses := newPauses()
	for {
		began := o.clock.Now()
		err := attempt()
		if err == nil {
			return nil
		}
		if permanent, ok := errors.AsType[*backoff.PermanentError](err); ok {
			return permanent.Unwrap()
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		o.begin()
		if o.clock.Now().Sub(began) > maxPause {
			pauses.Reset() // the attempt went well for a while: this is a new problem
		}
		pause := pauses.NextBackOff()
		failed(err, pause)
		if !o.pause(ctx, pause) {
			return context.Cause(ctx)
		}
	}
}

// Open creates the node if it is missing and opens a session. It marks an error that another attempt cannot mend by
// [backoff.Permanent].
func (o *Opener) Open(ctx context.Context) (*Term, error) {
	o.begin()
	limited, cancel := context.WithTimeout(ctx, openLimit)
	defer cancel()
	stop := o.watch(limited)
	defer stop() // also if the client panics
	session, err := open(limited, o.config)
	stop()
	if err == nil {
		o.since, o.reason, o.told = 0, nil, ""

		return &Term{session: session, config: o.config}, nil
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if _, permanent := errors.AsType[*backoff.PermanentError](err); !permanent { // else Run returns it
		o.reason = err
		o.tell()
	}

	return nil, err
}

// begin starts the time without a session, unless it has started.
func (o *Opener) begin() {
	if o.since == 0 {
		o.since = o.clock.Now()
	}
}

// watch finds and reports the reason while an attempt runs, on a goroutine of its own. The caller calls stop, which
// returns when the goroutine has ended, before it touches o.
func (o *Opener) watch(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if !o.pause(ctx, probeAfter) {
			return
		}
		if o.reason == nil {
			reason := o.probe(ctx)
			if ctx.Err() != nil {
				return
			}
			o.reason = reason
		}
		o.pause(ctx, openLimit)
	}()

	return func() {
		cancel()
		<-ended
	}
}

// probe returns why there is no session yet, as far as a look at the node shows it.
func (o *Opener) probe(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	err := lookUp(limited, o.config)
	switch {
	case err == nil:
		return notStarted(o.config.Path)
	case missing(err): // and the attempt is about to create it
		return noAnswer(err)
	}

	return reason(limited, "look up", o.config.Path, err)
}

// pause waits for d and reports the reason as soon as that is due. It reports whether ctx has not ended.
func (o *Opener) pause(ctx context.Context, d time.Duration) bool {
	if wait := o.since.Add(patience).Sub(o.clock.Now()); o.reason != nil && o.told == "" && wait < d {
		if !clock.Pause(ctx, o.clock, max(0, wait)) {
			return false
		}
		o.tell()
		d -= max(0, wait)
	}

	return clock.Pause(ctx, o.clock, d)
}

// tell reports the reason if there has been no session for long enough and the reason is news.
func (o *Opener) tell() {
	without := o.clock.Now().Sub(o.since)
	if without < patience || o.reason.Error() == o.told {
		return
	}
	o.told = o.reason.Error()
	o.delayed(without, o.reason)
}

// pauses is a backoff policy whose first pause is zero.
type pauses struct {
	backoff.ExponentialBackOff

	begun bool
}

func newPauses() pauses {
	return pauses{ExponentialBackOff: backoff.ExponentialBackOff{
		InitialInterval: firstPause, RandomizationFactor: 0.5, Multiplier: 2, MaxInterval: maxPause,
	}}
}

func (p *pauses) NextBackOff() time.Duration {
	if !p.begun {
		p.begun = true

		return 0
	}

	return p.ExponentialBackOff.NextBackOff()
}

func (p *pauses) Reset() {
	p.begun = false
	p.ExponentialBackOff.Reset()
}

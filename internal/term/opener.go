package term

import (
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"

	"tenure/internal/clientconfig"
	"tenure/internal/clock"
	"tenure/internal/ydberr"
)

const (
	// openLimit bounds one attempt to open a session. The SDK's client keeps trying to open a session on a node that
	// does not exist, or that the caller has no rights on, without reporting anything.
	openLimit = 10 * time.Second

	// patience is the time without a session after which a Run reports that.
	patience = 3 * time.Second

	// An attempt that has not ended after probeAfter may not reveal its reason before openLimit. Each probeAfter, the
	// Opener asks the client whether the server has refused an attempt. If it has not, the Opener looks up the node once.
	// The look-up ends within probeLimit, so that a reason is known before patience has passed.
	probeAfter = time.Second
	probeLimit = 1900 * time.Millisecond
)

// The second attempt follows without a pause, because most often only one connection broke. The pauses between later
// attempts grow from firstPause to maxPause. They are randomised, so that processes that failed at the same time do not
// return at the same time.
const (
	firstPause = 100 * time.Millisecond
	maxPause   = 5 * time.Second
)

// An Opener opens the sessions of one call of Run, one after the other. When there has been no session for a while, it
// reports that and the reason.
//
// An Opener is not safe for concurrent use. While Open waits for the client, only the goroutine of watch uses the
// fields.
type Opener struct {
	config  Config
	delayed func(without time.Duration, why error)
	clock   clock.Clock

	attempted bool // see attempt

	since  clock.Instant // the start of the time without a session; 0: there is a session
	reason error         // why the newest attempt failed or has not ended; nil: not known
	told   string        // the text of the reason that was reported last
}

// NewOpener returns an Opener. The Opener calls delayed after 3 seconds without a session, and again when the reason
// changes. It calls delayed only while Open or Repeat runs, and never concurrently.
func NewOpener(c Config, delayed func(without time.Duration, why error)) *Opener {
	c.complete()

	return &Opener{config: c, delayed: delayed, clock: clock.Go()}
}

// Repeat calls attempt until it returns nil. If attempt returns an error marked by [backoff.Permanent], Repeat returns
// the unmarked error. If ctx ends, Repeat returns its cause. Before each pause, Repeat calls failed with the error and
// the pause.
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
			pauses.Reset() // the attempt worked for a while, so this is a new problem
		}
		pause := pauses.NextBackOff()
		failed(err, pause)
		if !o.pause(ctx, pause) {
			return context.Cause(ctx)
		}
	}
}

// Open creates the node if it is missing and opens a session. It marks permanent errors with [backoff.Permanent].
func (o *Opener) Open(ctx context.Context) (*Term, error) {
	o.begin()
	limited, cancel := context.WithTimeout(clientconfig.NewOpening(ctx), clientconfig.OpeningLimit(ctx, openLimit))
	defer cancel()
	stop := o.watch(limited)
	defer stop() // also if the client panics
	session, err := o.attempt(limited)
	stop()
	if err == nil {
		o.since, o.reason, o.told = 0, nil, ""

		return newTerm(session, o.config), nil
	}
	if ctx.Err() != nil {
		if _, failed := clientconfig.LastAttempt(limited); failed != nil && !ydberr.Answered(o.reason) {
			o.reason = reason(limited, "open session on", o.config.Path, failed)
			if o.creates(failed) {
				o.reason = noAnswer(failed)
			}
		}

		return nil, context.Cause(ctx)
	}
	if _, permanent := errors.AsType[*backoff.PermanentError](err); !permanent { // Run returns permanent errors
		o.reason = err
		o.tell()
	}

	return nil, err
}

// Reason returns why there is no session, or nil if there is one or the reason is not known. It must not be called
// while Open or Repeat runs.
func (o *Opener) Reason() error { return o.reason }

// attempt makes one attempt to open a session. The first one saves the round trip of looking up the node, if the client
// allows that. The later ones do not, because a look-up most often has better reasons for a failure.
func (o *Opener) attempt(ctx context.Context) (coordination.Session, error) {
	first := !o.attempted
	o.attempted = true
	if first && clientconfig.SessionSuffices(o.config.Client, o.config.Path) {
		if session, err := openQuickly(ctx, o.config); session != nil || err != nil {
			return session, err
		}
	}

	return open(ctx, o.config)
}

// begin starts measuring the time without a session, unless it has already started.
func (o *Opener) begin() {
	if o.since == 0 {
		o.since = o.clock.Now()
	}
}

// watch starts a goroutine that finds and reports the reason while an attempt runs. The caller must call stop before it
// uses o again. stop returns when the goroutine has ended.
func (o *Opener) watch(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for o.pause(ctx, probeAfter) {
			reason := o.refusal(ctx)
			if reason == nil && o.reason == nil {
				reason = o.probe(ctx)
			}
			if ctx.Err() != nil {
				return
			}
			if reason != nil && !ydberr.Answered(o.reason) { // the end of the attempt tells of a new answer
				o.reason = reason
				o.tell()
			}
		}
	}()

	return func() {
		cancel()
		<-ended
	}
}

// refusal returns the refusal for which the attempt tries again, or nil if the server has not refused.
func (o *Opener) refusal(ctx context.Context) error {
	_, failed := clientconfig.LastAttempt(ctx)
	if failed == nil || !ydberr.Answered(failed) && !ydberr.Busy(failed) || o.creates(failed) {
		return nil
	}

	return reason(ctx, "open session on", o.config.Path, failed)
}

// creates reports whether the refusal is no reason, because the attempt that was refused creates the node.
func (o *Opener) creates(refusal error) bool { return ydberr.NoNode(refusal) && !o.config.NoCreate }

// probe looks up the node and returns a reason why there is no session yet.
func (o *Opener) probe(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	err := lookUp(limited, o.config)
	switch {
	case err == nil:
		return notStarted(ctx, o.config.Path)
	case missing(err): // the attempt creates the node, and still waits for the answer
		return noAnswer(err)
	}

	return reason(limited, "look up", o.config.Path, err)
}

// pause waits for d. In the meantime, it reports the reason as soon as patience has passed. It returns false if ctx has
// ended.
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

// tell reports the reason if there has been no session for at least patience and this reason was not reported last.
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

package term

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/cenkalti/backoff/v5"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"

	"tenure/internal/clock"
	"tenure/internal/flight"
	"tenure/internal/ydberr"
)

// refusals is how many acquires in a row may be refused without a visible reason before the refusal counts as
// permanent.
const refusals = 3

// ErrTaken means that a Request with NoWait was not granted because the semaphore is taken.
var ErrTaken = errors.New("the semaphore is taken")

// A Request describes what to acquire. Name is required.
type Request struct {
	Name   string
	Count  uint64 // 0: all units of the semaphore
	Limit  uint64 // of a persistent semaphore, which is created if it is missing; 0: the semaphore is ephemeral
	NoWait bool   // return an error that wraps ErrTaken if the semaphore cannot be acquired immediately
	Look   bool   // return the state of the semaphore too, if that costs no time
	Data   []byte // nil: that of the Config
}

func (r Request) options(data []byte) []options.AcquireSemaphoreOption {
	opts := []options.AcquireSemaphoreOption{
		options.WithEphemeral(r.Limit == 0), options.WithAcquireData(data),
	}
	if r.NoWait {
		opts = append(opts, options.WithAcquireTimeout(0))
	}

	return opts
}

// count returns the number of units to acquire.
func (r Request) count() uint64 {
	if r.Count == 0 && r.Limit == 0 {
		return coordination.Exclusive
	}

	return cmp.Or(r.Count, r.Limit)
}

// Acquire waits for the semaphore and acquires it. It returns when it has the lease, when ctx ends, or when the session
// ends. It may return a lease even if ctx has ended. It marks permanent errors with [backoff.Permanent].
//
// The state is nil if it is not known. It belongs to the lease, or to the error if that wraps ErrTaken.
func (t *Term) Acquire(ctx context.Context, r Request) (coordination.Lease, *State, error) {
	// An acquire of the SDK's client may wait forever if its session ends at the wrong moment.
	bound, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(t.readable, func() { cancel(t.over()) })
	defer stop()

	pauses := newPauses()
	for try := 1; ; try++ {
		lease, found, err := t.attempt(bound, r)
		if err == nil {
			return lease, found, nil
		}
		if bound.Err() != nil {
			return nil, nil, context.Cause(bound)
		}
		if uncertain, ok := errors.AsType[*refusal](err); !ok {
			return nil, found, err
		} else if try == refusals {
			return nil, nil, backoff.Permanent(uncertain.err)
		}
		clock.Pause(bound, clock.Go(), pauses.NextBackOff())
	}
}

// over returns the reason for which nothing can be acquired any longer.
func (t *Term) over() error {
	if t.session.Context().Err() == nil {
		return context.Cause(t.readable)
	}

	return t.Lost()
}

// A refusal is an error of an attempt for a reason that the client does not reveal. It may be temporary.
type refusal struct{ err error }

func (r *refusal) Error() string { return r.err.Error() }

// attempt acquires the semaphore, or finds out why that is not possible.
func (t *Term) attempt(ctx context.Context, r Request) (coordination.Lease, *State, error) {
	if r.Limit != 0 {
		if err := t.ensureSemaphore(ctx, r); err != nil {
			return nil, nil, err
		}
	}
	flying, look := ctx, &flight.Look{}
	if r.Look {
		flying, look = flight.New(ctx)
	}
	data := r.Data
	if data == nil {
		data = t.config.Data
	}
	lease, err := t.session.AcquireSemaphore(flying, r.Name, r.count(), r.options(data)...)
	var found *State
	if look.Description != nil {
		found = &State{look.Description}
	}
	switch {
	case err == nil:
		return lease, found, nil
	case ctx.Err() != nil:
		return nil, nil, err
	case errors.Is(err, ydberr.ErrNotAcquired) && r.NoWait:
		return nil, found, ErrTaken
	case errors.Is(err, coordination.ErrAcquireTimeout):
		found, err = t.refused(ctx, r)

		return nil, found, err
	}

	return nil, nil, t.failed(ctx, r, err)
}

// failed describes and classifies the error of an acquire.
func (t *Term) failed(ctx context.Context, r Request, err error) error {
	switch {
	case ydberr.Is(err, Ydb.StatusIds_PRECONDITION_FAILED, Ydb.StatusIds_BAD_REQUEST):
		if found, lookErr := t.Look(ctx, r.Name); lookErr == nil && !found.Missing() {
			if text := r.mismatch(found); text != "" {
				return backoff.Permanent(ydberr.Because(t.acquiring(r.Name)+": "+text, err))
			}
		}
	case ydberr.Is(err, Ydb.StatusIds_NOT_FOUND) && r.Limit != 0: // it was deleted after ensureSemaphore
		return &refusal{ydberr.Wrap(t.acquiring(r.Name), err)}
	}
	if ydberr.Permanent(err) {
		return backoff.Permanent(ydberr.Wrap(t.acquiring(r.Name), err))
	}

	return ydberr.Wrap(t.acquiring(r.Name), err)
}

func (t *Term) acquiring(name string) string {
	return fmt.Sprintf("acquire semaphore %q on node %q", name, t.config.Path)
}

// refused finds out why an acquire was refused. The SDK's client drops the status of the answer, so the reason can only
// be found by looking at the semaphore.
func (t *Term) refused(ctx context.Context, r Request) (*State, error) {
	found, err := t.Look(ctx, r.Name, options.WithDescribeWaiters(r.NoWait))
	if err == nil && !found.Missing() {
		if text := r.mismatch(found); text != "" {
			return nil, backoff.Permanent(errors.New(t.acquiring(r.Name) + ": " + text))
		}
		if r.NoWait && !found.fits(r) {
			return found, ErrTaken
		}
	}

	return nil, &refusal{fmt.Errorf("%s: the server refuses: check the right to write to the node", t.acquiring(r.Name))}
}

// ensureSemaphore creates a persistent semaphore if it is missing, and checks its kind and its limit.
func (t *Term) ensureSemaphore(ctx context.Context, r Request) error {
	found, err := t.Look(ctx, r.Name)
	if err != nil && !Missing(err) {
		return t.unless(ctx, err, r.Name)
	}
	if err != nil || found.Missing() {
		err = t.session.CreateSemaphore(ctx, r.Name, r.Limit)
		switch {
		case err == nil, errors.Is(err, coordination.ErrOperationStatusUnknown),
			ydberr.Is(err, Ydb.StatusIds_ALREADY_EXISTS, Ydb.StatusIds_PRECONDITION_FAILED):
		default:
			return t.unless(ctx, err, r.Name)
		}
		if found, err = t.Look(ctx, r.Name); err != nil && !Missing(err) {
			return t.unless(ctx, err, r.Name)
		}
	}
	if err != nil || found.Missing() {
		return &refusal{fmt.Errorf("%s: the server does not create it: check the right to create semaphores on the node",
			t.acquiring(r.Name))}
	}
	if text := r.mismatch(found); text != "" {
		return backoff.Permanent(errors.New(t.acquiring(r.Name) + ": " + text))
	}

	return nil
}

// unless returns the error of a request, or the cause of the end of ctx. It marks permanent errors.
func (t *Term) unless(ctx context.Context, err error, name string) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case ydberr.Permanent(err):
		return backoff.Permanent(ydberr.Wrap(t.acquiring(name), err))
	}

	return ydberr.Wrap(t.acquiring(name), err)
}

// mismatch says what is wrong if a semaphore is not of the kind that the request needs. Otherwise it returns "".
func (r Request) mismatch(found *State) string {
	const (
		remedy = ": use the same limit everywhere, or choose another name"
		remove = `: use the same limit everywhere, choose another name, or run "tenure semaphore delete", which also ` +
			`deletes its data`
	)
	switch {
	case r.Limit == 0 && !found.Ephemeral:
		return fmt.Sprintf("the semaphore is persistent and has limit %d, and one without a limit is needed",
			found.Limit) + remove
	case r.Limit != 0 && found.Ephemeral:
		return fmt.Sprintf("the semaphore has no limit and is in use, and a persistent one with limit %d is needed",
			r.Limit) + remedy
	case r.Limit != 0 && found.Limit != r.Limit:
		return fmt.Sprintf("the semaphore has limit %d, and limit %d is needed", found.Limit, r.Limit) + remove
	}

	return ""
}

// A State is the description of a semaphore.
type State struct {
	*coordination.SemaphoreDescription
}

// Look describes a semaphore, with its owners. The SDK's client returns an empty description of a semaphore that does
// not exist.
func (t *Term) Look(ctx context.Context, name string, opts ...options.DescribeSemaphoreOption) (*State, error) {
	found, err := t.session.DescribeSemaphore(ctx, name, append(opts, options.WithDescribeOwners(true))...)
	if err != nil {
		return nil, err
	}

	return &State{found}, nil
}

// Missing reports whether the semaphore does not exist.
func (s *State) Missing() bool { return s.Limit == 0 }

// Missing reports whether the error of Look means that the semaphore does not exist.
func Missing(err error) bool { return ydberr.Is(err, Ydb.StatusIds_NOT_FOUND) }

// fits reports whether the server would grant the request now, as far as the description shows.
func (s *State) fits(r Request) bool {
	return len(s.Waiters) == 0 && r.count() <= s.Limit-min(s.Count, s.Limit)
}

// Read returns the fencing token of a lease of the session, which is the order id of its acquire (C4), and checks the
// kind and the limit of the semaphore. The semaphore may have been deleted and made again since the acquire began. Read
// asks the server unless the state that Acquire has returned is enough.
func (t *Term) Read(ctx context.Context, lease coordination.Lease, found *State, r Request) (uint64, error) {
	if found != nil {
		if token, err := t.token(found, r); err == nil {
			return token, nil
		}
	}
	held := lease.Context()
	bound, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(held, func() { cancel(lost(held)) })() // the SDK's client may wait even longer

	found, err := t.Look(bound, r.Name)
	switch {
	case bound.Err() != nil:
		return 0, context.Cause(bound)
	case ydberr.Denied(err):
		return 0, t.cannotRenew(err)
	case err != nil:
		return 0, ydberr.Wrap(fmt.Sprintf("read the token of semaphore %q", r.Name), err)
	}

	return t.token(found, r)
}

// token finds the session among the owners.
func (t *Term) token(found *State, r Request) (uint64, error) {
	if text := r.mismatch(found); text != "" && !found.Missing() {
		return 0, backoff.Permanent(errors.New(t.acquiring(r.Name) + ": " + text))
	}
	for _, owner := range found.Owners {
		if owner.SessionID == t.session.SessionID() {
			return owner.OrderID, nil
		}
	}

	return 0, fmt.Errorf("read the token of semaphore %q: the server does not list the session as an owner", r.Name)
}

// SetData replaces the data of an acquire (Q6). It returns an error if ctx or held ends first.
//
// The acquire itself does not end with ctx, because the SDK's client would then release the semaphore.
func (t *Term) SetData(ctx, held context.Context, r Request, data []byte) error {
	if held.Err() != nil {
		return context.Cause(held)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	session, stop := context.WithCancel(context.WithoutCancel(ctx))
	context.AfterFunc(t.session.Context(), stop) // the SDK's client may wait forever
	done := make(chan error, 1)
	go func() {
		defer stop()
		_, err := t.session.AcquireSemaphore(session, r.Name, r.count(), r.options(data)...)
		done <- err
	}()
	select {
	case err := <-done:
		switch {
		case err == nil:
			return nil
		case held.Err() != nil:
			return context.Cause(held)
		}

		return ydberr.Wrap(t.acquiring(r.Name), err)
	case <-held.Done():
		return context.Cause(held)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Put creates the persistent semaphore with the data, or replaces its data.
func (t *Term) Put(ctx context.Context, name string, data []byte) error {
	found, err := t.Look(ctx, name)
	if Missing(err) || err == nil && found.Missing() {
		err = t.session.CreateSemaphore(ctx, name, 1, options.WithCreateData(data))
		if err == nil {
			return nil
		}
	}
	if err = t.session.UpdateSemaphore(ctx, name, options.WithUpdateData(data)); err != nil {
		return ydberr.Wrap(fmt.Sprintf("write semaphore %q on node %q", name, t.config.Path), err)
	}

	return nil
}

package term

import (
	"context"
	"time"

	"tenure/internal/clock"
)

// refusalMoment is how long the server must have refused to continue a session before that is reported. Some refusals
// pass, for example while a file with tokens is replaced.
const refusalMoment = time.Second

// WatchRefusal calls report with the reason when the server refuses to continue the session, and with nil when the
// server continues it after that. It does not call report concurrently, and not after stop has returned. With clients
// other than ours, report is never called.
func (t *Term) WatchRefusal(report func(refusal error)) (stop func()) {
	session := t.Ours()
	if session == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(session.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		told := ""
		for ctx.Err() == nil {
			changed := session.RefusalChanged() // before Refusal, so that no change is missed
			refusal := session.Refusal()
			if refusal != nil && told == "" {
				if !clock.Pause(ctx, clock.Go(), refusalMoment) {
					return
				}
				refusal = session.Refusal()
			}
			switch {
			case refusal == nil && told != "":
				told = ""
				report(nil)
			case refusal != nil && refusal.Error() != told:
				told = refusal.Error()
				report(refusal)
			}
			select {
			case <-changed:
			case <-ctx.Done():
			}
		}
	}()

	return func() {
		cancel()
		<-ended
	}
}

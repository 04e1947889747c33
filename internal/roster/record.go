package roster

import (
	"encoding/json"
	"fmt"
	"time"
)

// A Record is what the pool remembers of a task: how it failed, or that it is done. Only the owner of the task writes
// it, in the session that owns the task, before it releases the task.
type Record struct {
	Failures int       `json:"failures,omitempty"` // in a row
	At       time.Time `json:"at,omitzero"`        // of the newest failure, or when it was done, by the writer's clock
	Pause    Millis    `json:"pause_ms,omitempty"` // after the newest failure
	Reason   string    `json:"reason,omitempty"`   // of the newest failure
	Worker   string    `json:"worker,omitempty"`   // the writer
	Token    uint64    `json:"token,omitempty"`    // under which the task ran
	Done     bool      `json:"done,omitempty"`     // the task succeeded and is not run again
	Failed   bool      `json:"failed,omitempty"`   // the task is not run again, because it failed too often
}

// maxReason is the largest size of a reason in bytes.
const maxReason = 2 << 10

// Final reports whether the task is not run again.
func (r Record) Final() bool { return r.Done || r.Failed }

// Wait returns how long the next run must wait. The clocks of two machines may differ, so it is at most the pause.
func (r Record) Wait(now time.Time) time.Duration {
	if r.Failures == 0 || r.Final() {
		return 0
	}
	pause := time.Duration(r.Pause)

	return min(max(r.At.Add(pause).Sub(now), 0), pause)
}

// Encode returns the data of the record's semaphore.
func (r Record) Encode() []byte {
	if len(r.Reason) > maxReason {
		r.Reason = r.Reason[:maxReason]
	}
	b, err := json.Marshal(r)
	if err != nil {
		panic("roster: " + err.Error()) // a Record has only plain data
	}

	return b
}

// DecodeRecord reads a record. Data that is not a record is an error, because something else uses the semaphore.
func DecodeRecord(name string, data []byte) (Record, error) {
	var r Record
	if len(data) == 0 {
		return r, nil
	}
	if err := json.Unmarshal(data, &r); err != nil {
		return r, fmt.Errorf("semaphore %q does not hold the record of a task (%w): delete it, or rename the task", name, err)
	}

	return r, nil
}

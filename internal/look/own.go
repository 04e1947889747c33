package look

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"tenure/internal/printable"
	"tenure/internal/roster"
)

// OnceSuffix makes the name of the semaphore with the record of "lock --once" from the name of the lock.
const OnceSuffix = "#once"

// maxData is how much of the data of a semaphore people see, in bytes.
const maxData = 200

// dataText returns a text about the data for people, or "" if there is none. If lock or workers have written the data
// for themselves, the text says what it means. Otherwise it quotes the beginning of the data.
func (s Semaphore) dataText() string {
	if s.Data == "" {
		return ""
	}
	if text, known := s.record(); known {
		return text
	}
	if len(s.Data) > maxData {
		return fmt.Sprintf("data of %d bytes, which -o json shows: %q and so on", len(s.Data),
			printable.Clip(s.Data, maxData))
	}

	return fmt.Sprintf("data %q", s.Data)
}

// record describes the record of a lock or a task.
func (s Semaphore) record() (text string, known bool) {
	if strings.HasSuffix(s.Name, OnceSuffix) {
		var runs []struct{ Key string }
		if json.Unmarshal([]byte(s.Data), &runs) != nil || len(runs) == 0 {
			return "", false
		}

		return fmt.Sprintf("record of lock --once: %s, the newest for %s", printable.Count(len(runs), "run", "runs"),
			quoted(runs[len(runs)-1].Key)), true
	}
	task, found := strings.CutSuffix(s.Name, roster.RecordOf(""))
	if !found {
		return "", false
	}
	r, err := roster.DecodeRecord(s.Name, []byte(s.Data))
	switch {
	case err != nil || r.At.IsZero():
		return "", false
	case r.Done:
		text = "is done since " + r.At.Local().Format(time.DateTime)
	case r.Failures == 0:
		return "", false
	default:
		text = fmt.Sprintf("has failed %s in a row", printable.Count(r.Failures, "time", "times"))
		if r.Failed {
			text += " and is not run again"
		}
		if r.Reason != "" {
			text += ": " + quoted(r.Reason)
		}
	}

	return fmt.Sprintf("record of workers: the task %s %s", quoted(task), text), true
}

// quoted returns the beginning of a text, in quotes.
func quoted(text string) string { return fmt.Sprintf("%q", printable.Short(text)) }

// person returns how a holder of the named semaphore describes itself to people, or "" if that is its Who: the data of
// a worker's share of a membership semaphore is for other workers.
func person(name string, session, token uint64, data string) string {
	if !strings.HasSuffix(name, roster.MembersOf("")) {
		return ""
	}
	m, err := roster.Decode(session, token, []byte(data))
	if err != nil {
		return ""
	}
	text := fmt.Sprintf("worker %s", m.Worker)
	if m.Who != "" && m.Who != m.Worker {
		text += ": " + m.Who
	}

	return printable.Short(text)
}

package identity

import (
	"strings"
	"time"
)

// A Card is the data that a command attaches to its lock, for others to see: the holder, the time of the grant, and
// whether its work is done. The times are by the clock of the holder's machine.
type Card struct {
	Who   string
	Since time.Time // when the lock was granted; zero: not known
	Until time.Time // the work is done, and the lock is kept until this time; zero: the work is not done
}

const (
	sinceMark = ", since "
	untilMark = ", done, held until "
)

// String returns the card as one line, such as "alice@ci-3, pid 42 (backup), since 2026-03-01T02:00:00Z".
func (c Card) String() string {
	text := c.Who
	if !c.Since.IsZero() {
		text += sinceMark + c.Since.UTC().Format(time.RFC3339)
	}
	if !c.Until.IsZero() {
		text += untilMark + c.Until.UTC().Format(time.RFC3339)
	}

	return text
}

// ReadCard returns the card in the data of a lock. If the data has another form, it is the Who of the card, as
// printable text of limited length.
func ReadCard(data []byte) Card {
	c := Card{Who: string(data)}
	c.Who, c.Until = cutTime(c.Who, untilMark)
	c.Who, c.Since = cutTime(c.Who, sinceMark)
	c.Who = clean(c.Who)

	return c
}

// cutTime removes the mark and the time that the text ends with, if it does.
func cutTime(text, mark string) (rest string, at time.Time) {
	i := strings.LastIndex(text, mark)
	if i < 0 {
		return text, time.Time{}
	}
	at, err := time.Parse(time.RFC3339, text[i+len(mark):])
	if err != nil {
		return text, time.Time{}
	}

	return text[:i], at
}

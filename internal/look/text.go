package look

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"tenure/internal/cli"
	"tenure/internal/identity"
	"tenure/internal/printable"
)

// Text returns the semaphore for people.
func (s Semaphore) Text(now time.Time, style printable.Style) string {
	var b strings.Builder
	b.WriteString(s.headline(style) + "\n")
	var lines [][]string
	for _, h := range s.Holders {
		lines = append(lines, h.cells("holder", s, now))
	}
	for i, w := range s.Waiters {
		lines = append(lines, w.cells(strconv.Itoa(i+1), s, now))
	}
	table := printable.Columns(printable.Used([]string{
		"PLACE", "WHO", "PROCESS", "FOR", "TOKEN", "SESSION", "COUNT", "REMARKS",
	}, lines))
	for i, line := range strings.SplitAfter(table, "\n") {
		if line != "" {
			b.WriteString("  " + s.styled(i-1, line, style))
		}
	}

	return b.String()
}

// headline says whether the semaphore is free.
func (s Semaphore) headline(style printable.Style) string {
	text := style.Title(fmt.Sprintf("%q", s.Name))
	switch {
	case !s.Held:
		text += " is " + style.Good("free")
	default:
		text += " is " + style.Busy("held")
	}
	if s.Limit > 0 {
		text += fmt.Sprintf(", %d of %d taken", s.Count, s.Limit)
	}
	if n := len(s.Waiters); n > 0 {
		text += fmt.Sprintf(", %d waiting", n)
	}
	if data := s.dataText(); data != "" {
		text += ", " + data
	}

	return text
}

// styled returns a line of the table in a colour. The title has the index -1.
func (s Semaphore) styled(i int, line string, style printable.Style) string {
	text := strings.TrimSuffix(line, "\n")
	switch {
	case i < 0:
		text = style.Faint(text)
	case i < len(s.Holders) && s.Holders[i].gone():
		text = style.Bad(text)
	}

	return text + "\n"
}

// gone reports whether the client of the holder is not connected.
func (h Holder) gone() bool { return h.Connected != nil && !*h.Connected }

func (h Holder) cells(place string, s Semaphore, now time.Time) []string {
	count := ""
	if s.Limit > 0 {
		count = strconv.FormatUint(h.Count, 10)
	}

	return []string{
		place, h.Name(), h.process(), h.For(now), strconv.FormatUint(h.Token, 10), strconv.FormatUint(h.Session, 10), count,
		strings.Join(h.remarks(), ", "),
	}
}

// Name returns how the holder describes itself to people.
func (h Holder) Name() string { return cmp.Or(h.person, h.Who) }

// process returns the description of the session if it names the process and Name does not, as with "lock --data".
func (h Holder) process() string {
	if !identity.NamesProcess(h.Description) || identity.NamesProcess(h.Name()) {
		return ""
	}

	return printable.Short(h.Description)
}

// For returns for how long the holder has the semaphore, or the waiter waits; empty if that is not known.
func (h Holder) For(now time.Time) string {
	switch {
	case h.Since != nil:
		return cli.Elapsed(now.Sub(*h.Since))
	case h.Before != nil:
		return "over " + cli.Elapsed(now.Sub(*h.Before))
	}

	return ""
}

// remarks says what is special about a holder.
func (h Holder) remarks() (all []string) {
	if h.Until != nil {
		all = append(all, "done, held until "+h.Until.Local().Format(time.DateTime))
	}
	if h.gone() {
		all = append(all, "disconnected: its session timeout is running")
	}

	return all
}

// maxHolders is how many holders a line of Change lists.
const maxHolders = 3

// Line returns the change for people.
func (c Change) Line(style printable.Style) string {
	parts := []string{style.Good("free")}
	if c.Held {
		parts[0] = style.Busy("held by") + " " + printable.Text(c.holding())
	}
	if c.Limit > 0 {
		parts = append(parts, fmt.Sprintf("%d of %d taken", c.Count, c.Limit))
	}
	if n := len(c.Waiters); n > 0 {
		parts = append(parts, fmt.Sprintf("%d waiting", n))
	}
	if data := c.dataText(); data != "" {
		parts = append(parts, data)
	}
	if c.Again {
		parts = append(parts, style.Bad("changed and changed back"))
	}
	switch {
	case c.Unseen > 0 && c.first:
		parts = append(parts, style.Bad("grants before this one may be missing"))
	case c.Unseen == 1:
		parts = append(parts, style.Bad("at most 1 grant before this one is not shown"))
	case c.Unseen > 1:
		parts = append(parts, style.Bad(fmt.Sprintf("at most %d grants before this one are not shown", c.Unseen)))
	}

	return style.Faint(c.Time.Local().Format(time.DateTime)) + " " +
		style.Title(fmt.Sprintf("%q", c.Name)) + " " + strings.Join(parts, ", ")
}

// holding lists the holders.
func (s Semaphore) holding() string {
	var all []string
	for i, h := range s.Holders {
		if i == maxHolders {
			all = append(all, fmt.Sprintf("and %d others", len(s.Holders)-maxHolders))

			break
		}
		text := fmt.Sprintf("%s, token %d", h.Name(), h.Token)
		if remarks := h.remarks(); len(remarks) > 0 {
			text += ", " + strings.Join(remarks, ", ")
		}
		all = append(all, text)
	}

	return strings.Join(all, ", ")
}

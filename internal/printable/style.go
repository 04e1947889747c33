package printable

// A Style colours text for a terminal. The zero value leaves text as it is.
type Style struct{ colours bool }

// NewStyle returns the style for standard output. It has colours only on a terminal, and not if the variable NO_COLOR
// is set and not empty, or TERM is dumb or not set.
func NewStyle(terminal bool, lookupEnv func(string) (string, bool)) Style {
	none, _ := lookupEnv("NO_COLOR")
	kind, _ := lookupEnv("TERM")

	return Style{colours: terminal && none == "" && kind != "" && kind != "dumb"}
}

// Sequences of ECMA-48 that select how the following text looks.
const (
	bold   = "\x1b[1m"
	dim    = "\x1b[2m"
	red    = "\x1b[31m"
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	reset  = "\x1b[0m"
)

// Title is for headings and names.
func (s Style) Title(text string) string { return s.with(bold, text) }

// Faint is for text that matters less than the rest.
func (s Style) Faint(text string) string { return s.with(dim, text) }

// Good is for what is free, or as it should be.
func (s Style) Good(text string) string { return s.with(green, text) }

// Busy is for what is held, or waited for.
func (s Style) Busy(text string) string { return s.with(yellow, text) }

// Bad is for what is lost, or needs attention.
func (s Style) Bad(text string) string { return s.with(red, text) }

func (s Style) with(sequence, text string) string {
	if !s.colours || text == "" {
		return text
	}

	return sequence + text + reset
}

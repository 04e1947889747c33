package printable

import (
	"cmp"
	"fmt"
	"strings"
	"text/tabwriter"
)

// Columns returns lines of cells in aligned columns below their titles. Cells may contain any text. An empty cell is a
// dash, except in the last column. It returns nothing if there is no line.
func Columns(titles []string, lines [][]string) string {
	if len(lines) == 0 {
		return ""
	}
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0) //nolint:mnd // two blanks
	for _, cells := range append([][]string{titles}, lines...) {
		row := make([]string, len(cells))
		for i, cell := range cells {
			row[i] = Text(cell)
			if i < len(cells)-1 {
				row[i] = cmp.Or(row[i], "-")
			}
		}
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	_ = w.Flush() // a strings.Builder takes everything
	var b strings.Builder
	for line := range strings.Lines(text.String()) {
		b.WriteString(strings.TrimRight(line, " \n") + "\n")
	}

	return b.String()
}

// Used returns the columns that have text in at least one of the lines.
func Used(titles []string, lines [][]string) (usedTitles []string, usedLines [][]string) {
	usedLines = make([][]string, len(lines))
	for i, title := range titles {
		used := false
		for _, cells := range lines {
			used = used || cells[i] != ""
		}
		if !used {
			continue
		}
		usedTitles = append(usedTitles, title)
		for n, cells := range lines {
			usedLines[n] = append(usedLines[n], cells[i])
		}
	}

	return usedTitles, usedLines
}

package main

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// printer prints tables in Markdown. It keeps the first error and then prints nothing more.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) line(s string) {
	if p.err == nil {
		_, p.err = fmt.Fprintln(p.w, s)
	}
}

// table prints a table that has at least one row, and an empty line after it.
func (p *printer) table(head []string, rows [][]string) {
	if len(rows) == 0 {
		return
	}
	p.row(head)
	p.line(strings.Repeat("| ---: ", len(head)) + "|")
	for _, r := range rows {
		p.row(r)
	}
	p.line("")
}

func (p *printer) row(cells []string) { p.line("| " + strings.Join(cells, " | ") + " |") }

func rate(v float64) string   { return number(int(math.Round(v))) }
func micros(v float64) string { return number(int(math.Round(v/1e3))) + " µs" }
func millis(v float64) string { return fmt.Sprintf("%.1f ms", v/1e6) }
func bytes(v float64) string  { return number(int(math.Round(v))) + " B" }
func mega(v float64) string   { return fmt.Sprintf("%.1f MB", v/1e6) }
func times(v float64) string  { return fmt.Sprintf("%.2f", v) }

func ratio(v, of float64) string {
	if of == 0 || v == 0 {
		return ""
	}

	return times(v / of)
}

// number formats n with commas between groups of three digits.
func number(n int) string {
	if n < 0 {
		return "-" + number(-n)
	}
	if n < 1_000 {
		return strconv.Itoa(n)
	}

	return fmt.Sprintf("%s,%03d", number(n/1_000), n%1_000)
}

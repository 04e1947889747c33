// Command report reads the output of the benchmarks and prints the tables of docs/benchmarks.md. The figures are
// medians over all runs.
//
//	go test -bench . -count 10 -timeout 0 | tee new.txt && go run ./report <new.txt
package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
)

func main() {
	f, err := parse(os.Stdin)
	if err == nil {
		err = f.tables(os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
}

// figures holds the samples of each benchmark by name and unit. The name is without "Benchmark" and the number of CPUs.
type figures map[string]map[string][]float64

// parse reads lines of the form "BenchmarkName-2  N  value unit  value unit ..." and ignores all others.
func parse(r io.Reader) (figures, error) {
	all := figures{}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		name, ok := strings.CutPrefix(lines.Text(), "Benchmark")
		fields := strings.Fields(name)
		if !ok || len(fields) < 4 {
			continue
		}
		name = fields[0]
		if i := strings.LastIndexByte(name, '-'); i > 0 {
			name = name[:i]
		}
		if all[name] == nil {
			all[name] = map[string][]float64{}
		}
		for pair := range slices.Chunk(fields[2:], 2) {
			value, err := strconv.ParseFloat(pair[0], 64)
			if err != nil || len(pair) < 2 {
				return nil, fmt.Errorf("line %q: bad value %q", lines.Text(), pair[0])
			}
			all[name][pair[1]] = append(all[name][pair[1]], value)
		}
	}

	return all, lines.Err()
}

// median returns the median of a benchmark's samples, or 0 if there are none.
func (f figures) median(name, unit string) float64 {
	s := slices.Sorted(slices.Values(f[name][unit]))
	if len(s) == 0 {
		return 0
	}

	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

func (f figures) tables(w io.Writer) error {
	p := &printer{w: w}
	f.pairs(p)
	f.handover(p)
	f.memory(p)
	f.startup(p)
	f.takeover(p)
	f.failover(p)

	return p.err
}

func (f figures) pairs(p *printer) {
	syncs := f.median("Fdatasync", "syncs/s")
	p.row("fdatasyncs/s of a small append", "p50", "p99")
	p.rule(3)
	p.row(rate(syncs), micros(f.median("Fdatasync", "p50-ns")), micros(f.median("Fdatasync", "p99-ns")))

	p.gap()
	p.row("sessions", "server", "pairs/s", "p50", "p99", "relative to bare", "pairs per fdatasync", "server CPU per pair")
	p.rule(8)
	for _, sessions := range []int{1, 16, 64, 256} {
		bare := f.median(fmt.Sprintf("Pairs/store=bare/sessions=%d", sessions), "pairs/s")
		for _, store := range []string{"bare", "memory", "disk"} {
			name := fmt.Sprintf("Pairs/store=%s/sessions=%d", store, sessions)
			pairs := f.median(name, "pairs/s")
			p.row(strconv.Itoa(sessions), store, rate(pairs), micros(f.median(name, "p50-ns")),
				micros(f.median(name, "p99-ns")), ratio(pairs, bare), ratio(pairs, syncs),
				micros(f.median(name, "server-cpu-ns/pair")))
		}
	}
}

func (f figures) handover(p *printer) {
	sync := f.median("Fdatasync", "p50-ns")
	p.gap()
	p.row("waiters", "store", "p50", "p99", "p50 in fdatasyncs")
	p.rule(5)
	for _, waiting := range []int{2, 128, 1_000} {
		for _, store := range []string{"memory", "disk"} {
			name := fmt.Sprintf("Handover/store=%s/waiting=%d", store, waiting)
			p50 := f.median(name, "p50-ns")
			p.row(number(waiting), store, micros(p50), micros(f.median(name, "p99-ns")), ratio(p50, sync))
		}
	}
}

func (f figures) memory(p *printer) {
	p.gap()
	p.row("items", "server", "heap and stacks per item", "resident per item")
	p.rule(4)
	for _, row := range [][3]string{
		{"10,000 attached sessions", "bare", "attached=10000"},
		{"10,000 attached sessions", "memory", "attached=10000"},
		{"10,000 attached sessions", "disk", "attached=10000"},
		{"10,000 detached sessions", "disk", "detached=10000"},
		{"100,000 held semaphores", "memory", "held=100000"},
		{"100,000 held semaphores", "disk", "held=100000"},
	} {
		name := "Memory/store=" + row[1] + "/" + row[2]
		p.row(row[0], row[1], size(f.median(name, "live-B/each")), size(f.median(name, "resident-B/each")))
	}
}

func (f figures) startup(p *printer) {
	p.gap()
	p.row("held semaphores in the store", "startup time")
	p.rule(2)
	for _, held := range []int{0, 100_000} {
		p.row(number(held), fmt.Sprintf("%.0f ms", f.median(fmt.Sprintf("Startup/held=%d", held), "ns/op")/1e6))
	}
}

func (f figures) takeover(p *printer) {
	p.gap()
	p.row("processes", "killed", "time until", "p50", "p99")
	p.rule(5)
	for _, processes := range []int{2, 8} {
		for _, row := range [][3]string{
			{"holder", "the holder", "the next waiter works"},
			{"host_and_holder", "the holder, which hosts the server", "the next waiter works"},
			{"host", "the host", "the server answers again"},
		} {
			name := fmt.Sprintf("Takeover/killed=%s/contenders=%d", row[0], processes)
			p.row(number(processes), row[1], row[2], millis(f.median(name, "p50-ns")), millis(f.median(name, "p99-ns")))
		}
	}
}

func (f figures) failover(p *printer) {
	p.gap()
	p.row("tool", "p50", "p99", "the old command still ran")
	p.rule(4)
	for _, tool := range []string{"tenure", "etcd", "zookeeper"} {
		name := "Failover/tool=" + tool
		if f[name] == nil {
			continue // the peers are optional
		}
		p.row(tool, millis(f.median(name, "p50-ns")), millis(f.median(name, "p99-ns")),
			fmt.Sprintf("%.0f", f.median(name, "overlaps")))
	}
}

// printer prints tables. It keeps the first error and then prints nothing more.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) line(s string) {
	if p.err == nil {
		_, p.err = fmt.Fprintln(p.w, s)
	}
}

func (p *printer) row(cells ...string) { p.line("| " + strings.Join(cells, " | ") + " |") }
func (p *printer) rule(columns int)    { p.line(strings.Repeat("| ---: ", columns) + "|") }
func (p *printer) gap()                { p.line("") }

func rate(v float64) string   { return number(int(v + 0.5)) }
func micros(v float64) string { return number(int(v/1e3+0.5)) + " µs" }
func millis(v float64) string { return fmt.Sprintf("%.1f ms", v/1e6) }
func size(v float64) string   { return number(int(v+0.5)) + " B" }

func ratio(v, of float64) string {
	if of == 0 {
		return ""
	}

	return fmt.Sprintf("%.2f", v/of)
}

// number formats n with commas between groups of three digits.
func number(n int) string {
	if n < 1_000 {
		return strconv.Itoa(n)
	}

	return fmt.Sprintf("%s,%03d", number(n/1_000), n%1_000)
}

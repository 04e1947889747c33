package main

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

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
		if i := strings.LastIndexByte(name, '-'); i > 0 && isNumber(name[i+1:]) {
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

func isNumber(s string) bool { return strings.Trim(s, "0123456789") == "" }

// has reports whether there are samples of a benchmark. Peers are optional, and a run need not have all benchmarks.
func (f figures) has(name string) bool { return f[name] != nil }

// median returns the median of a benchmark's samples, or 0 if there are none.
func (f figures) median(name, unit string) float64 {
	s := slices.Sorted(slices.Values(f[name][unit]))
	if len(s) == 0 {
		return 0
	}

	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// cell formats the median of a benchmark's samples, with the minimum and the maximum if there are several samples. It
// is empty if there are none.
func (f figures) cell(name, unit string, format func(float64) string) string {
	s := f[name][unit]
	switch len(s) {
	case 0:
		return ""
	case 1:
		return format(s[0])
	default:
		return fmt.Sprintf("%s (%s–%s)", format(f.median(name, unit)), format(slices.Min(s)), format(slices.Max(s)))
	}
}

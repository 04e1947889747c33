package lockcmd

import (
	"strconv"
	"strings"
	"time"
)

// expositionType is the content type of an exposition.
const expositionType = "text/plain; version=0.0.4; charset=utf-8"

// An exposition builds metrics in the text format of Prometheus. It replaces Prometheus's own client, which would add a
// megabyte to the binary and to the memory of every process that waits for a lock.
type exposition struct {
	text []byte
	name string // of the current family
}

// A label is a label of a sample.
type label struct{ name, value string }

// family starts a family of samples. The help must not contain a line break or a backslash.
func (e *exposition) family(name, kind, help string) {
	e.name = name
	e.text = append(e.text, "# HELP "+name+" "+help+"\n# TYPE "+name+" "+kind+"\n"...)
}

var labelEscapes = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)

// sample adds a sample of the current family. The suffix is appended to the name of the family.
func (e *exposition) sample(suffix string, value float64, labels ...label) {
	e.text = append(e.text, e.name+suffix...)
	sep := byte('{')
	for _, l := range labels {
		e.text = append(e.text, sep)
		e.text = append(e.text, l.name+`="`+labelEscapes.Replace(l.value)+`"`...)
		sep = ','
	}
	e.text = append(e.text, "} "...)
	e.text = strconv.AppendFloat(e.text, value, 'g', -1, 64)
	e.text = append(e.text, '\n')
}

// histogram adds the samples of a histogram.
func (e *exposition) histogram(h *histogram, labels ...label) {
	bound, total := firstBound, uint64(0)
	for _, n := range h.buckets[:bounds] {
		total += n
		e.sample("_bucket", float64(total), append(labels, label{"le", strconv.FormatFloat(bound, 'g', -1, 64)})...)
		bound *= boundFactor
	}
	total += h.buckets[bounds]
	e.sample("_bucket", float64(total), append(labels, label{"le", "+Inf"})...)
	e.sample("_sum", h.sum, labels...)
	e.sample("_count", float64(total), labels...)
}

// The upper bounds of the buckets of a histogram: 1 ms to 70 min.
const (
	firstBound  = 0.001
	boundFactor = 4
	bounds      = 12
)

// A histogram counts durations.
type histogram struct {
	buckets [bounds + 1]uint64 // the last one is for durations above the highest bound
	sum     float64            // in seconds
}

func (h *histogram) observe(d time.Duration) {
	i := 0
	for bound := firstBound; i < bounds && d.Seconds() > bound; i++ {
		bound *= boundFactor
	}
	h.buckets[i]++
	h.sum += d.Seconds()
}

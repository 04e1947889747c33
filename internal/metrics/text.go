// Package metrics writes metrics in the text format of Prometheus and serves them over HTTP. It replaces Prometheus's
// own client, which would add a megabyte to the binary and to the memory of every process that waits for a lock.
package metrics

import (
	"strconv"
	"strings"
)

// contentType is the content type of a Text.
const contentType = "text/plain; version=0.0.4; charset=utf-8"

// A Text builds the text of metrics: families with their samples. The zero value is empty.
type Text struct {
	text []byte
	name string // of the current family
}

// A Label is a label of a sample.
type Label struct{ Name, Value string }

// Family starts a family of samples. The help must not contain a line break or a backslash.
func (t *Text) Family(name, kind, help string) {
	t.name = name
	t.text = append(t.text, "# HELP "+name+" "+help+"\n# TYPE "+name+" "+kind+"\n"...)
}

// Gauge adds a family that consists of one gauge.
func (t *Text) Gauge(name, help string, value float64, labels ...Label) {
	t.Family(name, "gauge", help)
	t.Sample(value, labels...)
}

// Counter adds a family that consists of one counter.
func (t *Text) Counter(name, help string, value uint64, labels ...Label) {
	t.Family(name, "counter", help)
	t.Sample(float64(value), labels...)
}

// Histogram adds a family that consists of one histogram.
func (t *Text) Histogram(name, help string, h *Histogram, labels ...Label) {
	t.Family(name, "histogram", help)
	h.samples(t, labels)
}

// Samples adds the samples of a histogram to the current family.
func (t *Text) Samples(h *Histogram, labels ...Label) { h.samples(t, labels) }

// Sample adds a sample of the current family.
func (t *Text) Sample(value float64, labels ...Label) { t.sample("", value, labels...) }

// Bytes returns the text. The caller must not use t afterwards.
func (t *Text) Bytes() []byte { return t.text }

var labelEscapes = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)

// sample adds a sample of the current family. The suffix is appended to the name of the family.
func (t *Text) sample(suffix string, value float64, labels ...Label) {
	t.text = append(t.text, t.name+suffix...)
	sep := byte('{')
	for _, l := range labels {
		t.text = append(t.text, sep)
		t.text = append(t.text, l.Name+`="`+labelEscapes.Replace(l.Value)+`"`...)
		sep = ','
	}
	if sep == ',' {
		t.text = append(t.text, '}')
	}
	t.text = append(t.text, ' ')
	t.text = strconv.AppendFloat(t.text, value, 'g', -1, 64)
	t.text = append(t.text, '\n')
}

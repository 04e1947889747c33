//go:build linux

package faults

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Each rule of the checker refuses a history that breaks it.
func TestOutcome_Check(t *testing.T) {
	t.Parallel()
	good := func() *outcome {
		return &outcome{
			lines: []line{
				{Token: 1, PID: 10, Role: stubborn, Verb: begin},
				{Token: 1, PID: 11, Role: loner, Verb: begin},
				{Token: 1, PID: 10, Role: stubborn, Verb: works},
				{Token: 1, PID: 11, Role: loner, Verb: works},
				{Token: 2, PID: 20, Role: short, Verb: begin},
				{Token: 2, PID: 20, Role: short, Verb: end},
			},
			hit: 4, proof: "killed", code: 123, want: 123,
		}
	}
	insert := func(at int, l line) func(o *outcome) {
		return func(o *outcome) { o.lines = append(o.lines[:at:at], append([]line{l}, o.lines[at:]...)...) }
	}
	for name, test := range map[string]struct {
		spoil func(o *outcome)
		want  error
	}{
		"nothing is wrong":               {func(*outcome) {}, nil},
		"the fault is not shown":         {func(o *outcome) { o.proof = "" }, errNoFault},
		"the fault came before the work": {func(o *outcome) { o.hit = 2 }, errNoFault},
		"the fault came after the work": {
			func(o *outcome) { o.lines[3] = line{Token: 1, PID: 10, Role: stubborn, Verb: end} }, errNoFault,
		},
		"nobody is next":          {func(o *outcome) { o.lines = o.lines[:4] }, errNoNext},
		"COMMAND works too long":  {insert(5, line{Token: 1, PID: 10, Role: stubborn, Verb: works}), errTwo},
		"COMMAND ends too late":   {insert(5, line{Token: 1, PID: 10, Role: stubborn, Verb: end}), errTwo},
		"a loner works too long":  {insert(5, line{Token: 1, PID: 11, Role: loner, Verb: works}), errTwo},
		"a child begins too late": {insert(6, line{Token: 1, PID: 12, Role: child, Verb: begin}), errTwo},
		"a token is used twice":   {insert(6, line{Token: 2, PID: 21, Role: short, Verb: begin}), errToken},
		"a token is smaller": {
			func(o *outcome) {
				for i := range o.lines[:4] {
					o.lines[i].Token = 3
				}
			}, errToken,
		},
		"a silent process is alive": {insert(4, line{Token: 2, PID: 20, Role: short, Verb: crowded}), errAlive},
		"work before begin":         {insert(5, line{Token: 2, PID: 21, Role: short, Verb: works}), errOrder},
		"work after end":            {insert(6, line{Token: 2, PID: 20, Role: short, Verb: works}), errOrder},
		"a child is first":          {insert(4, line{Token: 2, PID: 21, Role: child, Verb: begin}), errOrder},
		"the exit code is wrong":    {func(o *outcome) { o.code = 0 }, errCode},
		"a process is left over":    {func(o *outcome) { o.left = []string{"11"} }, errLeft},
		"a loner may outlive COMMAND": {
			func(o *outcome) {
				o.outlives = true
				insert(4, line{Token: 2, PID: 20, Role: short, Verb: crowded})(o)
				insert(6, line{Token: 1, PID: 11, Role: loner, Verb: works})(o)
			}, nil,
		},
		"COMMAND itself may not": {
			func(o *outcome) {
				o.outlives = true
				insert(5, line{Token: 1, PID: 10, Role: stubborn, Verb: works})(o)
			}, errTwo,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := good()
			test.spoil(o)
			require.ErrorIs(t, o.check(), test.want)
		})
	}
}

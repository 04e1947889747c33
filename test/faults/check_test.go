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
				{token: 1, pid: 10, role: stubborn, verb: begin},
				{token: 1, pid: 11, role: loner, verb: begin},
				{token: 1, pid: 10, role: stubborn, verb: works},
				{token: 1, pid: 11, role: loner, verb: works},
				{token: 2, pid: 20, role: short, verb: begin},
				{token: 2, pid: 20, role: short, verb: end},
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
			func(o *outcome) { o.lines[3] = line{token: 1, pid: 10, role: stubborn, verb: end} }, errNoFault,
		},
		"nobody is next":          {func(o *outcome) { o.lines = o.lines[:4] }, errNoNext},
		"COMMAND works too long":  {insert(5, line{token: 1, pid: 10, role: stubborn, verb: works}), errTwo},
		"COMMAND ends too late":   {insert(5, line{token: 1, pid: 10, role: stubborn, verb: end}), errTwo},
		"a loner works too long":  {insert(5, line{token: 1, pid: 11, role: loner, verb: works}), errTwo},
		"a child begins too late": {insert(6, line{token: 1, pid: 12, role: child, verb: begin}), errTwo},
		"a token is used twice":   {insert(6, line{token: 2, pid: 21, role: short, verb: begin}), errToken},
		"a token is smaller": {
			func(o *outcome) {
				for i := range o.lines[:4] {
					o.lines[i].token = 3
				}
			}, errToken,
		},
		"a silent process is alive": {insert(4, line{token: 2, pid: 20, role: short, verb: crowded}), errAlive},
		"work before begin":         {insert(5, line{token: 2, pid: 21, role: short, verb: works}), errOrder},
		"work after end":            {insert(6, line{token: 2, pid: 20, role: short, verb: works}), errOrder},
		"a child is first":          {insert(4, line{token: 2, pid: 21, role: child, verb: begin}), errOrder},
		"the exit code is wrong":    {func(o *outcome) { o.code = 0 }, errCode},
		"a process is left over":    {func(o *outcome) { o.left = []string{"11"} }, errLeft},
		"a loner may outlive COMMAND": {
			func(o *outcome) {
				o.outlives = true
				insert(4, line{token: 2, pid: 20, role: short, verb: crowded})(o)
				insert(6, line{token: 1, pid: 11, role: loner, verb: works})(o)
			}, nil,
		},
		"COMMAND itself may not": {
			func(o *outcome) {
				o.outlives = true
				insert(5, line{token: 1, pid: 10, role: stubborn, verb: works})(o)
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

//go:build linux

package workers

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/clock"
)

// Each rule of the judge refuses a history that breaks it.
func TestJudge_Rules(t *testing.T) {
	t.Parallel()
	line := func(verb Verb, token uint64, at clock.Instant) Line {
		return Line{At: at, Verb: verb, Worker: fmt.Sprint("w", token), Task: "a", Token: token, PID: int(token)}
	}
	begins, works, ends := line(Begins, 1, 1), line(Works, 1, 2), line(Ends, 1, 3)
	killed, next := Line{At: 5, Verb: Killed, Worker: "w1"}, line(Begins, 2, 7)
	cut := Line{At: 5, Verb: Cut, Worker: "w1"}
	back := Line{At: 8, Verb: Begins, Worker: "w1", Task: "a", Token: 3, PID: 3}
	for name, test := range map[string]struct {
		lines []Line
		want  error
	}{
		"one run after the other":      {[]Line{begins, works, ends, next, line(Ends, 2, 8)}, nil},
		"after a kill":                 {[]Line{begins, works, killed, next}, nil},
		"a killed job may end":         {[]Line{begins, killed, line(Told, 1, 6), line(Ends, 1, 6), next}, nil},
		"a killed worker may begin":    {[]Line{begins, ends, killed, back, {Verb: Begins, Task: "a", Token: 4}}, nil},
		"the worker was cut off":       {[]Line{begins, works, cut, back}, nil},
		"another task":                 {[]Line{begins, {Verb: Begins, Task: "b", Worker: "w1", Token: 1}, works}, nil},
		"again in the same worker":     {[]Line{begins, ends, begins, works}, nil},
		"a token is used twice":        {[]Line{begins, ends, {Verb: Begins, Task: "a", Worker: "w2", Token: 1}}, errToken},
		"a token is smaller":           {[]Line{next, line(Ends, 2, 8), begins}, errToken},
		"the earlier run has no end":   {[]Line{begins, works, next}, errTwo},
		"another worker is killed":     {[]Line{begins, {At: 5, Verb: Killed, Worker: "w2"}, next}, errTwo},
		"its worker is cut off later":  {[]Line{begins, cut, back, next}, errToken},
		"it is not cut off any more":   {[]Line{begins, cut, back, {Verb: Begins, Task: "a", Token: 4}}, errTwo},
		"the earlier run works":        {[]Line{begins, killed, next, works}, errTwo},
		"the earlier run ends":         {[]Line{begins, killed, next, ends}, errTwo},
		"a silent job is alive":        {[]Line{begins, killed, line(Crowded, 2, 6)}, errAlive},
		"work before the begin":        {[]Line{works}, errOrder},
		"work after the end":           {[]Line{begins, ends, works}, errOrder},
		"another job, with that token": {[]Line{begins, {Verb: Works, Task: "a", Token: 1, PID: 2}}, errOrder},
		"it does not run again":        {[]Line{begins, killed}, errDropped},
		"it runs only where it cannot": {[]Line{begins, ends, killed, back}, errDropped},
		"it runs again too late":       {[]Line{begins, killed, line(Begins, 2, 100)}, errLate},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := newJudge()
			i := slices.IndexFunc(test.lines, func(l Line) bool {
				err := j.read(l)
				if err != nil {
					require.ErrorIs(t, err, test.want)
				}

				return err != nil
			})
			if i < 0 || test.want == nil {
				require.ErrorIs(t, j.check(10*time.Nanosecond), test.want)
			}
		})
	}
}

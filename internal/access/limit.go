package access

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// limitFacts are the limits that lines set.
type limitFacts struct {
	Limits

	lines map[string]int // the line of each that is set
}

// unlimited is the value of a limit that does not limit.
const unlimited = "unlimited"

func (f *facts) addLimit(line int, args []word) error {
	if len(args) < 2 {
		return errors.New("limit: a word is missing: write limit NAME streams=N, sessions=N, rate=N/s or attaches=N/s")
	}
	name := args[0].text
	if name != everybody {
		if err := CheckName(name); err != nil {
			return fmt.Errorf("limit: %w", err)
		}
	}
	l := f.limits[name]
	if l == nil {
		l = &limitFacts{lines: map[string]int{}}
		f.limits[name] = l
	}
	for _, arg := range args[1:] {
		if before, ok := l.lines[arg.key]; ok {
			return fmt.Errorf("limit: %s= of %q is also on line %d: remove one of the two", arg.key, name, before)
		}
		var err error
		switch arg.key {
		case "streams":
			l.Streams, err = number(arg)
		case "sessions":
			l.Sessions, err = number(arg)
		case "rate":
			l.Rate, err = rate(arg)
		case "attaches":
			l.Attaches, err = rate(arg)
		default:
			err = fmt.Errorf("unknown word %q: write streams=N, sessions=N, rate=N/s or attaches=N/s", arg.text)
		}
		if err != nil {
			return fmt.Errorf("limit: %w", err)
		}
		l.lines[arg.key] = line
	}
	f.naming = append(f.naming, naming{line, "limit", name})

	return nil
}

// over returns the limits, with those of base where the lines set none.
func (l *limitFacts) over(base Limits) Limits {
	if l == nil {
		return base
	}
	for key := range l.lines {
		switch key {
		case "streams":
			base.Streams = l.Streams
		case "sessions":
			base.Sessions = l.Sessions
		case "rate":
			base.Rate = l.Rate
		case "attaches":
			base.Attaches = l.Attaches
		}
	}

	return base
}

func number(arg word) (int, error) {
	if arg.value == unlimited {
		return 0, nil
	}
	n, err := strconv.Atoi(arg.value)
	if err != nil || n < 1 || n > math.MaxInt32 {
		return 0, fmt.Errorf("%s=%q is not a number from 1: write e.g. %[1]s=100, or %[1]s=unlimited", arg.key, arg.value)
	}

	return n, nil
}

func rate(arg word) (float64, error) {
	if arg.value == unlimited {
		return 0, nil
	}
	text, ok := strings.CutSuffix(arg.value, "/s")
	n, err := strconv.ParseFloat(text, 64)
	if !ok || err != nil || !(n >= 0.001 && n <= math.MaxInt32) {
		return 0, fmt.Errorf("%s=%q is not a number a second: write e.g. %[1]s=200/s, or %[1]s=unlimited",
			arg.key, arg.value)
	}

	return n, nil
}

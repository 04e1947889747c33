// Command attacker attacks a server, or hands locks over on it.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"tenure/test/hostile"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "attacker:", err)
		os.Exit(1) //nolint:forbidigo // this is a main function
	}
}

func run(ctx context.Context, args []string) error {
	switch {
	case len(args) == 4 && args[0] == "attack":
		d, err := time.ParseDuration(args[3])
		if err != nil {
			return err
		}
		text, err := hostile.Run(ctx, args[1], args[2], d)
		fmt.Fprintln(os.Stdout, text)

		return err
	case len(args) == 2 && args[0] == "pairs":
		return pairs(ctx, args[1])
	}

	return fmt.Errorf("wrong arguments %q: write attack ADDRESS NAME DURATION, or pairs ADDRESS", args)
}

// pairs runs the honest pairs. For each line on standard input, it prints the period since the last line, in JSON.
func pairs(ctx context.Context, addr string) error {
	var all []*hostile.Pair
	for _, node := range []string{hostile.SameNode, hostile.OtherNode} {
		p, err := hostile.StartPair(ctx, addr, node)
		if err != nil {
			return err
		}
		defer p.Stop()
		all = append(all, p)
	}
	lines, out := bufio.NewScanner(os.Stdin), json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var periods []hostile.Period
		for _, p := range all {
			periods = append(periods, p.Next())
		}
		if err := out.Encode(periods); err != nil {
			return err
		}
	}

	return lines.Err()
}

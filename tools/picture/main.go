// Command picture draws a Graphviz file as SVG, without an installation of Graphviz:
//
//	go -C tools/picture run . ../../docs/overview.dot
//
// It writes the picture next to the file. With -check as the first argument it writes nothing, and fails if the picture
// is not what the file describes.
package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/goccy/go-graphviz"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "picture:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	check := len(args) > 0 && args[0] == "-check"
	if check {
		args = args[1:]
	}
	for _, name := range args {
		svg, err := draw(ctx, name)
		if err != nil {
			return fmt.Errorf("draw %q: %w", name, err)
		}
		target := strings.TrimSuffix(name, ".dot") + ".svg"
		if !check {
			err = os.WriteFile(target, svg, 0o644)
		} else if old, readErr := os.ReadFile(target); readErr != nil {
			err = readErr
		} else if !bytes.Equal(old, svg) {
			err = fmt.Errorf("%q is not what %q describes: go -C tools/picture run . %s", target, name, name)
		}
		if err != nil {
			return err
		}
	}

	return nil
}

func draw(ctx context.Context, name string) (svg []byte, err error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	g, err := graphviz.New(ctx)
	if err != nil {
		return nil, err
	}
	defer g.Close()
	graph, err := graphviz.ParseBytes(text)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := g.Render(ctx, graph, graphviz.SVG, &out); err != nil {
		return nil, err
	}

	return finish(out.Bytes()), nil
}

// The colours of the Graphviz file are those of a light page. On a dark page, the style sheet replaces them.
const style = `<style>
text { font-family: Helvetica, Arial, sans-serif }
@media (prefers-color-scheme: dark) {
  [fill="#24292f"] { fill: #e6edf3 }
  [stroke="#57606a"] { stroke: #9da7b3 }
  [fill="#57606a"] { fill: #9da7b3 }
  [fill="#ffffff"] { fill: #22272e }
  [fill="#ffe8a8"] { fill: #5c4813 }
  [fill="#eaf3fb"] { fill: #12263a }
  [fill="#eaf6ec"] { fill: #12301c }
  [fill="#f4effa"] { fill: #2a1d3d }
}
</style>
`

var comments = regexp.MustCompile(`(?s)<!--.*?-->\n?`)

// finish removes what depends on the version of Graphviz, and adds the style sheet.
func finish(svg []byte) []byte {
	svg = comments.ReplaceAll(svg, nil)

	return bytes.Replace(svg, []byte("<g id="), []byte(style+"<g id="), 1)
}

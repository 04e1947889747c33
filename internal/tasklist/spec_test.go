package tasklist_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/tasklist"
)

func TestParse(t *testing.T) {
	t.Parallel()
	specs, err := tasklist.Parse("list", "\ufeff# tasks\r\n\na\r\n  b\t3  # three\n#c 1\nd#1 1000000\nf\u00fc\u00df")
	require.NoError(t, err)
	require.Equal(t, []tasklist.Spec{
		{Name: "a", Weight: 1},
		{Name: "b", Weight: 3},
		{Name: "d#1", Weight: 1_000_000},
		{Name: "f\u00fc\u00df", Weight: 1},
	}, specs)
}

// A mistake is one line with the place and what is wrong.
func TestParse_Mistakes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                        "list: it lists no task",
		"# a\n\n":                 "list: it lists no task",
		"a\nb\n\na 2\n":           `list:4: "a" is listed twice, first in line 1`,
		"a 0":                     `list:1: the weight "0" is not a whole number between 1 and 1000000`,
		"a\nb 1000001":            `list:2: the weight "1000001" is not a whole number between 1 and 1000000`,
		"a -1":                    `list:1: the weight "-1" is not a whole number between 1 and 1000000`,
		"a b":                     `list:1: the weight "b" is not a whole number between 1 and 1000000`,
		"a 1 b":                   `list:1: 3 words: write NAME, or NAME WEIGHT`,
		strings.Repeat("x", 1025): `list:1: the name has 1025 bytes: the limit is 1024`,
		"a\xff":                   `list:1: the name "a\xff" is not valid UTF-8`,
		"a\x1b[31m":               `list:1: the name "a\x1b[31m" contains a control character`,
	} {
		_, err := tasklist.Parse("list", text)
		require.EqualError(t, err, want, "%q", text)
	}
	var many strings.Builder
	for i := range tasklist.MaxTasks + 1 {
		fmt.Fprintln(&many, i)
	}
	_, err := tasklist.Parse("list", many.String())
	require.EqualError(t, err, "list:100001: there are more than 100000 tasks")
}

func TestWords(t *testing.T) {
	t.Parallel()
	specs, err := tasklist.Words([]string{"a", "b=3", "k=v=1", "two words"})
	require.NoError(t, err)
	require.Equal(t, []tasklist.Spec{
		{Name: "a", Weight: 1},
		{Name: "b", Weight: 3},
		{Name: "k=v", Weight: 1},
		{Name: "two words", Weight: 1},
	}, specs)
	for text, want := range map[string]string{
		"a=":   `"a=": the weight is missing: write a=1, or leave = out`,
		"a=b":  `"a=b": the weight "b" is not a whole number between 1 and 1000000`,
		"=1":   `"=1": the name is empty`,
		"a\nb": `"a\nb": the name "a\nb" contains a control character`,
	} {
		_, err := tasklist.Words([]string{"z", text})
		require.EqualError(t, err, want)
	}
	_, err = tasklist.Words([]string{"a", "b", "a=2"})
	require.EqualError(t, err, `"a=2": "a" is listed twice`)
}

func TestNumbered(t *testing.T) {
	t.Parallel()
	specs, err := tasklist.Numbered("job-", 2)
	require.NoError(t, err)
	require.Equal(t, []tasklist.Spec{
		{Name: "job-0", Weight: 1},
		{Name: "job-1", Weight: 1},
	}, specs)
	_, err = tasklist.Numbered("a\n", 1)
	require.EqualError(t, err, `the name "a\n0" contains a control character`)
}

package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParse(t *testing.T) {
	t.Parallel()
	blocks, err := parse("a.md", "# Title\n\n```sh\ngo run .\n```\ntext\n```console\n$ a\nb\n```\n")
	require.NoError(t, err)
	require.Equal(t, []block{{"a.md", 4, "sh", "go run .\n"}, {"a.md", 8, "console", "$ a\nb\n"}}, blocks)
}

func TestParse_Refuses(t *testing.T) {
	t.Parallel()
	_, err := parse("a.md", "text\n```bash\nls\n```\n")
	const kinds = "[console crontab dockerfile go ini sh text]"
	require.EqualError(t, err, `a.md:2: no block is of the kind "bash": write one of `+kinds)
	_, err = parse("a.md", "```\nls\n```\n")
	require.ErrorContains(t, err, `a.md:1: no block is of the kind ""`)
	_, err = parse("a.md", "```sh\nls\n")
	require.EqualError(t, err, "a.md:2: the block has no end")
}

func TestTerminals(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{"lock x", "A=1 lock y"}, terminals("$ lock x\nits output\n$ A=1 lock y\n"))
}

func TestParseCrontab(t *testing.T) {
	t.Parallel()
	got, err := parseCrontab("# comment\nTENURE_DSN=grpc://x\n\n*/5 3 *  * 1-5   lock x -- date +\\%F\n")
	require.NoError(t, err)
	require.Equal(t, crontab{variables: []string{"TENURE_DSN=grpc://x"}, commands: []string{"lock x -- date +%F"}}, got)

	_, err = parseCrontab("* * * * * date +%F")
	require.ErrorContains(t, err, `write \%`)
	_, err = parseCrontab("* * * * lock")
	require.ErrorContains(t, err, "is not five fields and a command")
}

func TestParseUnit(t *testing.T) {
	t.Parallel()
	text := "# /etc/systemd/system/a.service\n[Service]\nEnvironment=A=1 B=2\nEnvironment=C=3\nExecStart=/bin/a --x=y\n" +
		"StateDirectory=a\nNotifyAccess=main\nSuccessExitStatus=1 143\n"
	got, err := parseUnit(text)
	require.NoError(t, err)
	require.Equal(t, unit{
		name: "a.service", variables: []string{"A=1", "B=2", "C=3"}, command: "/bin/a --x=y", state: true,
		notifies: true,
		success:  []string{"1", "143"},
	}, got)
	for _, broken := range []string{
		strings.TrimPrefix(text, "# /etc/systemd/system/a.service\n"),
		strings.ReplaceAll(text, "ExecStart", "ExecStop"),
	} {
		_, err := parseUnit(broken)
		require.Error(t, err)
	}
}

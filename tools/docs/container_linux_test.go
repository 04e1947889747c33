package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What a Dockerfile starts is process 1, so it has to reap orphans.
func TestStage_Container(t *testing.T) {
	t.Parallel()
	const orphan = "(sleep 0.1 &)\ntest $$ = 1 && echo process 1 || echo ordinary\n"
	scripts := map[string]string{
		"reaps":  "trap 'exit 7' QUIT\n" + orphan + "while :; do sleep 0.1; done",
		"leaves": orphan + "exec sleep 1000",
	}
	const text = "FROM scratch\nENV A=1\nSTOPSIGNAL SIGQUIT\nENTRYPOINT [\"/usr/local/bin/%s\"]\nCMD [\"a\", \"b c\"]\n"
	s, out := newTestStage(t, scripts)
	err := s.run(t.Context(), block{kind: "dockerfile", text: fmt.Sprintf(text, "reaps")})
	require.ErrorContains(t, err, "exited with 7 after quit", out)
	if strings.Contains(out.String(), "ordinary\n") {
		t.Skip("no PID namespace can be created here")
	}
	err = s.run(t.Context(), block{kind: "dockerfile", text: fmt.Sprintf(text, "leaves")})
	require.ErrorContains(t, err, "has not reaped [")
}

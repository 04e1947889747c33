package workerscmd

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestProgress(t *testing.T) {
	t.Parallel()
	for want, p := range map[string]progress{
		"[..............................] 0 of 0 done, 0 running, 0 waiting, 0 failed":       {},
		"[..............................] 0 of 10 done, 0 running, 10 waiting, 0 failed":     {Waiting: 10},
		"[##############################] 1000 of 1000 done, 0 running, 0 waiting, 0 failed": {Done: 1000},
		"[#############################.] 999 of 1000 done, 0 running, 1 waiting, 0 failed":  {Done: 999, Waiting: 1},
		"[###############!!!>>>>>>......] 5 of 10 done, 2 running, 2 waiting, 1 failed":      {5, 2, 2, 1},
	} {
		require.Equal(t, want, p.bar())
	}
}

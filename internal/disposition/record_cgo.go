//go:build cgo && unix

package disposition

/*
#include <signal.h>
#include <stddef.h>
#include <stdint.h>

static uint64_t tenure_ignored;

// It runs before the Go runtime, which replaces the dispositions.
__attribute__((constructor)) static void tenure_record(void) {
	for (int sig = 1; sig <= 64; sig++) {
		struct sigaction action;
		if (sigaction(sig, NULL, &action) == 0 && !(action.sa_flags & SA_SIGINFO) && action.sa_handler == SIG_IGN) {
			tenure_ignored |= UINT64_C(1) << (sig - 1);
		}
	}
}

static uint64_t tenure_recorded(void) { return tenure_ignored; }
*/
import "C"

// Complete reports whether the dispositions of all signals are known.
const Complete = true

func recorded() uint64 { return uint64(C.tenure_recorded()) }

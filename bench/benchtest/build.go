package benchtest

import (
	"fmt"
	"os"
	"os/exec"
)

// Build builds a program from a package of the module in a directory, and returns the size of the program. The program
// is like those of a release: it does not use the machine's C library, and has no symbols and no traces of gRPC.
func Build(module, pkg, output string) (size int64, err error) {
	build := exec.Command("go", "build", "-C", module, "-trimpath", "-tags", "grpcnotrace", "-ldflags", "-s -w",
		"-o", output, pkg)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("%v: %w: %s", build, err, out)
	}
	info, err := os.Stat(output)
	if err != nil {
		return 0, err
	}

	return info.Size(), nil
}

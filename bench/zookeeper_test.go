package bench

import (
	"os"
	"os/exec"

	"github.com/go-zookeeper/zk"
)

// envZooKeeper makes the test binary a lockTool that uses the ZooKeeper server at the address in the variable, because
// ZooKeeper has no command that runs another one under a lock.
const envZooKeeper = "TENURE_BENCH_ZOOKEEPER"

// zookeeperMain runs a command under a lock and returns its result.
func zookeeperMain(address string, argv []string) error {
	conn, _, err := zk.Connect([]string{address}, failoverTimeout, zk.WithLogInfo(false))
	if err != nil {
		return err
	}
	defer conn.Close()
	lock := zk.NewLock(conn, "/failover", zk.WorldACL(zk.PermAll))
	if err := lock.Lock(); err != nil {
		return err
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr

	return cmd.Run()
}

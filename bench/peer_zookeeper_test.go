package bench

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/stretchr/testify/require"
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

func serveZooKeeper(b *testing.B) *daemon {
	b.Helper()
	java := installed(b, "java", "apt-get install zookeeper")
	const jar = "/usr/share/java/zookeeper.jar" // of Debian's package
	if _, err := os.Stat(jar); err != nil {
		b.Skipf("%s does not exist: apt-get install zookeeper", jar)
	}
	addr, dir := freeAddress(b), b.TempDir()
	_, port, _ := strings.Cut(addr, ":")
	config := filepath.Join(dir, "zoo.cfg")
	require.NoError(b, os.WriteFile(config, fmt.Appendf(nil,
		"tickTime=2000\ndataDir=%s\nclientPortAddress=127.0.0.1\nclientPort=%s\nmaxClientCnxns=0\nadmin.enableServer=false\n",
		dir, port), 0o600))

	return startServer(b, addr, java, "-cp", jar, "org.apache.zookeeper.server.quorum.QuorumPeerMain", config)
}

// zooKeeperLock creates an ephemeral node and deletes it. That is the cheapest lock of ZooKeeper. zk.Lock makes more
// requests.
type zooKeeperLock struct{ *zk.Conn }

// connectZooKeeper returns when there is a session, because requests before that fail if the connection does.
func connectZooKeeper(ctx context.Context, address string, _ bool) (connection, error) {
	c, events, err := zk.Connect([]string{address}, time.Minute, zk.WithLogInfo(false))
	if err != nil {
		return nil, err
	}
	for {
		select {
		case e := <-events:
			if e.State == zk.StateHasSession {
				return zooKeeperLock{c}, nil
			}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (z zooKeeperLock) worker(_ context.Context, lock string) (pair func() error, err error) {
	return func() error {
		if _, err := z.Create("/"+lock, nil, zk.FlagEphemeral, zk.WorldACL(zk.PermAll)); err != nil {
			return err
		}

		return z.Delete("/"+lock, 0)
	}, nil
}

// Package hostile attacks a server, and checks that the server keeps serving everyone else.
//
// Each test starts a process of tenure serve with its default limits, an honest pair of clients on each of two nodes,
// and an attacker in a process of its own. The attacks are in one table. They use raw HTTP/2 frames or valid
// requests. While an attack lasts, the pairs hand locks over, about 200 times a second each. Afterwards the server
// must still run, it must have used less than 1 GB of memory, the pairs must have kept their sessions, and SIGTERM
// must end the server within 2 s.
//
// Variables of the environment change a run:
//
//   - HOSTILE_DURATION=30s is how long each attack lasts.
//   - HOSTILE_STRICT=1 also checks the time that hand-overs take, and runs one attack at a time. This needs a machine
//     without other work.
//
// The command attacker runs one attack on any server:
//
//	go run ./test/hostile/attacker attack 127.0.0.1:2136 rapid-resets 10s
package hostile

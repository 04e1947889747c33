// Package assign decides which member of a pool should own which task.
//
// [Balance] is a pure function of the tasks, the members and the present owners. It has no state, reads no clock and
// uses no randomness. Every worker of a pool calls it with the same arguments and gets the same answer, on every
// machine. So a pool needs no leader: a worker gives back the tasks that should belong to another member, and acquires
// the free tasks that should belong to itself.
//
// # How it decides
//
// Each member has a share of the total weight, in proportion to its capacity. The units of weight are handed out one by
// one, each to the member that has the lowest load / capacity with it. This is the D'Hondt method, by which parliaments
// allocate seats. No member gets more than its capacity. With equal capacities and tasks of weight 1, the loads differ
// by at most one. If several members have an equal right to a unit, a member that owns the task already comes first,
// and then the member with the lowest hash of its name.
//
// A task stays with its owner, unless the owner leaves, does not accept it, or owns more than its share. A member that
// owns more gives back the tasks that score lowest for it.
//
// Tasks that are free or given back go to the members that own less than their share. For each pair of a task and a
// member there is a score, which depends on both names and on the capacity of the member. A task goes to the member
// with the highest score among those that have room. The tasks take their turns in the order of their hashes. So when a
// member is gone, its tasks spread over all others.
//
// # Weights
//
// If the weights differ, heavy tasks are decided first, because light ones fit where heavy ones do not. The loads are
// balanced if no move of a single task from one member to another would leave both with a lower load / capacity than
// the first one has now. To find the balanced target with the fewest moves would take too long. Balance tries a fixed
// list of candidates, and takes the one with the fewest moves. In small random pools it moves about 1.15 times as many
// tasks as necessary.
//
// # Members that do not accept all tasks
//
// Among tasks of the same weight, those that fewer members accept are decided first. Each decision is final, so the
// loads may be less level than possible, and more tasks than necessary may be unassigned, if members accept different
// sets of tasks. In small random pools that is so in about one pool of 25.
//
// # Too little capacity
//
// If the members do not have the capacity for all tasks, some tasks are unassigned. With equal weights, and members
// that accept everything, all of the capacity is used. A member never leaves a task that it owns to nobody in order to
// get another one. A task that must leave its owner has no such privilege.
//
// # Steps
//
// The owners change one by one while the workers carry out a target, and a task is free between two owners. Balance
// returns the same target at each of these steps if all tasks have the same weight. So each task moves at most once,
// and nothing moves when the target is reached. If the weights differ, a step can lead to another target, but the
// number of moves from then on is at most what was left, unless more tasks can be assigned. In rare cases, a task moves
// twice.
//
// A member that leaves, or is gone, moves its own tasks only, if all tasks have the same weight. When a member comes
// back under the same name before its tasks have new owners, it gets them back, because all others have their shares.
// The exception is a last unit of weight to which another member has an equal right.
//
// # Sources
//
// Rendezvous hashing: D. Thaler and C. Ravishankar, Using name-based mappings to increase hit rates, IEEE/ACM
// Transactions on Networking 6 (1998). The score with weights, -capacity / log(hash): C. Schindelhauer and G.
// Schomaker, Weighted distributed hash tables, SPAA 2005, and draft-ietf-bess-weighted-hrw. Limits for the load of a
// member: V. Mirrokni, M. Thorup and M. Zadimoghaddam, Consistent hashing with bounded loads, arXiv:1608.01350. Kafka's
// StickyAssignor defines balance in the same way for tasks of weight 1, and prefers present owners too.
package assign

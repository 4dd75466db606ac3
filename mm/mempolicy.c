// SPDX-License-Identifier: MIT
/*
 * Nodes and policy. What libnuma and sysfs say is read once, at the start:
 * which nodes can exist, which of them have memory that this process may use,
 * how far apart they are, and the policy that numactl or set_mempolicy() gave
 * the process. The tables are constant afterwards, so they need no lock.
 *
 * The process's policy is honoured by the choice of node:
 *   bind          only its nodes exist for us
 *   preferred     its first node is everybody's local node
 *   preferred-many its nearest node is
 *   interleave    large runs and whole pages go round its nodes; slabs stay
 *                 on the local one, or no object of theirs would be local
 *   default       the node of the CPU that asks
 */
#define _GNU_SOURCE
#include "internal.h"
#include "syscalls.h"
#include "zone.h"

#include <numa.h>
#include <numaif.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

/* Newer than the headers of the oldest libnuma that we build with. */
#ifndef MPOL_PREFERRED_MANY
#define MPOL_PREFERRED_MANY 5
#endif
#ifndef MPOL_WEIGHTED_INTERLEAVE
#define MPOL_WEIGHTED_INTERLEAVE 6
#endif
#define MODE_MASK	0xff	/* the rest are MPOL_F_* flags */

static int node_ids = 1;
static unsigned int cpu_ids = 1;
static u64 mem_nodes = 1;	/* bit n: node n has memory we may use */
static u64 policy_nodes;	/* of the policy, within mem_nodes */
static int policy = MPOL_DEFAULT;
static u8 *cpu_mem;		/* cpu_to_mem() by CPU */
static u8 *fallback;		/* [node][i], i < number of mem_nodes */
static u32 interleave;		/* turns taken */

size_t read_small_file(const char *path, char *buf, size_t size)
{
	int fd = sys_open(path, O_RDONLY, 0);
	ssize_t n;

	buf[0] = '\0';
	if (fd < 0)
		return 0;
	n = sys_read(fd, buf, size - 1);
	sys_close(fd);
	if (n <= 0)
		return 0;
	buf[n] = '\0';
	return n;
}

/* The highest number in a list such as "0-3,8"; -1 where there is none. */
static int highest_in(const char *path)
{
	char buf[1024], *p, *end;
	int n = -1;

	read_small_file(path, buf, sizeof(buf));
	for (p = buf; *p; p = end) {
		long v = strtol(p, &end, 10);

		if (end == p) {
			end = p + 1;
			continue;
		}
		/* "0-3": the minus is a dash. */
		v = labs(v);
		if (v > n && v < INT32_MAX)
			n = v;
	}
	return n;
}

unsigned int nr_cpu_ids(void)
{
	return cpu_ids;
}

int nr_node_ids(void)
{
	return node_ids;
}

bool node_has_memory(int node)
{
	return node >= 0 && node < node_ids && mem_nodes >> node & 1;
}

bool numa_several(void)
{
	return mem_nodes & (mem_nodes - 1);
}

static u64 mask_to_word(const struct bitmask *mask)
{
	u64 word = 0;

	for (int n = 0; mask && n < node_ids; n++)
		if (numa_bitmask_isbitset(mask, n))
			word |= 1ULL << n;
	return word;
}

static u64 read_mem_nodes(void)
{
	struct bitmask *mask = numa_get_mems_allowed();
	u64 word = mask_to_word(mask);

	if (mask)
		numa_bitmask_free(mask);
	return word;
}

static void read_policy(void)
{
	struct bitmask *mask = numa_allocate_nodemask();
	int mode;

	if (!mask)
		return;
	/* The kernel wants room for all its nodes, which libnuma has. */
	if (get_mempolicy(&mode, mask->maskp, mask->size + 1, NULL, 0) == 0) {
		policy = mode & MODE_MASK;
		policy_nodes = mask_to_word(mask) & mem_nodes;
	}
	numa_bitmask_free(mask);
	if (!policy_nodes)
		policy = MPOL_DEFAULT;
	if (policy == MPOL_BIND)
		mem_nodes = policy_nodes;
}

static int distance(int from, int to)
{
	int d = numa_distance(from, to);

	if (from == to)
		return 0;
	return d > 0 ? d : INT16_MAX;
}

/* Of @nodes the nearest to @from; the lower number when two are as near. */
static int nearest(int from, u64 nodes)
{
	int best = -1;

	for (int n = 0; n < node_ids; n++)
		if (nodes >> n & 1 &&
		    (best < 0 || distance(from, n) < distance(from, best)))
			best = n;
	return best;
}

static void fill_fallback(void)
{
	for (int from = 0; from < node_ids; from++) {
		u64 left = mem_nodes;

		for (int i = 0; left; i++) {
			int n = nearest(from, left);

			fallback[from * MAX_NODES + i] = n;
			left &= ~(1ULL << n);
		}
	}
}

static int local_for(int home)
{
	switch (policy) {
	case MPOL_PREFERRED:
		return __builtin_ctzll(policy_nodes);
	case MPOL_PREFERRED_MANY:
		return nearest(home, policy_nodes);
	default:
		return nearest(home, mem_nodes);
	}
}

static void fill_cpu_mem(void)
{
	u8 by_node[MAX_NODES];

	for (int n = 0; n < node_ids; n++)
		by_node[n] = local_for(n);
	for (unsigned int cpu = 0; cpu < cpu_ids; cpu++) {
		int home = numa_node_of_cpu(cpu);

		/* A CPU that is not plugged in may turn up anywhere. */
		if (home < 0 || home >= node_ids)
			home = 0;
		cpu_mem[cpu] = by_node[home];
	}
}

/* Without sysfs: the kernel says how long its own masks of CPUs are. */
static int highest_by_mask(void)
{
	unsigned long mask[128];	/* of 8192 CPUs */
	long bytes = syscall(SYS_sched_getaffinity, 0, sizeof(mask), mask);

	return bytes > 0 ? (int)bytes * 8 - 1 : 0;
}

static void count_ids(void)
{
	int cpus = highest_in("/sys/devices/system/cpu/possible");
	int nodes = highest_in("/sys/devices/system/node/possible");

	if (cpus < 0)
		cpus = highest_by_mask();
	cpu_ids = max(cpus, 0) + 1;
	node_ids = max(nodes, 0) + 1;
	if (node_ids > MAX_NODES) {
		report("%d NUMA nodes are possible, only the first %d are used",
		       node_ids, MAX_NODES);
		node_ids = MAX_NODES;
	}
}

int mempolicy_init(void)
{
	count_ids();
	if (node_ids > 1 && numa_available() < 0)
		node_ids = 1;
	cpu_mem = meta_alloc(cpu_ids);
	fallback = meta_alloc((size_t)node_ids * MAX_NODES);
	if (!cpu_mem || !fallback)
		return -ENOMEM;
	if (node_ids == 1)
		return 0;
	/* More than 64 nodes and bound to the rest of them: no node is ours. */
	mem_nodes = read_mem_nodes();
	if (!mem_nodes)
		mem_nodes = 1;
	read_policy();
	fill_fallback();
	fill_cpu_mem();
	return 0;
}

int cpu_to_mem(unsigned int cpu)
{
	return cpu < cpu_ids ? cpu_mem[cpu] : cpu_mem[0];
}

int numa_local_node(void)
{
	int cpu;

	if (!numa_several())
		return __builtin_ctzll(mem_nodes);
	cpu = sched_getcpu();
	return cpu_to_mem(cpu < 0 ? 0 : cpu);
}

int numa_policy_node(void)
{
	u64 nodes = policy_nodes;
	unsigned int turn;

	if (policy != MPOL_INTERLEAVE && policy != MPOL_WEIGHTED_INTERLEAVE)
		return numa_local_node();
	turn = __atomic_fetch_add(&interleave, 1, __ATOMIC_RELAXED);
	for (turn %= __builtin_popcountll(nodes); turn; turn--)
		nodes &= nodes - 1;
	return __builtin_ctzll(nodes);
}

int node_fallback(int node, unsigned int i)
{
	if (node < 0 || node >= node_ids ||
	    i >= (unsigned int)__builtin_popcountll(mem_nodes))
		return -1;
	return fallback[node * MAX_NODES + i];
}

/*
 * Strict is for hugetlb, where a node without pages is an error from populate.
 * For other memory MPOL_BIND would call the OOM killer instead.
 */
int mempolicy_bind(void *p, size_t bytes, int node, bool strict)
{
	unsigned long mask[MAX_NODES / (8 * sizeof(long)) + 1] = { 0 };

	if (!numa_several())
		return 0;
	mask[0] = 1UL << node;
	if (mbind(p, bytes, strict ? MPOL_BIND : MPOL_PREFERRED, mask,
		  MAX_NODES + 1, 0))
		return -errno;
	return 0;
}

int page_node(const void *p)
{
	int node;

	if (get_mempolicy(&node, NULL, 0, (void *)p, MPOL_F_NODE | MPOL_F_ADDR))
		return -errno;
	return node;
}

#define QUERY 128	/* pages a call */

bool pages_on_node(void *p, size_t bytes, size_t step, int node)
{
	void *pages[QUERY];
	int status[QUERY];

	for (size_t at = 0; at < bytes; ) {
		unsigned long n = 0;

		for (; n < QUERY && at < bytes; at += step)
			pages[n++] = (char *)p + at;
		/* Where it cannot be asked (a sandbox), the policy must do. */
		if (move_pages(0, n, pages, NULL, status, 0))
			return true;
		while (n--)
			if (status[n] != node)
				return false;
	}
	return true;
}

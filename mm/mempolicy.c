// SPDX-License-Identifier: MIT
/*
 * Nodes and policy.
 *
 * The nodes, their distances and the home of each CPU are read once, at the
 * start; these tables are constant afterwards and need no lock.
 *
 * The policy (numactl, set_mempolicy()) and the nodes that a cpuset allows are
 * in Linux each thread's own, and may change at any time. What the kernel said
 * when it was last asked is kept by each thread for itself. It is asked
 *   for the first time in a thread's first slow path,
 *   when a refill needs another slab, and for each large run (the policy),
 *   when pageblocks are brought up (the policy and the allowed nodes),
 *   after rn_shrink_all(), in each thread's next slow path,
 * and never on a machine where one node has all memory.
 *
 * It is honoured by the choice of node:
 *   bind            the nearest of its nodes, and none but them
 *   preferred       its node, whatever CPU asks
 *   preferred-many  the nearest of its nodes
 *   interleave      its nodes in turn, a slab or a run from each
 *   default         the node of the CPU that asks
 * A node that a call names is tried first whatever the policy says, as in the
 * kernel, but not what the cpuset forbids.
 */
#define _GNU_SOURCE
#include "debug/fault_inject.h"
#include "internal.h"
#include "syscalls.h"
#include "zone.h"

#include <numa.h>
#include <numaif.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Newer than the headers of the oldest libnuma that we build with. */
#ifndef MPOL_PREFERRED_MANY
#define MPOL_PREFERRED_MANY 5
#endif
#ifndef MPOL_WEIGHTED_INTERLEAVE
#define MPOL_WEIGHTED_INTERLEAVE 6
#endif
#ifndef MPOL_F_STATIC_NODES
#define MPOL_F_STATIC_NODES (1 << 15)
#endif
#ifndef MPOL_F_RELATIVE_NODES
#define MPOL_F_RELATIVE_NODES (1 << 14)
#endif
#define MODE_MASK	0xff	/* the rest are MPOL_F_* flags */

/* More than any kernel is built for: it refuses a mask that is too short. */
#define MASK_BITS	4096

#define NODES		"/sys/devices/system/node/"

/**
 * struct thread_policy - what the kernel said of this thread
 * @nodes: of the policy, those that have memory
 * @allowed: nodes with memory that the thread's cpuset allows
 * @asked: the generation of both; 0 before the first time
 * @mode: MPOL_*; MPOL_DEFAULT where the policy names no node
 * @turn: under interleave, the node that slabs come from now
 * @taken: it has given one; who asks next finds the turn another node's
 */
struct thread_policy {
	u64 nodes;
	u64 allowed;
	u32 asked;
	u8 mode;
	u8 turn;
	bool taken;
};

static __thread struct thread_policy thread_policy;
static u32 generation = 1;	/* what was asked before it is forgotten */

static int node_ids = 1;
static unsigned int cpu_ids = 1;
static u64 mem_nodes = 1;	/* bit n: node n has memory */
static u8 *cpu_home;		/* node by CPU */
static u8 *by_distance;		/* [node][i], i < number of mem_nodes */
static u32 turns;		/* of interleaving, taken */

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

/* At the start, by one thread, on a stack that may be small. */
static char *read_list(const char *path)
{
	static char list[4096];

	read_small_file(path, list, sizeof(list));
	return list;
}

/* The next range of a list such as "0-3,8"; false at its end. */
static bool next_range(char **list, long *from, long *to)
{
	char *end;

	*from = *to = strtol(*list, &end, 10);
	if (end == *list)
		return false;
	if (*end == '-')
		*to = strtol(end + 1, &end, 10);
	*list = *end == ',' ? end + 1 : end;
	return true;
}

/* The highest number in a list; -1 where there is none. */
static int highest_in(const char *path)
{
	char *list = read_list(path);
	long from, to, n = -1;

	while (next_range(&list, &from, &to))
		if (to > n && to < INT32_MAX)
			n = to;
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

bool numa_several(void)
{
	return mem_nodes & (mem_nodes - 1);
}

/* --- the thread's policy --- */

static bool ask(int *mode, u64 *nodes, unsigned int flags)
{
	unsigned long mask[MASK_BITS / (8 * sizeof(long))];
	int saved = errno;
	bool done;

	done = !get_mempolicy(mode, mask, MASK_BITS, NULL, flags);
	errno = saved;
	*nodes = done ? mask[0] & mem_nodes : 0;
	return done;
}

static void ask_allowed(struct thread_policy *p)
{
	u64 nodes;

	if (ask(NULL, &nodes, MPOL_F_MEMS_ALLOWED) && nodes)
		p->allowed = nodes;
	/* A sandbox; or more than 64 nodes, and none of ours is allowed. */
	else if (!p->allowed)
		p->allowed = mem_nodes;
}

/* The i-th bit of @nodes stands for the i-th node of @onto, round and round. */
static u64 fold(u64 nodes, u64 onto)
{
	u64 word = 0;

	while (nodes) {
		u64 left = onto;
		int n = __builtin_ctzll(nodes) % __builtin_popcountll(onto);

		for (; n; n--)
			left &= left - 1;
		word |= left & -left;
		nodes &= nodes - 1;
	}
	return word;
}

static bool interleaves(const struct thread_policy *p)
{
	return p->mode == MPOL_INTERLEAVE ||
	       p->mode == MPOL_WEIGHTED_INTERLEAVE;
}

static int next_turn(u64 nodes)
{
	unsigned int n = __atomic_fetch_add(&turns, 1, __ATOMIC_RELAXED);

	for (n %= __builtin_popcountll(nodes); n; n--)
		nodes &= nodes - 1;
	return __builtin_ctzll(nodes);
}

/* Without either flag the kernel says what is left of it in the cpuset. */
static void ask_policy(struct thread_policy *p)
{
	int mode = MPOL_DEFAULT;
	u64 nodes;

	p->asked = READ_ONCE(generation);
	if (!ask(&mode, &nodes, 0))
		return;
	if (mode & MPOL_F_RELATIVE_NODES)
		nodes = fold(nodes, p->allowed);
	else if (mode & MPOL_F_STATIC_NODES)
		nodes &= p->allowed;
	else if (nodes & ~p->allowed)
		ask_allowed(p);
	p->nodes = nodes;
	p->mode = nodes ? mode & MODE_MASK : MPOL_DEFAULT;
	if (interleaves(p) && (p->taken || !(nodes >> p->turn & 1))) {
		p->turn = next_turn(nodes);
		p->taken = false;
	}
}

void numa_ask_again(void)
{
	if (!numa_several())
		return;
	ask_allowed(&thread_policy);
	ask_policy(&thread_policy);
}

void numa_forget(void)
{
	__atomic_fetch_add(&generation, 1, __ATOMIC_RELAXED);
}

static const struct thread_policy *policy(void)
{
	if (unlikely(thread_policy.asked != READ_ONCE(generation)))
		numa_ask_again();
	return &thread_policy;
}

/* --- the start --- */

static int distance(int from, int to)
{
	int d = numa_distance(from, to);

	if (from == to)
		return 0;
	return d > 0 ? d : INT16_MAX;
}

/* The lower number first when two are as near. */
static void sort_by_distance(int from)
{
	u8 *sorted = &by_distance[from * MAX_NODES];
	int d[MAX_NODES], n = 0;

	for (int node = 0; node < node_ids; node++) {
		int at = n;

		if (!(mem_nodes >> node & 1))
			continue;
		d[node] = distance(from, node);
		for (; at && d[sorted[at - 1]] > d[node]; at--)
			sorted[at] = sorted[at - 1];
		sorted[at] = node;
		n++;
	}
}

/* A CPU that is not plugged in, of which nothing is said, may be anywhere. */
static void read_homes(int node)
{
	char path[64], *list;
	long from, to;

	snprintf(path, sizeof(path), NODES "node%d/cpulist", node);
	list = read_list(path);
	while (next_range(&list, &from, &to))
		for (long cpu = from; cpu <= to && cpu < (long)cpu_ids; cpu++)
			cpu_home[cpu] = node;
}

static void read_mem_nodes(void)
{
	char *list = read_list(NODES "has_memory");
	long from, to;

	mem_nodes = 0;
	while (next_range(&list, &from, &to))
		for (long node = from; node <= to && node < node_ids; node++)
			mem_nodes |= 1ULL << node;
	if (!mem_nodes)
		mem_nodes = 1;
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
	int nodes = highest_in(NODES "possible");

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
	cpu_home = meta_alloc(cpu_ids);
	by_distance = meta_alloc((size_t)node_ids * MAX_NODES);
	if (!cpu_home || !by_distance)
		return -ENOMEM;
	if (node_ids == 1)
		return 0;
	read_mem_nodes();
	for (int node = 0; node < node_ids; node++) {
		sort_by_distance(node);
		read_homes(node);
	}
	return 0;
}

/* --- the choice of a node --- */

/* Of @nodes, which is not empty and has memory, the nearest to @home. */
static int nearest(int home, u64 nodes)
{
	const u8 *node = &by_distance[home * MAX_NODES];

	while (!(nodes >> *node & 1))
		node++;
	return *node;
}

static int local_for(const struct thread_policy *p, int home)
{
	switch (p->mode) {
	case MPOL_PREFERRED:
		return __builtin_ctzll(p->nodes);
	case MPOL_PREFERRED_MANY:
	case MPOL_BIND:
		return nearest(home, p->nodes);
	default:
		return nearest(home, p->allowed);
	}
}

/* Of a CPU that came after the start, node 0. */
int cpu_to_node(unsigned int cpu)
{
	return cpu < cpu_ids ? cpu_home[cpu] : 0;
}

static int home_here(void)
{
	int cpu = sched_getcpu();

	return cpu_to_node(max(cpu, 0));
}

static int the_node(void)
{
	return __builtin_ctzll(mem_nodes);
}

int cpu_to_mem(unsigned int cpu)
{
	if (!numa_several())
		return the_node();
	return local_for(policy(), cpu_to_node(cpu));
}

int numa_local_node(void)
{
	const struct thread_policy *p;

	if (!numa_several())
		return the_node();
	p = policy();
	return interleaves(p) ? p->turn : local_for(p, home_here());
}

int numa_policy_node(void)
{
	struct thread_policy *p = &thread_policy;

	if (!numa_several())
		return the_node();
	if (!p->asked)
		ask_allowed(p);
	ask_policy(p);
	return numa_local_node();
}

void numa_turn_over(void)
{
	thread_policy.taken = true;
}

bool node_has_memory(int node)
{
	u64 nodes = numa_several() ? policy()->allowed : mem_nodes;

	return node >= 0 && node < node_ids && nodes >> node & 1;
}

/* Where memory may come from that was wanted on @node. */
static u64 nodes_for(int node)
{
	const struct thread_policy *p;

	if (!numa_several())
		return mem_nodes;
	p = policy();
	if (p->mode != MPOL_BIND)
		return p->allowed;
	return p->nodes | (p->allowed & 1ULL << node);
}

int node_fallback(int node, unsigned int i)
{
	const u8 *n;
	u64 nodes;

	if (node < 0 || node >= node_ids)
		return -1;
	nodes = nodes_for(node);
	if (i >= (unsigned int)__builtin_popcountll(nodes))
		return -1;
	for (n = &by_distance[node * MAX_NODES]; ; n++)
		if (nodes >> *n & 1 && !i--)
			return *n;
}

unsigned int numa_tag(int node)
{
	unsigned int tag = 0;

	if (node_ids == 1)
		return 0;
	if (home_here() != node)
		tag |= NUMA_OTHER;
	if (numa_several() && interleaves(policy()))
		tag |= NUMA_INTERLEAVE;
	return tag;
}

/* --- figures --- */

static struct numa_runs runs[MAX_NODES];

void numa_count_run(int wanted, int node, bool by_policy)
{
	unsigned int tag = numa_tag(node);

	wanted = node_fallback(wanted, 0);
	stat_inc(&runs[node].allocs);
	if (wanted != node) {
		stat_inc(&runs[node].miss);
		stat_inc(&runs[wanted].foreign);
	} else if (by_policy && tag & NUMA_INTERLEAVE) {
		stat_inc(&runs[node].interleave);
	}
	if (tag & NUMA_OTHER)
		stat_inc(&runs[node].other);
}

const struct numa_runs *numa_runs_on(int node)
{
	return &runs[node];
}

/*
 * Strict is for hugetlb, where a node without pages is an error from populate.
 * For other memory MPOL_BIND would call the OOM killer instead.
 */
int mempolicy_bind(void *p, size_t bytes, int node, bool strict)
{
	unsigned long mask[MAX_NODES / (8 * sizeof(long)) + 1] = { 0 };

	if (fault_inject(FAULT_MBIND, bytes))
		return -errno;
	if (!numa_several())
		return 0;
	mask[0] = 1UL << node;
	if (mbind(p, bytes, strict ? MPOL_BIND : MPOL_PREFERRED, mask,
		  MAX_NODES + 1, 0))
		return -errno;
	return 0;
}

/* Neither touches the page nor brings it back from swap. */
int page_node(const void *p)
{
	void *page = (void *)p;
	int saved = errno, node = -ENOENT;

	if (!numa_several() || move_pages(0, 1, &page, NULL, &node, 0))
		node = -ENOENT;
	errno = saved;
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

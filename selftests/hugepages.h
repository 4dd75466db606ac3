/* SPDX-License-Identifier: MIT */
/*
 * Hugetlb pages for a test. They belong to the whole system, so who changes
 * their number holds a lock on the file that says it, and puts it back.
 *
 * On a machine with several nodes the test stays on one of them, and all the
 * pages there are are that node's: what is free is then what it can have.
 */
#ifndef SELFTESTS_HUGEPAGES_H
#define SELFTESTS_HUGEPAGES_H

#include <errno.h>
#include <fcntl.h>
#include <linux/mman.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#define HUGE_POOL "/sys/kernel/mm/hugepages/hugepages-2048kB/"
#define HUGE_NODE "/sys/devices/system/node/node%d/"
#define HUGE_NODE_POOL HUGE_NODE "hugepages/hugepages-2048kB/"
#define HUGE_NODES 64

static int huge_lock = -1;
static long huge_before;
static int huge_node = -1;	/* of several nodes, the one to stay on */
static long huge_before_on[HUGE_NODES];

static inline long huge_read(const char *path)
{
	FILE *f = fopen(path, "r");
	long n = -1;

	if (!f)
		return -1;
	if (fscanf(f, "%ld", &n) != 1)
		n = -1;
	fclose(f);
	return n;
}

static inline long huge_figure(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), HUGE_POOL "%s", name);
	return huge_read(path);
}

/* Of one node; -1 where there is no such node, or it has no memory. */
static inline long huge_figure_on(int node, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), HUGE_NODE_POOL "%s", node, name);
	return huge_read(path);
}

/* Of one node, or of all for -1. */
static inline int huge_write_on(int node, long n)
{
	char path[128] = HUGE_POOL "nr_hugepages";
	FILE *f;

	if (node >= 0)
		snprintf(path, sizeof(path), HUGE_NODE_POOL "nr_hugepages",
			 node);
	f = fopen(path, "w");
	if (!f)
		return -1;
	fprintf(f, "%ld", n);
	return fclose(f);
}

static inline int huge_write(long n)
{
	return huge_write_on(huge_node, n);
}

/* Keeps the caller on the CPUs of @node; false when it has none. */
static inline bool stay_on(int node)
{
	char path[128];
	cpu_set_t set;

	CPU_ZERO(&set);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		snprintf(path, sizeof(path), HUGE_NODE "cpu%d", node, cpu);
		if (!access(path, F_OK))
			CPU_SET(cpu, &set);
	}
	return !sched_setaffinity(0, sizeof(set), &set);
}

/* Of several nodes with memory, to the first that has CPUs as well. */
static inline void stay_on_one_node(void)
{
	int with_memory = 0;

	for (int n = 0; n < HUGE_NODES; n++)
		with_memory += huge_figure_on(n, "nr_hugepages") >= 0;
	for (int n = 0; with_memory > 1 && n < HUGE_NODES; n++) {
		if (huge_figure_on(n, "nr_hugepages") < 0 || !stay_on(n))
			continue;
		huge_node = n;
		return;
	}
}

/* Surplus pages are there only until who holds them lets go. */
static inline void huge_empty_nodes(void)
{
	for (int n = 0; huge_node >= 0 && n < HUGE_NODES; n++) {
		huge_before_on[n] = huge_figure_on(n, "nr_hugepages");
		if (huge_before_on[n] < 0)
			continue;
		huge_before_on[n] -= huge_figure_on(n, "surplus_hugepages");
		huge_write_on(n, 0);
	}
}

static inline long huge_free(void)
{
	return huge_figure("free_hugepages") - huge_figure("resv_hugepages");
}

/* Bytes that this process has in hugetlb pages; -1 if that cannot be read. */
static inline long huge_mine(void)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[256];
	long kb = -1;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "HugetlbPages: %ld kB", &kb) == 1)
			break;
	if (f)
		fclose(f);
	return kb < 0 ? -1 : kb * 1024;
}

/* Makes exactly @n pages free; what others hold stays. 0 or -1. */
static inline int huge_set_free(long n)
{
	long held = huge_figure("nr_hugepages") - huge_free();

	if (huge_write(held + n))
		return -1;
	return huge_free() == n ? 0 : -1;
}

static inline void huge_end(void)
{
	if (huge_lock < 0)
		return;
	if (huge_node < 0)
		huge_write(huge_before);
	for (int n = 0; huge_node >= 0 && n < HUGE_NODES; n++)
		if (huge_before_on[n] >= 0)
			huge_write_on(n, huge_before_on[n]);
	close(huge_lock);
	huge_lock = -1;
}

/* qemu-user gives a mapping whatever address it likes, aligned or not. */
static inline bool huge_can_map(void)
{
	size_t bytes = 2 << 20;
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB |
		       MAP_HUGE_2MB, -1, 0);

	return p != MAP_FAILED && !munmap(p, bytes);
}

/* NULL, or why there can be none: then the test is to be skipped. */
static inline const char *huge_begin(void)
{
	if (access(HUGE_POOL "nr_hugepages", W_OK))
		return "no permission to reserve 2 MiB hugetlb pages";
	if (huge_figure("nr_overcommit_hugepages") > 0)
		return "the hugetlb pool may overcommit";
	huge_lock = open(HUGE_POOL "nr_hugepages", O_RDONLY | O_CLOEXEC);
	if (huge_lock < 0 || flock(huge_lock, LOCK_EX))
		return "the hugetlb pool cannot be locked";
	huge_before = huge_figure("nr_hugepages") -
		huge_figure("surplus_hugepages");
	stay_on_one_node();
	huge_empty_nodes();
	if (huge_set_free(16)) {
		huge_end();
		return "the system has no 16 free hugetlb pages";
	}
	if (!huge_can_map()) {
		huge_end();
		return "the system does not map its hugetlb pages";
	}
	return NULL;
}

#endif /* SELFTESTS_HUGEPAGES_H */

// SPDX-License-Identifier: MIT
#include "nodes.h"

#include <errno.h>
#include <fcntl.h>
#include <numa.h>
#include <numaif.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int nodes_possible(void)
{
	return numa_max_node() + 1;
}

bool node_with_memory(int node)
{
	return numa_node_size64(node, NULL) > 0;
}

bool node_with_cpus(int node)
{
	struct bitmask *cpus = numa_allocate_cpumask();
	bool some;

	some = !numa_node_to_cpus(node, cpus) && numa_bitmask_weight(cpus);
	numa_bitmask_free(cpus);
	return some;
}

/* Found once: sysfs is slow, and a node whose CPUs went is meant as well. */
static int full[MAX_TEST_NODES];
static int nr_full;

static void find_full_nodes(void)
{
	for (int n = 0; n < nodes_possible(); n++)
		if (node_with_memory(n) && node_with_cpus(n))
			full[nr_full++] = n;
}

int full_nodes(void)
{
	if (!nr_full)
		find_full_nodes();
	return nr_full;
}

int full_node(int i)
{
	if (i >= full_nodes())
		ck_abort_msg("there are only %d such nodes", full_nodes());
	return full[i];
}

void run_on(int node)
{
	ck_assert_int_eq(numa_run_on_node(node), 0);
}

static void online_path(char *path, size_t size, int cpu)
{
	snprintf(path, size, "/sys/devices/system/cpu/cpu%d/online", cpu);
}

int cpu_that_can_go(void)
{
	char path[64];

	for (int cpu = 1; cpu < numa_num_configured_cpus(); cpu++) {
		online_path(path, sizeof(path), cpu);
		if (!access(path, W_OK))
			return cpu;
	}
	return -1;
}

void cpu_online(int cpu, bool online)
{
	char path[64];
	int fd;

	online_path(path, sizeof(path), cpu);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, online ? "1" : "0", 1) != 1)
		ck_abort_msg("%s cannot be written: %s", path,
			     strerror(errno));
	close(fd);
}

void pages_where(void *const *pages, int *node, size_t n)
{
	enum { A_CALL = 1024 };

	for (size_t i = 0; i < n; i += A_CALL) {
		size_t nr = n - i < A_CALL ? n - i : A_CALL;

		if (move_pages(0, nr, (void **)pages + i, NULL, node + i, 0))
			ck_abort_msg("move_pages: %s", strerror(errno));
	}
}

int page_where(const void *page)
{
	void *one = (void *)page;
	int node;

	pages_where(&one, &node, 1);
	return node;
}

static void pool_path(char *path, size_t size, int node, const char *name)
{
	snprintf(path, size, "/sys/devices/system/node/node%d/hugepages/"
		 "hugepages-2048kB/%s", node, name);
}

static long pool_figure(int node, const char *name)
{
	char path[128];
	long n = -1;
	FILE *f;

	pool_path(path, sizeof(path), node, name);
	f = fopen(path, "r");
	if (!f || fscanf(f, "%ld", &n) != 1)
		ck_abort_msg("%s cannot be read", path);
	fclose(f);
	return n;
}

static void pool_set(int node, long pages)
{
	char path[128];
	FILE *f;

	pool_path(path, sizeof(path), node, "nr_hugepages");
	f = fopen(path, "w");
	if (!f || fprintf(f, "%ld", pages) < 0 || fclose(f))
		ck_abort_msg("%s cannot be written", path);
	ck_assert_int_eq(pool_figure(node, "nr_hugepages"), pages);
}

long pool_free(int node)
{
	return pool_figure(node, "free_hugepages");
}

/* What ran before may have left no huge page whole. */
static void make_huge_pages_whole(void)
{
	FILE *f = fopen("/proc/sys/vm/compact_memory", "w");

	if (!f || fputs("1", f) < 0 || fclose(f))
		ck_abort_msg("memory cannot be compacted");
}

static long before[MAX_TEST_NODES];
static int nr_before;

void pools_set(const long *pages, int nr)
{
	make_huge_pages_whole();
	for (nr_before = 0; nr_before < nr; nr_before++) {
		before[nr_before] = pool_figure(full_node(nr_before),
						"nr_hugepages");
		pool_set(full_node(nr_before), pages[nr_before]);
	}
}

void pools_put_back(void)
{
	while (nr_before) {
		nr_before--;
		pool_set(full_node(nr_before), before[nr_before]);
	}
}

void need_full_nodes(int wanted)
{
	if (numa_available() < 0 || full_nodes() < wanted) {
		printf("fewer than %d nodes with CPUs and memory\n", wanted);
		exit(77);
	}
}

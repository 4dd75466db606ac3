/* SPDX-License-Identifier: MIT */
/*
 * What the tests of a guest's nodes share: where threads run, where pages are,
 * and what each node's pool of hugetlb pages holds.
 */
#ifndef SELFTESTS_NUMA_NODES_H
#define SELFTESTS_NUMA_NODES_H

#include "../helpers.h"

#include <stdbool.h>
#include <stddef.h>

#define MAX_TEST_NODES 64

/* Nodes that can be, and of these the ones with memory and with CPUs. */
int nodes_possible(void);
bool node_with_memory(int node);
bool node_with_cpus(int node);
/* How many have both, and the i-th of them, counted from 0. */
int full_nodes(void);
int full_node(int i);

/* Moves the calling thread to the CPUs of a node. */
void run_on(int node);

/* A CPU that can be taken away, or -1; the first one often cannot. */
int cpu_that_can_go(void);
/* It goes or comes back; the test fails where it does not. No stdio. */
void cpu_online(int cpu, bool online);

/* The nodes that move_pages() says @n pages are on; each must be there. */
void pages_where(void *const *pages, int *node, size_t n);
int page_where(const void *page);

/*
 * Pools of 2 MiB pages. The i-th full node gets pages[i]; put_back() gives each
 * what it had before. The test fails where that is not possible.
 */
void pools_set(const long *pages, int nr);
void pools_put_back(void);
long pool_free(int node);

/* A program that needs so many nodes with both ends here, with 77, without. */
void need_full_nodes(int wanted);

#endif /* SELFTESTS_NUMA_NODES_H */

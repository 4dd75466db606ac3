/* SPDX-License-Identifier: MIT */
/*
 * slabbench-dpdk.so as slabbench sees it. A shared object of its own, which
 * only a process that measures DPDK loads: the constructors and threads of
 * DPDK would otherwise be in each of them.
 */
#ifndef SLABBENCH_DPDK_H
#define SLABBENCH_DPDK_H

#include <stdbool.h>
#include <stddef.h>

#define DPDK_PLUGIN	"slabbench-dpdk.so"
/* In the environment: "hugetlb" if it is to have such pages. */
#define DPDK_PAGES	"SLABBENCH_DPDK_PAGES"
#define DPDK_MISSING	"Debian package libdpdk-dev, then build again"

/**
 * struct dpdk - what the shared object exports, as "slabbench_dpdk"
 * @start: before all others, once, with hugetlb pages as far as there are any,
 *	or so many megabytes of others; NULL, or what went wrong
 * @get: rte_malloc()
 * @put: rte_free()
 * @resize: rte_realloc()
 * @usable: bytes of an object that may be written
 * @pool_create: the one mempool, for so many objects of a size that so many
 *	threads share; NULL, or what went wrong
 * @pool_enter: gives the calling thread a cache in it; NULL, or what went wrong
 * @pool_get: an object of it, or NULL
 * @pool_put: gives one back
 */
struct dpdk {
	const char *(*start)(size_t megabytes, bool huge);
	void *(*get)(size_t size);
	void (*put)(void *p);
	void *(*resize)(void *p, size_t size);
	size_t (*usable)(void *p);
	const char *(*pool_create)(size_t size, size_t count,
				   unsigned int threads);
	const char *(*pool_enter)(void);
	void *(*pool_get)(void);
	void (*pool_put)(void *p);
};

/* dpdk.c: of the row, all NULL for another allocator. */
extern struct dpdk dpdk;

#endif /* SLABBENCH_DPDK_H */

// SPDX-License-Identifier: MIT
/*
 * DPDK's allocators: found next to slabbench, and started in the process that
 * measures them.
 */
#include <dlfcn.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "alloc.h"

/* What EAL takes for itself, and caches. */
#define ROOM_BASE	((uint64_t)256 << 20)
/* A header of a cache line, and sizes rounded up to one. */
#define ROOM_OBJECT	512

struct dpdk dpdk;

bool dpdk_needed(enum allocator allocator)
{
	return allocator == ALLOC_DPDK || allocator == ALLOC_DPDK_MEMPOOL;
}

bool dpdk_built(void)
{
	char path[PATH_MAX];

	return path_from_self(path, sizeof(path), DPDK_PLUGIN) &&
	       !access(path, R_OK);
}

/*
 * Of pages that are not huge EAL takes all beforehand. What is not used stays
 * address space, but for 48 bytes that describe each page.
 */
static uint64_t room(const struct row *row)
{
	const struct workload *wl = workload_get(row->workload);
	uint64_t objects = wl->live ? wl->live(row) : row->count;

	return ROOM_BASE + row_bytes(row) * 3 / 2 +
		objects * row->threads * ROOM_OBJECT;
}

static const char *load(void)
{
	char path[PATH_MAX];
	const struct dpdk *exported;
	void *so;

	if (!path_from_self(path, sizeof(path), DPDK_PLUGIN))
		return "the folder of the program has no name";
	so = dlopen(path, RTLD_NOW);
	exported = so ? dlsym(so, "slabbench_dpdk") : NULL;
	if (!exported)
		return dlerror();
	dpdk = *exported;
	return NULL;
}

/**
 * dpdk_start() - make DPDK ready for a row
 * @row: of ALLOC_DPDK or ALLOC_DPDK_MEMPOOL
 *
 * Return: NULL, or what went wrong.
 */
const char *dpdk_start(const struct row *row)
{
	const char *pages = getenv(DPDK_PAGES), *wrong = load();

	if (!wrong)
		wrong = dpdk.start(room(row) >> 20,
				   pages && !strcmp(pages, "hugetlb"));
	if (!wrong && row->allocator == ALLOC_DPDK_MEMPOOL)
		wrong = dpdk.pool_create(TYPED_BYTES, row->count,
					 row->threads);
	return wrong;
}

// SPDX-License-Identifier: MIT
/*
 * slabbench-dpdk.so: rte_malloc and rte_mempool, for slabbench to load. The
 * only file that is compiled and linked with libdpdk.
 */
#include <errno.h>
#include <limits.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_malloc.h>
#include <rte_mempool.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include "dpdk.h"

#define MAX_ARGS	12

static struct rte_mempool *pool;

/*
 * The calling thread becomes lcore 0, and the only one that is started. EAL
 * would leave it pinned, which is for the row to say.
 */
static int init_eal(int argc, char **argv)
{
	cpu_set_t before;
	int ret;

	if (sched_getaffinity(0, sizeof(before), &before)) {
		rte_errno = errno;
		return -1;
	}
	ret = rte_eal_init(argc, argv);
	if (ret >= 0 && sched_setaffinity(0, sizeof(before), &before)) {
		rte_errno = errno;
		return -1;
	}
	return ret;
}

/* EAL refuses --in-memory with --no-huge; --no-shconf leaves no files either. */
static const char *start(size_t megabytes, bool huge)
{
	static char line[256], *argv[MAX_ARGS];
	int argc = 0, cpu = sched_getcpu();
	char memory[64] = "--in-memory", *rest = line;

	if (cpu < 0)
		return "cannot tell on which CPU this is";
	if (!huge)
		snprintf(memory, sizeof(memory),
			 "--no-huge --no-shconf -m %zu", megabytes);
	snprintf(line, sizeof(line),
		 "slabbench --no-pci --no-telemetry --log-level=error --iova-mode=va --lcores=0@%d %s",
		 cpu, memory);
	while (rest && argc < MAX_ARGS - 1)
		argv[argc++] = strsep(&rest, " ");
	return init_eal(argc, argv) < 0 ? rte_strerror(rte_errno) : NULL;
}

static void *get(size_t size)
{
	return rte_malloc(NULL, size, 0);
}

static void put(void *p)
{
	rte_free(p);
}

static void *resize(void *p, size_t size)
{
	return rte_realloc(p, size, 0);
}

static size_t usable(void *p)
{
	size_t size;

	return rte_malloc_validate(p, &size) ? 0 : size;
}

/* A full cache holds half as many again as it is made for. */
static const char *pool_create(size_t size, size_t count, unsigned int threads)
{
	size_t n = threads * (count + 2 * RTE_MEMPOOL_CACHE_MAX_SIZE);

	if (n > UINT_MAX || size > UINT_MAX)
		return rte_strerror(E2BIG);
	pool = rte_mempool_create("slabbench", n, size,
				  RTE_MEMPOOL_CACHE_MAX_SIZE, 0, NULL, NULL,
				  NULL, NULL, SOCKET_ID_ANY, 0);
	return pool ? NULL : rte_strerror(rte_errno);
}

static const char *pool_enter(void)
{
	if (rte_lcore_id() != LCORE_ID_ANY || !rte_thread_register())
		return NULL;
	return rte_strerror(rte_errno);
}

static void *pool_get(void)
{
	void *p;

	return rte_mempool_get(pool, &p) ? NULL : p;
}

static void pool_put(void *p)
{
	rte_mempool_put(pool, p);
}

extern const struct dpdk slabbench_dpdk;
const struct dpdk slabbench_dpdk = {
	.start = start,
	.get = get,
	.put = put,
	.resize = resize,
	.usable = usable,
	.pool_create = pool_create,
	.pool_enter = pool_enter,
	.pool_get = pool_get,
	.pool_put = pool_put,
};

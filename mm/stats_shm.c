// SPDX-License-Identifier: MIT
/*
 * Statistics for others to read while the process runs: RN_STATS_SHM.
 *
 * What is published is not the figures but where they are, and so nothing has
 * to be kept up to date. A reader that the kernel allows to takes them from the
 * memory of the process (tools/slabinfo/usage.c), as rn_slabinfo() and
 * rn_vmstat() do: caches, their nodes, sheaves, descriptors and zones are never
 * unmapped. The mapping's name shows where the page is; it goes with the
 * process, and a child of fork() has all at the same addresses. See
 * Documentation/admin-guide/slabinfo.rst.
 */
#define _GNU_SOURCE
#include "fork.h"
#include "pressure.h"
#include "slab.h"
#include "syscalls.h"
#include "vm_calls.h"
#include "zone.h"

#include <rn/pages.h>
#include <rn/vmstat.h>
#include <sys/resource.h>

#define FIELD(type, member) {						\
	.at = offsetof(type, member),					\
	.bytes = sizeof(((type *)0)->member),				\
}

/* Of a zone what is read, and not the lists behind it. */
#define ZONE_BYTES \
	(offsetof(struct zone, nr_up) + sizeof(((struct zone *)0)->nr_up))

static const struct stats_page layout = {
	.magic = STATS_MAGIC,
	.version = STATS_VERSION,
	.slot_shift = SLOT_SHIFT,
	.slots_shift = SLOTS_SHIFT,
	.sheaf_count_bits = SHEAF_COUNT_BITS,
	.zone_stride = sizeof(struct zone),
	.runs_stride = sizeof(struct numa_runs),
	.bytes = {
		[STATS_CACHE] = sizeof(struct rn_cache),
		[STATS_NODE] = sizeof(struct cache_node),
		[STATS_SLOT] = sizeof(struct slot),
		[STATS_SHEAF] = sizeof(struct sheaf),
		[STATS_SLAB] = 2 * sizeof(struct page),
		[STATS_ZONE] = ZONE_BYTES,
		[STATS_RUNS] = sizeof(struct numa_runs),
	},
	.field = {
		[CACHE_NEXT] = FIELD(struct rn_cache, next),
		[CACHE_NODE] = FIELD(struct rn_cache, node),
		[CACHE_NAME] = FIELD(struct rn_cache, name),
		[CACHE_REFCOUNT] = FIELD(struct rn_cache, refcount),
		[CACHE_ROW] = FIELD(struct rn_cache, row),
		[CACHE_SIZE] = FIELD(struct rn_cache, size),
		[CACHE_OBJECTS] = FIELD(struct rn_cache, objects),
		[CACHE_PAGES] = FIELD(struct rn_cache, pages),
		[NODE_SLABS] = FIELD(struct cache_node, nr_slabs),
		[NODE_FREE] = FIELD(struct cache_node, nr_free),
		[NODE_BARN_OBJECTS] = FIELD(struct cache_node, barn.objects),
		[NODE_BARN_ALLOCS] = FIELD(struct cache_node, barn.allocs),
		[NODE_BARN_FREES] = FIELD(struct cache_node, barn.frees),
		[NODE_ALLOC_SLOW] = FIELD(struct cache_node, barn.alloc_slow),
		[NODE_FREE_SLOW] = FIELD(struct cache_node, barn.free_slow),
		[NODE_MISS] = FIELD(struct cache_node, miss),
		[NODE_FOREIGN] = FIELD(struct cache_node, foreign),
		[NODE_INTERLEAVE] = FIELD(struct cache_node, interleave),
		[NODE_OTHER] = FIELD(struct cache_node, other),
		[SLOT_MAIN] = FIELD(struct slot, sheaf[0]),
		[SLOT_SPARE] = FIELD(struct slot, sheaf[1]),
		[SLOT_ACTIVE] = FIELD(struct slot, active),
		[SHEAF_WORD] = FIELD(struct sheaf, word),
		[SHEAF_HELD] = FIELD(struct sheaf, held),
		[SHEAF_TAG] = FIELD(struct sheaf, next),
		[SLAB_PRIVATE] = FIELD(struct page, nr_private),
		[SLAB_FRESH] = FIELD(struct page, fresh),
		[SLAB_HOLLOW] = {	/* slab_hollow() */
			.at = sizeof(struct page) +
			      offsetof(struct page, nr_hollow),
			.bytes = sizeof(((struct page *)0)->nr_hollow),
		},
		[ZONE_HUGETLB] = FIELD(struct zone, nr_up[BACKING_HUGETLB]),
		[ZONE_THP] = FIELD(struct zone, nr_up[BACKING_THP]),
		[ZONE_SMALL] = FIELD(struct zone, nr_up[BACKING_SMALL]),
		[RUNS_ALLOCS] = FIELD(struct numa_runs, allocs),
		[RUNS_MISS] = FIELD(struct numa_runs, miss),
		[RUNS_FOREIGN] = FIELD(struct numa_runs, foreign),
		[RUNS_INTERLEAVE] = FIELD(struct numa_runs, interleave),
		[RUNS_OTHER] = FIELD(struct numa_runs, other),
	},
};
static_assert(STATS_TAG_OTHER == NUMA_OTHER &&
	      STATS_TAG_INTERLEAVE == NUMA_INTERLEAVE, "known to readers");
static_assert(sizeof(struct rn_cache) <= STATS_STRUCT_MOST &&
	      sizeof(struct cache_node) <= STATS_STRUCT_MOST &&
	      ZONE_BYTES <= STATS_STRUCT_MOST &&
	      sizeof(layout) <= PAGE_BYTES, "known to readers");

/* A file that may not be so long ends the process by SIGXFSZ. */
static bool may_write(size_t bytes)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_FSIZE, &limit) || limit.rlim_cur >= bytes;
}

/* The mapping outlives the descriptor. 0 or -errno. */
static int map_page(const struct stats_page *page)
{
	void *p = MAP_FAILED;
	int fd, ret = 0;

	if (!may_write(sizeof(*page)))
		return -EFBIG;
	fd = memfd_create(STATS_NAME, MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	errno = EIO;
	if (sys_write(fd, page, sizeof(*page)) == sizeof(*page))
		p = vm_map(NULL, sizeof(*page), PROT_READ, MAP_SHARED, fd);
	if (p == MAP_FAILED)
		ret = -errno;
	sys_close(fd);
	return ret;
}

static u32 published;

bool stats_are_published(void)
{
	return __atomic_load_n(&published, __ATOMIC_SEQ_CST);
}

static int publish(void)
{
	struct stats_page page = layout;
	int ret;

	page.caches = (uintptr_t)&slab_caches;
	page.slots = (uintptr_t)slot_of(0, 0);
	page.zones = (uintptr_t)zones;
	page.runs = (uintptr_t)numa_runs_on(0);
	page.shrink = (uintptr_t)&shrink_request;
	page.nr_cpus = percpu_indices();
	page.nr_nodes = nr_node_ids();
	page.row_node_shift = row_node_shift;
	ret = map_page(&page);
	if (ret)
		return ret;
	/* Pairs with kswapd_wait(): seen there, or the thread is woken. */
	__atomic_store_n(&published, 1, __ATOMIC_SEQ_CST);
	kswapd_wake();
	return 0;
}

/**
 * rn_stats_publish() - let "slabinfo -p" read the statistics
 *
 * As RN_STATS_SHM=1 does from the start. Costs a page of memory and no time
 * afterwards. Who may read is the kernel's choice: in general the owner of the
 * process and root. Who may write there, too, can ask it to shrink
 * ("slabinfo -s"). Once is enough; a child of fork() inherits it.
 *
 * Context: MT-safe, takes a lock. Sleeps.
 * Return: 0, also when they were published before; -ENOMEM where the library
 * cannot start; or -errno of what made no mapping of a memfd.
 */
RN_API int rn_stats_publish(void)
{
	static struct lock publishing;
	unsigned int ticket;
	int saved = errno, ret = 0;

	mm_init();
	if (mm_init_error())
		return -ENOMEM;
	ticket = gate_enter();
	lock(&publishing);
	if (!published)
		ret = publish();
	unlock(&publishing);
	gate_exit(ticket);
	errno = saved;
	return ret;
}

void stats_init(void)
{
	int ret;

	if (!options.stats_shm)
		return;
	ret = rn_stats_publish();
	if (ret)
		report("RN_STATS_SHM: %s", error_text(-ret));
}

/* --- asked for from outside --- */

/* Read by slow paths of all CPUs: not beside what these write. */
struct stats_shrink shrink_request __aligned(64);

static bool is_later(u32 a, u32 b)
{
	return (int32_t)(a - b) > 0;
}

/* Who begins with a request is alone with it; a later one need not wait. */
void shrink_answer(void)
{
	struct stats_shrink *r = &shrink_request;
	u32 begun = READ_ONCE(r->begun), nr = READ_ONCE(r->asked), done;

	if (!is_later(nr, begun) ||
	    !__atomic_compare_exchange_n(&r->begun, &begun, nr, false,
					 __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		return;
	rn_shrink_all();
	done = READ_ONCE(r->done);
	while (is_later(nr, done) &&
	       !__atomic_compare_exchange_n(&r->done, &done, nr, false,
					    __ATOMIC_RELEASE,
					    __ATOMIC_RELAXED))
		;
}

/* What the parent was asked for is not the child's to do. */
void stats_after_fork(void)
{
	shrink_request.begun = shrink_request.asked;
}

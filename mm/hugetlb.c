// SPDX-License-Identifier: MIT
/*
 * Hugetlb pages: which sizes there are (libhugetlbfs), what their pools hold
 * (sysfs), and mapping them. Always anonymous, private and with the size by
 * name, since the default pool may be one of 1 GiB pages.
 *
 * The table of pools is written once, at the start or, where hugetlb is not on
 * the ladder, when somebody asks.
 */
#define _GNU_SOURCE
#include "internal.h"
#include "vm_calls.h"
#include "zone.h"

#include <hugetlbfs.h>
#include <stdio.h>
#include <stdlib.h>

#ifndef MAP_HUGE_SHIFT
#define MAP_HUGE_SHIFT 26
#endif

struct hugetlb_pool hugetlb_pools[MAX_HUGE_SIZES];
unsigned int nr_hugetlb_pools;

static unsigned int default_shift;
static struct lock read_lock;	/* a leaf, held once */
static bool are_read;

static struct hugetlb_pool *find_pool(unsigned int shift)
{
	for (unsigned int i = 0; i < nr_hugetlb_pools; i++)
		if (hugetlb_pools[i].shift == shift)
			return &hugetlb_pools[i];
	return NULL;
}

static void choose_size(void)
{
	unsigned int wanted = options.huge_shift;

	if (find_pool(wanted)) {
		default_shift = wanted;
		return;
	}
	/* Some other size by default would not be what anybody set up. */
	if (wanted != PAGEBLOCK_SHIFT)
		report("RN_HUGEPAGESIZE: the system has no hugetlb pages of "
		       "%lu KiB; hugetlb is not used", 1UL << (wanted - 10));
}

static void read_pools(void)
{
	long sizes[MAX_HUGE_SIZES];
	int n = gethugepagesizes(sizes, MAX_HUGE_SIZES);

	for (int i = 0; i < n; i++) {
		struct hugetlb_pool *pool = &hugetlb_pools[nr_hugetlb_pools];

		if (sizes[i] <= 0 || !is_power_of_2((unsigned long)sizes[i]))
			continue;
		pool->shift = ilog2(sizes[i]);
		nr_hugetlb_pools++;
	}
}

void hugetlb_init(void)
{
	if (smp_load_acquire(&are_read))
		return;
	lock(&read_lock);
	if (!are_read) {
		read_pools();
		choose_size();
		smp_store_release(&are_read, true);
	}
	unlock(&read_lock);
}

struct hugetlb_pool *hugetlb_pool(unsigned int shift)
{
	hugetlb_init();
	return find_pool(shift);
}

unsigned int hugetlb_default_shift(void)
{
	hugetlb_init();
	return default_shift;
}

static u64 pool_figure(unsigned int shift, int node, const char *name)
{
	char path[128], buf[32];

	if (node < 0)
		snprintf(path, sizeof(path),
			 "/sys/kernel/mm/hugepages/hugepages-%lukB/%s",
			 1UL << (shift - 10), name);
	else
		snprintf(path, sizeof(path), "/sys/devices/system/node/node%d"
			 "/hugepages/hugepages-%lukB/%s", node,
			 1UL << (shift - 10), name);
	if (!read_small_file(path, buf, sizeof(buf)))
		return 0;
	return strtoull(buf, NULL, 10);
}

u64 hugetlb_unclaimed(unsigned int shift)
{
	u64 pages = pool_figure(shift, -1, "free_hugepages");
	u64 promised = pool_figure(shift, -1, "resv_hugepages");

	return pages > promised ? pages - promised : 0;
}

/* Somewhere outside of the reservation, and not populated yet. */
enum step hugetlb_map(size_t bytes, unsigned int shift, void **p)
{
	struct hugetlb_pool *pool = hugetlb_pool(shift);
	u64 kept;

	if (!pool)
		return STEP_UNSUPPORTED;
	kept = READ_ONCE(pool->fork_kept);
	if (kept && hugetlb_unclaimed(shift) < kept + (bytes >> shift))
		return STEP_FORK;
	*p = vm_map(NULL, bytes, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB |
		    (int)(shift << MAP_HUGE_SHIFT), -1);
	if (*p != MAP_FAILED)
		return STEP_OK;
	return errno == ENOMEM ? STEP_POOL_EMPTY : STEP_UNSUPPORTED;
}

static void pool_lines(struct seq *s, const struct hugetlb_pool *pool)
{
	unsigned long kb = 1UL << (pool->shift - 10);

	seq_printf(s, "hugetlb_%lukB_pool_pages %llu\n", kb, (unsigned long long)
		   pool_figure(pool->shift, -1, "nr_hugepages"));
	seq_printf(s, "hugetlb_%lukB_pool_free %llu\n", kb, (unsigned long long)
		   pool_figure(pool->shift, -1, "free_hugepages"));
	seq_printf(s, "hugetlb_%lukB_pool_promised %llu\n", kb,
		   (unsigned long long)
		   pool_figure(pool->shift, -1, "resv_hugepages"));
	for (int n = 0; n < nr_node_ids(); n++)
		if (node_has_memory(n))
			seq_printf(s, "hugetlb_%lukB_node%d_free %llu\n", kb, n,
				   (unsigned long long)pool_figure(pool->shift,
					n, "free_hugepages"));
	seq_printf(s, "hugetlb_%lukB_mounted %d\n", kb,
		   !!hugetlbfs_find_path_for_size(1L << pool->shift));
	seq_printf(s, "hugetlb_%lukB_kept_for_fork %llu\n", kb,
		   (unsigned long long)READ_ONCE(pool->fork_kept));
}

void vmstat_hugetlb(struct seq *s)
{
	hugetlb_init();
	seq_printf(s, "hugetlb_page_kb %lu\n",
		   default_shift ? 1UL << (default_shift - 10) : 0);
	for (unsigned int i = 0; i < nr_hugetlb_pools; i++)
		pool_lines(s, &hugetlb_pools[i]);
}

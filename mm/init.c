// SPDX-License-Identifier: MIT
/*
 * Initialisation, at the first call of the library and not before: a program
 * that links it and allocates nothing pays nothing. Only RN_RESERVE, which is
 * a wish to own memory from the start, is looked for in a constructor, and the
 * handlers of fork() are registered in one (mm/fork.c).
 */
#define _GNU_SOURCE
#include "debug/kfence.h"
#include "debug/profile.h"
#include "debug/fault_inject.h"
#include "debug/sanitizer.h"
#include "slab_hooks.h"
#include "syscalls.h"
#include "zone.h"

#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>

#include <rn/vmstat.h>

static struct lock init_lock;
static u32 init_stage;		/* 1: somebody has begun, 2: it is over */
bool mm_initialised;
static int init_error;

/*
 * Where scripts/gdb begins, one for each copy of the library in a process. What
 * is here cannot be had from debugging information otherwise: that knows no
 * macros, and a program may have globals of the same names.
 */
static const struct {
	const bool *initialised;
	const struct mem *mem;
	struct rn_cache **slab_caches;
	struct rn_cache ***cache_of_row;
	const unsigned int *row_node_shift;
	struct zone **zones;
	char **sheaf_base;
	const u64 *rseq_aborts;
	u32 page_shift, pageblock_order, row_shift;
	u32 slot_shift, slots_shift;
	u32 sheaf_unit, sheaf_count_bits;
	u32 no_object;
	u32 numa_other, numa_interleave;
} rn_gdb_roots __attribute__((used)) = {
	.initialised = &mm_initialised,
	.mem = &mem,
	.slab_caches = &slab_caches,
	.cache_of_row = &cache_of_row,
	.row_node_shift = &row_node_shift,
	.zones = &zones,
	.sheaf_base = &sheaf_base,
	.rseq_aborts = &rseq_aborts,
	.page_shift = PAGE_SHIFT,
	.pageblock_order = PAGEBLOCK_ORDER,
	.row_shift = ROW_SHIFT,
	.slot_shift = SLOT_SHIFT,
	.slots_shift = SLOTS_SHIFT,
	.sheaf_unit = SHEAF_UNIT,
	.sheaf_count_bits = SHEAF_COUNT_BITS,
	.no_object = NO_OBJECT,
	.numa_other = NUMA_OTHER,
	.numa_interleave = NUMA_INTERLEAVE,
};

static int init_floors(void)
{
	int ret = fork_init();

	if (!ret)
		ret = mempolicy_init();
	if (!ret)
		ret = sparse_init();
	if (!ret)
		ret = page_alloc_init();
	if (!ret)
		ret = percpu_init();
	if (!ret)
		ret = slab_init();
	kmalloc_init();
	vmscan_init();
	kswapd_init();
	if (!ret)
		ret = sanitizer_start();
	return ret;
}

/* RN_RESERVE is a condition of the program's: without it, it does not run. */
static void reserve_at_start(void)
{
	unsigned int flags = options.huge_shift != PAGEBLOCK_SHIFT ?
			     RN_RESERVE_SHIFT(options.huge_shift) : 0;
	int ret;

	if (!options.reserve)
		return;
	ret = rn_reserve(options.reserve, RN_NO_NODE, flags);
	if (ret)
		bug("RN_RESERVE: %zu bytes cannot be had: %s",
		    options.reserve, error_text(-ret));
}

/*
 * Who comes while somebody is at it is woken with all others: of a thousand
 * that wait for the lock each has to run before the next. But nobody may be at
 * it any more, in a child: then the lock knows what to do.
 */
static void wait_for_first(void)
{
	const struct timespec nap = { .tv_nsec = 10 * 1000000 };
	int saved = errno;
	u32 none = 0;

	if (!__atomic_compare_exchange_n(&init_stage, &none, 1, false,
					 __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		syscall(SYS_futex, &init_stage, FUTEX_WAIT_PRIVATE, 1, &nap);
	errno = saved;
}

static void wake_others(void)
{
	WRITE_ONCE(init_stage, 2);
	syscall(SYS_futex, &init_stage, FUTEX_WAKE_PRIVATE, INT32_MAX);
}

/* Inside the gate: who forks meanwhile does not leave the child half of it. */
void mm_init_slow(void)
{
	unsigned int ticket;
	bool first;

	wait_for_first();
	if (smp_load_acquire(&mm_initialised))
		return;
	ticket = gate_enter();
	lock(&init_lock);
	first = !mm_initialised;
	if (first) {
		options_read();
		sanitizer_init();
		slab_debug_init();
		fault_inject_init();
		init_error = init_floors();
		if (init_error)
			report("cannot start: %s", error_text(-init_error));
		else
			slab_hooks_init();
		if (!init_error)
			kfence_init();
		smp_store_release(&mm_initialised, true);
		wake_others();
	}
	unlock(&init_lock);
	gate_exit(ticket);
	if (first && !init_error) {
		/* What is registered first comes last at exit. */
		leaks_init();
		slabinfo_init();
		profile_init();
		stats_init();
		fault_check_init();
		reserve_at_start();
	}
}

int mm_init_error(void)
{
	return -init_error;
}

static __attribute__((constructor)) void reserve_constructor(void)
{
	if (secure_getenv("RN_RESERVE"))
		mm_init();
}

/**
 * rn_version() - the version of the library
 *
 * Context: any.
 * Return: for instance "0.1.0".
 */
RN_API const char *rn_version(void)
{
	return RN_VERSION;
}

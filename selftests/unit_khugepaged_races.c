// SPDX-License-Identifier: MIT
/*
 * What others do while base pages become a huge page: pages go, blocks go, the
 * process forks. Each test is a process of its own.
 */
#define _GNU_SOURCE
#include "given.h"
#include "khugepaged.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static int wanted_advice;
static void (*beside)(void);	/* to be done when that was told, once */

/* In place of the C library's. */
int madvise(void *p, size_t bytes, int advice)
{
	int ret = syscall(SYS_madvise, p, bytes, advice);
	void (*now)(void) = beside;

	if (!now || advice != wanted_advice)
		return ret;
	beside = NULL;
	now();
	return ret;
}

static void do_beside(int advice, void (*what)(void))
{
	wanted_advice = advice;
	beside = what;
}

static u64 charged(const struct zone *z)
{
	u64 pages = ((u64)zone_nr_up(z) << PAGEBLOCK_ORDER) -
		zone_nr_released(z);

	return pages << PAGE_SHIFT;
}

/* As of a run that could not be had from its node: all of it is discarded. */
static void release_more(void)
{
	struct zone *z = pfn_zone(part[1]);

	pages_free(part[1], PART / 2);
	ck_assert(pages_discard(part[1], PART / 2));
	lock(&z->lock);
	block_set_released(z, part[1] >> PAGEBLOCK_ORDER,
			   part[1] % PAGEBLOCK_PAGES, PART / 2);
	unlock(&z->lock);
}

/* What was released meanwhile is no part of a huge page, and is not charged. */
START_TEST(more_is_released_meanwhile)
{
	struct zone *z;

	NEED_COLLAPSE();
	z = dense_blocks(true);
	pages_free(part[0], PART / 2);
	ck_assert_uint_eq(pages_release(0, WHY_TRIM), PART / 2 * PAGE_BYTES);
	khugepaged_scan();
	do_beside(MADV_COLLAPSE, release_more);
	khugepaged_scan();
	ck_assert_ptr_null(beside);
	ck_assert_uint_eq(limit_held(), charged(z));
	ck_assert_uint_eq(mem.blocks[part[0] >> PAGEBLOCK_ORDER].backing,
			  BACKING_SMALL);
	check_zone(z);
}
END_TEST

static u32 released_and_there(u32 pfn, u32 nr)
{
	const struct pageblock *b = &mem.blocks[pfn >> PAGEBLOCK_ORDER];
	u32 n = 0;

	for (u32 i = pfn; i < pfn + nr; i++)
		if (b->released[i % PAGEBLOCK_PAGES / 64] >> i % 64 & 1)
			n += resident(i, 1);
	return n;
}

static void release_all(void)
{
	ck_assert_uint_gt(pages_release(0, WHY_TRIM), 0);
}

/*
 * What goes to the system does not come back by a collapse that begins
 * meanwhile, nor by one that has begun.
 */
START_TEST(what_is_released_meanwhile_has_no_memory)
{
	struct zone *z;

	NEED_COLLAPSE();
	z = dense_blocks(true);
	pages_free(part[0], PART / 2);
	khugepaged_scan();
	if (_i) {
		do_beside(MADV_DONTNEED, khugepaged_scan);
		release_all();
	} else {
		do_beside(MADV_HUGEPAGE, release_all);
		khugepaged_scan();
	}
	ck_assert_ptr_null(beside);
	ck_assert_uint_eq(released_and_there(part[0], PART / 2), 0);
	ck_assert_uint_eq(limit_held(), charged(z));
	check_zone(z);
	pages_release(0, WHY_TRIM);
	ck_assert_uint_eq(resident(part[0], PART / 2), 0);
	ck_assert_uint_eq(zone_nr_released(z), PART / 2);
}
END_TEST

static void free_first(void)
{
	pages_free(part[0], PART);
	release_all();
}

/* Nor by that of the first blocks of a small heap, when they are full. */
START_TEST(an_early_block_drains_meanwhile)
{
	struct zone *z;

	NEED_COLLAPSE();
	start("thp,small");
	z = my_zone();
	options.small_first = PAGEBLOCK_BYTES;
	do_beside(MADV_HUGEPAGE, free_first);
	for (u32 i = 0; i < PARTS; i++) {
		ck_assert_ptr_nonnull(beside);
		part[i] = pages_given(PART);
		memset(pfn_to_ptr(part[i]), 1, PART * PAGE_BYTES);
	}
	ck_assert_ptr_null(beside);
	ck_assert_uint_eq(released_and_there(part[0], PART), 0);
	ck_assert_uint_eq(z->nr_up[BACKING_THP], 0);
	ck_assert_uint_eq(limit_held(), charged(z));
	check_zone(z);
	pages_release(0, WHY_TRIM);
	ck_assert_uint_eq(resident(part[0], PART), 0);
}
END_TEST

static void hollow_goes(void)
{
	khugepaged_scan();
	ck_assert_uint_eq(my_zone()->nr_up[BACKING_THP], BLOCKS - 1);
}

/* Nor do hollow pages. */
START_TEST(a_block_with_hollow_pages_stays_small)
{
	struct iovec hollow;

	NEED_COLLAPSE();
	dense_blocks(true);
	hollow.iov_base = pfn_to_ptr(part[0]);
	hollow.iov_len = PAGE_BYTES;
	khugepaged_scan();
	do_beside(MADV_DONTNEED, hollow_goes);
	ck_assert_uint_eq(pages_make_hollow(&hollow, 1, WHY_TRIM), 1);
	ck_assert_ptr_null(beside);
	ck_assert_uint_eq(resident(part[0], 1), 0);
	check_zone(my_zone());
}
END_TEST

/* --- fork --- */

static bool is_collapsing, is_locked;

static void wait_for_flag(const bool *flag)
{
	while (!READ_ONCE(*flag))
		usleep(100);
}

static void wait_for_lock(void)
{
	WRITE_ONCE(is_collapsing, true);
	wait_for_flag(&is_locked);
}

static void *scan_once(void *arg)
{
	unsigned int ticket = gate_enter();

	khugepaged_scan();
	gate_exit(ticket);
	return arg;
}

static void child_goes_on(struct zone *z, unsigned int ticket)
{
	long scanned;

	unlock(&z->lock);
	gate_exit(ticket);
	scanned = vmstat("khugepaged_scanned");
	khugepaged_scan();
	_exit(vmstat("khugepaged_scanned") == scanned);
}

/* As of a handler that interrupted who has the lock, in the middle of it. */
START_TEST(a_child_goes_on)
{
	unsigned int ticket;
	int status = -1;
	struct zone *z;
	pthread_t t;
	pid_t pid;

	NEED_COLLAPSE();
	z = dense_blocks(true);
	khugepaged_scan();
	do_beside(MADV_COLLAPSE, wait_for_lock);
	ck_assert_int_eq(pthread_create(&t, NULL, scan_once, NULL), 0);
	wait_for_flag(&is_collapsing);
	ticket = gate_enter();
	lock(&z->lock);
	WRITE_ONCE(is_locked, true);
	while (!(READ_ONCE(z->lock.state) & LOCK_WAITERS))
		usleep(100);
	pid = fork();
	if (!pid)
		child_goes_on(z, ticket);
	unlock(&z->lock);
	gate_exit(ticket);
	pthread_join(t, NULL);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}
END_TEST

/* --- while blocks come and go --- */

static bool stop;

static void *churn(void *arg)
{
	enum { RUNS = 24 };
	u32 pfn[RUNS], nr[RUNS] = { 0 };

	seed += (uintptr_t)arg;
	for (int i = 0; i < 4000 / LESS; i++) {
		u32 at = rnd(RUNS);

		if (nr[at]) {
			const u32 *p = pfn_to_ptr(pfn[at]);

			ck_assert_uint_eq(*p, pfn[at]);
			pages_free(pfn[at], nr[at]);
			nr[at] = 0;
			continue;
		}
		nr[at] = rnd(2) ? PAGEBLOCK_PAGES : 1 + rnd(100);
		pfn[at] = pages_given(nr[at]);
		ck_assert_uint_ne(pfn[at], NO_PFN);
		for (u32 k = 0; k < nr[at]; k++)
			*(u32 *)pfn_to_ptr(pfn[at] + k) = pfn[at];
		if (!rnd(100))
			pages_shrink();
	}
	for (int i = 0; i < RUNS; i++)
		if (nr[i])
			pages_free(pfn[i], nr[i]);
	return NULL;
}

static void *scan_on(void *arg)
{
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
		khugepaged_scan();
	return arg;
}

START_TEST(blocks_come_and_go_meanwhile)
{
	pthread_t t[2], scanner;
	struct zone *z;

	NEED_COLLAPSE();
	start("small,thp");
	z = my_zone();
	ck_assert_int_eq(pthread_create(&scanner, NULL, scan_on, NULL), 0);
	for (uintptr_t i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, churn,
						(void *)(i + 1)), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(scanner, NULL);
	check_zone(z);
	ck_assert_int_gt(vmstat("khugepaged_collapsed"), 0);
	pages_shrink();
	ck_assert_uint_eq(check_zone(z).used, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("khugepaged_races");
	TCase *t = tcase(s, "meanwhile");

	tcase_add_test(t, more_is_released_meanwhile);
	tcase_add_loop_test(t, what_is_released_meanwhile_has_no_memory, 0, 2);
	tcase_add_test(t, an_early_block_drains_meanwhile);
	tcase_add_test(t, a_block_with_hollow_pages_stays_small);
	tcase_add_test(t, a_child_goes_on);
	tcase_add_test(t, blocks_come_and_go_meanwhile);
	return suite_main(s);
}

// SPDX-License-Identifier: MIT
/*
 * Execution and storage memory: how much of the total each may have, what it
 * borrows, and what is evicted for it.
 */
#include "helpers.h"
#include "memcg.h"
#include "unified.h"

#include <errno.h>

/* Where ids of entries that fill storage begin. */
#define CACHED		1000000

static const size_t totals[] = {
	64 * KIB, 64 * KIB + 1, MIB, MIB + 12345, 20 * MIB, 33 * MIB + 4095,
};

/* Entries of @bytes, one after the other; some of them may have to go. */
static void fill_storage(size_t bytes, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++)
		entry_cached(CACHED + i, bytes);
}

/* --- storage without an id --- */

static size_t storage_until_declined(size_t bytes)
{
	size_t half = half_of(rn_memcg_get(rn_pools_memcg(RN_POOLS_TOTAL),
					   RN_MEMCG_MAX));
	size_t nr = 0;

	while (rn_storage_alloc(bytes, RN_NOWAIT)) {
		nr++;
		ck_assert_uint_le(storage_usage(), half);
	}
	ck_assert_int_eq(errno, ENOMEM);
	return nr;
}

/* To its half and no byte further, though all of the total is free. */
START_TEST(storage_has_half)
{
	size_t half = half_of(totals[_i]), nr;

	pools_start_up(totals[_i], NULL);
	nr = storage_until_declined(12 * KIB);
	ck_assert_uint_eq(nr, half / (12 * KIB));
	nr = storage_until_declined(4 * KIB);
	ck_assert_uint_eq(nr, half % (12 * KIB) / (4 * KIB));
	ck_assert_uint_eq(storage_usage(), half);
	ck_assert_uint_eq(total_usage(), half);
	storage_declined(4 * KIB, RN_RETRIES(1), ENOMEM);
	/* Its half is not in the way of the other's. */
	rn_exec_free(exec_granted(4 * KIB, RN_NOWAIT));
	ck_assert_int_eq(rn_pools_destroy(), 0);
}
END_TEST

/* Entries make room for it, also below the half. */
START_TEST(storage_before_entries)
{
	const size_t total = MIB, half = half_of(total), entry = 16 * KIB;
	const unsigned int nr = half / entry;
	unsigned int left;

	pools_start(total, NULL);
	exec_granted(total - half, 0);
	fill_storage(entry, nr);
	ck_assert_uint_eq(nr_cached(CACHED, CACHED + nr), nr);
	storage_declined(100 * KIB, RN_NOWAIT, ENOMEM);
	ck_assert_uint_eq(nr_cached(CACHED, CACHED + nr), nr);
	storage_granted(100 * KIB, 0);
	left = nr_cached(CACHED, CACHED + nr);
	ck_assert_uint_eq(left, nr - 7);
	storage_granted(half - 100 * KIB, 0);
	ck_assert_uint_eq(nr_cached(CACHED, CACHED + nr), 0);
	ck_assert_uint_eq(storage_usage(), half);
	ck_assert_uint_le(total_peak(), total);
	ck_assert_int_eq(rn_pools_destroy(), 0);
}
END_TEST

/* --- execution --- */

/* With storage empty it may have all, to the last object that fits. */
START_TEST(execution_has_all)
{
	static const size_t sizes[] = { 64 * KIB, 4 * KIB, 100, 8 };
	size_t total = totals[_i];

	pools_start_up(total, NULL);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		while (rn_exec_alloc(sizes[i], RN_NOWAIT))
			;
		ck_assert_int_eq(errno, ENOMEM);
		ck_assert_uint_lt(total - exec_usage(), exec_size(sizes[i]));
	}
	ck_assert_uint_eq(exec_usage(), total / 8 * 8);
	ck_assert_uint_eq(total_usage(), total / 8 * 8);
	ck_assert_uint_le(total_peak(), total);
	exec_declined(1, RN_RETRIES(1), ENOMEM);
	ck_assert_int_eq(rn_pools_destroy(), 0);
}
END_TEST

/* Of small objects too, by whatever CPU has them in stock. */
START_TEST(to_the_last_word)
{
	const size_t total = 64 * KIB;
	void *last = NULL;
	size_t nr = 0;

	pools_start(total, NULL);
	for (void *p; (p = rn_exec_acquire(nr % 9, 8)); nr++) {
		last = p;
		if (nr + 1 == total / 8)
			break;
	}
	ck_assert_uint_eq(nr + 1, total / 8);
	exec_declined(1, RN_NOWAIT, ENOMEM);
	rn_exec_free(last);
	last = exec_granted(3, RN_NOWAIT);
	ck_assert_uint_eq(total_usage(), total);
	ck_assert_uint_eq(total_peak(), total);
	ck_assert_int_eq(rn_pools_destroy(), 0);
}
END_TEST

/* What execution frees is storage's first, while that is below its half. */
START_TEST(storage_gets_its_half_back)
{
	const size_t total = MIB;
	struct pool_asker work, keep[2];
	void *p[16];

	pools_start(total, PATIENT());
	for (int i = 0; i < 16; i++)
		p[i] = exec_granted(64 * KIB, 0);
	ask_beside(&work, ASK_EXEC, 0, 64 * KIB);
	ask_beside(&keep[0], ASK_ENTRY, 1, 64 * KIB);
	ask_beside(&keep[1], ASK_STORAGE, 0, 64 * KIB);
	for (unsigned int i = 0; i < 3; i++) {
		rn_exec_free(p[i]);
		expect_nr_served(i + 1);
	}
	for (int i = 0; i < 2; i++) {
		expect_served(&keep[i]);
		ck_assert_uint_eq(keep[i].order, i + 1);
	}
	expect_served(&work);
	ck_assert_uint_eq(work.order, 3);
	ck_assert_uint_eq(total_peak(), total);
	ck_assert_int_eq(rn_pools_destroy(), 0);
}
END_TEST

/* --- what is borrowed --- */

/* Entries fill what execution does not use, but for the margin. */
START_TEST(entries_borrow)
{
	const size_t total = totals[_i], entry = total / 64 / RN_PAGE_SIZE ?
		total / 64 / RN_PAGE_SIZE * RN_PAGE_SIZE : RN_PAGE_SIZE;
	size_t work = total / 4, most = total - margin_of(total), usage;

	if (total / 4 > 8 * MIB)
		work = 8 * MIB;
	pools_start(total, NULL);
	for (int round = 0; round < 2; round++) {
		fill_storage(entry, 150);
		usage = total_usage();
		ck_assert_uint_le(usage, most + rn_size_roundup(entry));
		ck_assert_uint_gt(usage, most - 2 * rn_size_roundup(entry));
		ck_assert_uint_gt(storage_usage(), half_of(total));
		/* The last one is never its own victim. */
		ck_assert(is_cached(CACHED + 149));
		for (unsigned int i = 0; i < 150; i++)
			if (is_cached(CACHED + i))
				entry_release(CACHED + i);
		ck_assert_uint_eq(storage_usage(), 0);
		/* Once more, with less to borrow. */
		if (!round)
			exec_granted(work, 0);
	}
	ck_assert_uint_le(total_peak(), total);
	ck_assert_int_eq(rn_pools_destroy(), 0);
}
END_TEST

/* Until storage is at its half; at most one entry below, and no more. */
START_TEST(execution_evicts)
{
	static const size_t sizes[] = { 8, 100, 4000, 60000, 300000 };
	/* Small ones are many. */
	const size_t size = sizes[_i], total = size < 100 ? MIB : 8 * MIB;
	const size_t half = half_of(total), entry = total / 256;
	const size_t charge = exec_size(size);

	pools_start(total, OPTIONS(.timeout = 1));
	fill_storage(entry, 256);
	ck_assert_uint_gt(storage_usage(), half);
	while (rn_exec_alloc(size, 0))
		ck_assert_uint_gt(storage_usage() + entry, half);
	ck_assert_int_eq(errno, ETIMEDOUT);
	ck_assert_uint_le(storage_usage(), half);
	ck_assert_uint_gt(storage_usage() + entry, half);
	ck_assert_uint_le(total_usage(), total);
	ck_assert_uint_gt(total_usage() + charge, total);
	ck_assert_uint_ge(exec_usage() + charge, total - half);
	ck_assert_uint_le(total_peak(), total);
	/* Those that are left are safe from it. */
	exec_declined(size, RN_RETRIES(2), ENOMEM);
	ck_assert_int_eq(rn_pools_destroy(), 0);
}
END_TEST

/* In one request, with entries of many sizes. */
START_TEST(one_large_request_evicts)
{
	const size_t total = 16 * MIB, half = half_of(total);

	pools_start(total, NULL);
	for (unsigned int i = 0; i < 400; i++)
		entry_cached(CACHED + i, (1 + i * 7 % 16) * 8 * KIB);
	ck_assert_uint_gt(storage_usage(), half);
	exec_granted(half, 0);
	ck_assert_uint_le(storage_usage(), half);
	ck_assert_uint_gt(storage_usage() + 128 * KIB, half);
	ck_assert_uint_eq(exec_usage(), half);
	ck_assert_uint_le(total_peak(), total);
	ck_assert_int_eq(rn_pools_destroy(), 0);
}
END_TEST

/* Nobody has anything evicted for what may be had without. */
START_TEST(nothing_is_evicted_for_nothing)
{
	const size_t total = 8 * MIB, entry = 64 * KIB;
	const unsigned int nr = total / 4 / entry;

	pools_start(total, NULL);
	fill_storage(entry, nr);
	for (unsigned int i = 0; i < nr; i++)
		exec_granted(entry, 0);
	storage_granted(total / 4, 0);
	ck_assert_uint_eq(nr_cached(CACHED, CACHED + nr), nr);
	ck_assert_uint_eq(rn_memcg_event(rn_pools_memcg(RN_POOLS_STORAGE),
					 RN_MEMCG_EVENT_EVICTED), 0);
	ck_assert_int_eq(rn_pools_destroy(), 0);
}
END_TEST

/* --- other ways to share --- */

START_TEST(execution_waits)
{
	const size_t total = MIB, entry = 64 * KIB;
	struct pool_asker a;
	unsigned int nr;

	pools_start_up(total, PATIENT(.flags = RN_POOLS_EXEC_WAITS));
	fill_storage(entry, 32);
	nr = nr_cached(CACHED, CACHED + 32);
	ck_assert_uint_gt(nr, half_of(total) / entry);
	while (rn_exec_alloc(4 * KIB, RN_NOWAIT))
		;
	exec_declined(4 * KIB, RN_RETRIES(2), ENOMEM);
	ask_beside(&a, ASK_EXEC, 0, 4 * KIB);
	expect_nr_served(0);
	ck_assert_uint_eq(nr_cached(CACHED, CACHED + 32), nr);
	entry_release(CACHED + 31);
	expect_served(&a);
	ck_assert_uint_le(total_peak(), total);
	ck_assert_int_eq(rn_pools_destroy(), 0);
}
END_TEST

START_TEST(storage_within_half)
{
	const size_t total = totals[_i], half = half_of(total);

	pools_start_up(total, OPTIONS(.flags = RN_POOLS_STORAGE_HALF));
	for (unsigned int i = 0; i < 200; i++) {
		entry_cached(CACHED + i, half / 8);
		ck_assert_uint_le(storage_usage(), half);
		ck_assert(is_cached(CACHED + i));
	}
	ck_assert_uint_gt(storage_usage() + rn_size_roundup(half / 8), half);
	/* Execution still borrows what storage does not use. */
	for (unsigned int i = 0; i < 200; i++)
		if (is_cached(CACHED + i))
			entry_release(CACHED + i);
	while (rn_exec_alloc(4 * KIB, RN_NOWAIT))
		;
	ck_assert_uint_lt(total - exec_usage(), 4 * KIB);
	ck_assert_int_eq(rn_pools_destroy(), 0);
}
END_TEST

/* --- declined --- */

static void expect_all_declined(size_t bytes, rn_gfp_t flags)
{
	exec_declined(bytes, flags, ENOMEM);
	storage_declined(bytes, flags, ENOMEM);
}

/* At once, and whatever could be evicted stays. */
START_TEST(nowait)
{
	const size_t total = MIB, entry = 32 * KIB;
	unsigned int nr;
	double start;

	pools_start_up(total, PATIENT());
	fill_storage(entry, 40);
	while (rn_exec_alloc(4 * KIB, RN_NOWAIT))
		;
	nr = nr_cached(CACHED, CACHED + 40);
	start = seconds();
	for (int i = 0; i < 100; i++)
		expect_all_declined(4 * KIB, RN_NOWAIT);
	ck_assert(seconds() - start < 5);
	ck_assert_uint_eq(nr_cached(CACHED, CACHED + 40), nr);
	ck_assert_int_eq(rn_pools_destroy(), 0);
}
END_TEST

/* After the rounds; before that, with something to evict, granted. */
START_TEST(retries)
{
	const size_t total = MIB, half = half_of(total);

	pools_start(total, PATIENT());
	exec_granted(half, 0);
	for (unsigned int i = 0; i < half / (32 * KIB); i++)
		entry_acquired(CACHED + i, 32 * KIB);
	for (unsigned int n = 1; n < 4; n++)
		expect_all_declined(4 * KIB, RN_RETRIES(n));
	expect_all_declined(4 * KIB, RN_NORETRY);
	entry_unpin(CACHED + 3);
	exec_declined(4 * KIB, RN_RETRIES(1), ENOMEM);
	storage_granted(4 * KIB, RN_RETRIES(1));
	ck_assert(!is_cached(CACHED + 3));
	ck_assert_int_eq(rn_pools_destroy(), 0);
}
END_TEST

static void expect_never(unsigned int flags)
{
	const size_t total = MIB, half = half_of(total);
	size_t most = flags & RN_POOLS_STORAGE_HALF ? half : total;
	double start = seconds();

	pools_start(total, PATIENT(.flags = flags));
	fill_storage(32 * KIB, 10);
	exec_declined(total + 1, 0, ENOMEM);
	exec_not_acquired(1, total + 1, ENOMEM);
	ck_assert_uint_eq(rn_exec_held(1), 0);
	storage_declined(half + 1, 0, ENOMEM);
	entry_declined(1, most + 1, ENOMEM);
	ck_assert(!is_cached(1));
	ck_assert_uint_eq(nr_cached(CACHED, CACHED + 10), 10);
	ck_assert_msg(seconds() - start < 3, "%g s", seconds() - start);
	ck_assert_int_eq(rn_pools_destroy(), 0);
}

/* Larger than it could ever get: at once, though it might be held for ever. */
START_TEST(too_large)
{
	static const unsigned int flags[] = {
		0, RN_POOLS_EXEC_WAITS, RN_POOLS_STORAGE_HALF,
		RN_POOLS_EXEC_WAITS | RN_POOLS_STORAGE_HALF,
	};

	expect_never(flags[_i]);
}
END_TEST

/* --- what the groups say --- */

START_TEST(groups)
{
	const size_t total = 3 * MIB + 5;
	struct rn_memcg *m[3];

	pools_start(total, NULL);
	for (int i = RN_POOLS_TOTAL; i <= RN_POOLS_STORAGE; i++)
		m[i] = rn_pools_memcg(i);
	ck_assert_uint_eq(rn_memcg_get(m[RN_POOLS_TOTAL], RN_MEMCG_MAX), total);
	for (int i = RN_POOLS_EXEC; i <= RN_POOLS_STORAGE; i++)
		ck_assert_uint_eq(rn_memcg_get(m[i], RN_MEMCG_MIN),
				  half_of(total));
	exec_granted(100, 0);
	exec_acquired(1, 200 * KIB);
	storage_granted(8 * KIB, 0);
	entry_acquired(1, 4 * KIB);
	ck_assert_uint_eq(exec_usage(), exec_size(100) + 200 * KIB);
	ck_assert_uint_eq(storage_usage(), 12 * KIB);
	ck_assert_uint_eq(total_usage(), exec_usage() + storage_usage());
	ck_assert_int_eq(memcg_figure(m[RN_POOLS_STORAGE], "current"),
			 12 * KIB);
	ck_assert_int_eq(rn_pools_destroy(), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pools_quota");
	TCase *tc = tcase_create("quota");

	tcase_add_loop_test(tc, storage_has_half, 0, ARRAY_LEN(totals));
	tcase_add_test(tc, storage_before_entries);
	tcase_add_loop_test(tc, execution_has_all, 0, ARRAY_LEN(totals));
	tcase_add_test(tc, to_the_last_word);
	tcase_add_test(tc, storage_gets_its_half_back);
	tcase_add_loop_test(tc, entries_borrow, 0, ARRAY_LEN(totals));
	tcase_add_loop_test(tc, execution_evicts, 0, 5);
	tcase_add_test(tc, one_large_request_evicts);
	tcase_add_test(tc, nothing_is_evicted_for_nothing);
	tcase_add_test(tc, execution_waits);
	tcase_add_loop_test(tc, storage_within_half, 0, ARRAY_LEN(totals));
	tcase_add_test(tc, nowait);
	tcase_add_test(tc, retries);
	tcase_add_loop_test(tc, too_large, 0, 4);
	tcase_add_test(tc, groups);
	tcase_set_timeout(tc, 30);
	suite_add_tcase(s, tc);
	return suite_main(s);
}

// SPDX-License-Identifier: MIT
/*
 * Execution and storage memory: how the pools begin and end, which sizes there
 * are, and where the memory lies.
 */
#include "helpers.h"
#include "unified.h"

#include <errno.h>
#include <stdlib.h>

#define EXEC_MOST	(8 * MIB)
#define STORAGE_MOST	(64 * MIB)

/* --- the beginning --- */

static void expect_no_pools(void)
{
	for (int i = RN_POOLS_TOTAL; i <= RN_POOLS_STORAGE; i++)
		ck_assert_ptr_null(rn_pools_memcg(i));
}

static bool pick_none(uint64_t *page_id, void *arg)
{
	return false;
}

START_TEST(bad_options)
{
	static const struct rn_pools_options bad[] = {
		{ .sz = 0 },
		{ .sz = sizeof(bad[0]) - 1 },
		{ .sz = sizeof(bad[0]) + 8 },
		{ .sz = sizeof(bad[0]), .flags = 0x4 },
		{ .sz = sizeof(bad[0]), .flags = 0x80000000 },
		{ .sz = sizeof(bad[0]), .victim = RN_POOLS_PICK + 1,
		  .pick = pick_none },
		{ .sz = sizeof(bad[0]), .victim = RN_POOLS_PICK },
		{ .sz = sizeof(bad[0]), .pick = pick_none },
		{ .sz = sizeof(bad[0]), .exec_least = 17, .exec_most = 16 },
		{ .sz = sizeof(bad[0]), .exec_least = EXEC_MOST + 1 },
		{ .sz = sizeof(bad[0]), .storage_least = 8193,
		  .storage_most = 8192 },
		{ .sz = sizeof(bad[0]), .storage_least = STORAGE_MOST + 1 },
		{ .sz = sizeof(bad[0]), .storage_most = 4 * KIB - 1 },
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		ck_assert_msg(rn_pools_init_options(MIB, &bad[i]) == -EINVAL,
			      "options %zu", i);
		expect_no_pools();
	}
	ck_assert_int_eq(rn_pools_init_options(MIB, OPTIONS(
		.victim = RN_POOLS_PICK, .pick = pick_none)), 0);
	pools_end();
}
END_TEST

START_TEST(bad_total)
{
	ck_assert_int_eq(rn_pools_init(0), -EINVAL);
	ck_assert_int_eq(rn_pools_init(64 * KIB - 1), -EINVAL);
	ck_assert_int_eq(rn_pools_init_options(64 * KIB - 1, OPTIONS()),
			 -EINVAL);
	expect_no_pools();
	pools_start(64 * KIB, NULL);
	pools_end();
}
END_TEST

START_TEST(without_pools)
{
	size_t bytes = 0;

	for (int what = 0; what < NR_POOL_REQUESTS; what++) {
		errno = 0;
		ck_assert_ptr_null(pool_ask(what, 1, 4 * KIB));
		ck_assert_int_eq(errno, EINVAL);
	}
	errno = 0;
	ck_assert_ptr_null(rn_storage_pin(1, &bytes));
	ck_assert_int_eq(errno, EINVAL);
	errno = 0;
	ck_assert_ptr_null(rn_storage_lookup(1, &bytes));
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_int_eq(rn_exec_release(1), -EINVAL);
	ck_assert_uint_eq(rn_exec_held(1), 0);
	ck_assert_int_eq(rn_storage_release(1), -EINVAL);
	ck_assert_int_eq(rn_storage_unpin(1), -EINVAL);
	ck_assert_int_eq(rn_pools_destroy(), -EINVAL);
	expect_no_pools();
}
END_TEST

/* A second one is refused and changes nothing; after the end there is none. */
START_TEST(only_once)
{
	void *p;

	pools_start(MIB, NULL);
	p = exec_acquired(1, 100);
	ck_assert_int_eq(rn_pools_init(2 * MIB), -EBUSY);
	ck_assert_int_eq(rn_pools_init_options(2 * MIB, OPTIONS()), -EBUSY);
	ck_assert_uint_eq(rn_memcg_get(rn_pools_memcg(RN_POOLS_TOTAL),
				       RN_MEMCG_MAX), MIB);
	ck_assert_uint_eq(rn_exec_held(1), rn_size(p));
	exec_release(1);
	pools_end();
	ck_assert_int_eq(rn_pools_destroy(), -EINVAL);
	expect_no_pools();
	pools_start(2 * MIB, NULL);
	pools_end();
}
END_TEST

/* --- the end --- */

static void take_of_all_kinds(void)
{
	for (size_t i = 0; i < 200; i++) {
		exec_granted(1 + i * 37, 0);
		exec_acquired(i % 7, 1 + i * 41);
	}
	exec_granted(300 * KIB, 0);
	exec_acquired(3, 300 * KIB);
	for (size_t i = 0; i < 20; i++) {
		storage_granted(4 * KIB << i % 5, 0);
		entry_acquired(i, 4 * KIB << i % 5);
		if (i % 2)
			entry_unpin(i);
	}
}

/* Whatever was left is gone: nothing of it is found, all may be had again. */
START_TEST(the_end_frees_all)
{
	const size_t total = 8 * MIB;

	for (int i = 0; i < 3; i++) {
		pools_start(total, OPTIONS(.exec_most = total));
		ck_assert_uint_eq(rn_exec_held(3), 0);
		ck_assert_uint_eq(nr_cached(0, 20), 0);
		take_of_all_kinds();
		ck_assert_int_eq(rn_pools_destroy(), 0);
		pools_start(total, OPTIONS(.exec_most = total));
		ck_assert_uint_eq(total_usage(), 0);
		rn_exec_free(exec_granted(total, 0));
		pools_end();
	}
}
END_TEST

static long pageblocks(void)
{
	return vmstat_nodes("pageblocks_hugetlb") +
	       vmstat_nodes("pageblocks_thp") +
	       vmstat_nodes("pageblocks_small");
}

/* There may be 4,095 groups at a time, and pools are five. */
#define ROUNDS	(4096 / 5 + 1)

/* More groups in all than there may be at a time, and no page is lost. */
START_TEST(again_and_again)
{
	unsigned long active = 0;
	long meta = 0, blocks = 0;

	for (int i = 0; i < ROUNDS / LESS; i++) {
		pools_start(8 * MIB, NULL);
		if (i % 8 == 0)
			take_of_all_kinds();
		ck_assert_int_eq(rn_pools_destroy(), 0);
		if (i > 20)
			continue;
		active = slabinfo_active();
		meta = vmstat("meta_kbytes");
		blocks = pageblocks();
	}
	ck_assert_uint_eq(slabinfo_active(), active);
	ck_assert_int_eq(vmstat("meta_kbytes"), meta);
	ck_assert_int_eq(pageblocks(), blocks);
}
END_TEST

/* Who is held would come back to pools that are gone. */
START_TEST(not_while_held)
{
	struct pool_asker a;
	void *p;

	for (int what = 0; what < NR_POOL_REQUESTS; what++) {
		pools_start(MIB, PATIENT());
		p = exec_granted(MIB, 0);
		ask_beside(&a, what, 1, 64 * KIB);
		ck_assert_int_eq(rn_pools_destroy(), -EBUSY);
		ck_assert_uint_eq(exec_usage(), MIB);
		rn_exec_free(p);
		expect_served(&a);
		pool_give(what, 1, a.got);
		pools_end();
	}
}
END_TEST

/* --- sizes --- */

/* The ends of each of its pages. */
static void fill(char *p, size_t bytes, uint64_t seed)
{
	for (size_t at = 0; at < bytes; at += RN_PAGE_SIZE)
		pattern_set(p + at, bytes - at < 8 ? bytes - at : 8, seed);
	pattern_set(p + bytes - 1, 1, seed);
}

static bool is_filled(const char *p, size_t bytes, uint64_t seed)
{
	for (size_t at = 0; at + 1 < bytes; at += RN_PAGE_SIZE)
		if (!pattern_ok(p + at, bytes - at <= 8 ? bytes - at - 1 : 8,
				seed))
			return false;
	return pattern_ok(p + bytes - 1, 1, seed);
}

START_TEST(small_catalogue)
{
	static const size_t exec[] = { 1, 4, 8, EXEC_MOST };
	static const size_t storage[] = { 4 * KIB, STORAGE_MOST };

	pools_start(256 * MIB, NULL);
	for (size_t i = 0; i < ARRAY_LEN(exec); i++) {
		void *p = exec_granted(exec[i], 0);
		void *q = exec_acquired(9, exec[i]);

		fill(p, exec[i], 1);
		fill(q, exec[i], 2);
		ck_assert(is_filled(p, exec[i], 1));
		ck_assert_uint_eq(exec_usage(), rn_size(p) + rn_size(q));
		rn_exec_free(p);
		ck_assert(is_filled(q, exec[i], 2));
		exec_release(9);
	}
	for (size_t i = 0; i < ARRAY_LEN(storage); i++) {
		void *p = storage_granted(storage[i], 0);
		void *q = entry_acquired(9, storage[i]);

		fill(p, storage[i], 1);
		fill(q, storage[i], 2);
		ck_assert(is_filled(p, storage[i], 1));
		ck_assert_uint_eq(storage_usage(), rn_size(p) + rn_size(q));
		rn_storage_free(p);
		ck_assert(is_filled(q, storage[i], 2));
		entry_release(9);
	}
	pools_end();
}
END_TEST

static void expect_exec_range(size_t least, size_t most)
{
	exec_declined(least - 1, 0, EINVAL);
	exec_not_acquired(9, least - 1, EINVAL);
	exec_declined(most + 1, 0, EINVAL);
	exec_not_acquired(9, most + 1, EINVAL);
	rn_exec_free(exec_granted(least, 0));
	rn_exec_free(exec_granted(most, 0));
	exec_acquired(9, least);
	exec_acquired(9, most);
	exec_release(9);
}

static void expect_storage_range(size_t least, size_t most)
{
	storage_declined(least - 1, 0, EINVAL);
	entry_declined(9, least - 1, EINVAL);
	storage_declined(most + 1, 0, EINVAL);
	entry_declined(9, most + 1, EINVAL);
	rn_storage_free(storage_granted(least, 0));
	rn_storage_free(storage_granted(most, 0));
	entry_acquired(9, least);
	entry_release(9);
	entry_acquired(9, most);
	entry_release(9);
}

/* Out of range is out of range, with memory for it or without. */
START_TEST(out_of_range)
{
	static const size_t small[] = { 0, 1, 4, 8 };

	pools_start(256 * MIB, NULL);
	for (size_t i = 0; i < ARRAY_LEN(small); i++) {
		storage_declined(small[i], 0, EINVAL);
		storage_declined(small[i], RN_NOWAIT, EINVAL);
		entry_declined(9, small[i], EINVAL);
	}
	exec_declined(SIZE_MAX, 0, EINVAL);
	storage_declined(SIZE_MAX, 0, EINVAL);
	expect_exec_range(1, EXEC_MOST);
	expect_storage_range(4 * KIB, STORAGE_MOST);
	ck_assert_int_eq(rn_storage_unpin(9), -ENOENT);
	ck_assert_uint_eq(rn_exec_held(9), 0);
	pools_end();
	pools_start(64 * KIB, NULL);
	exec_declined(EXEC_MOST + 1, 0, EINVAL);
	entry_declined(9, STORAGE_MOST + 1, EINVAL);
	pools_end();
}
END_TEST

START_TEST(limits_of_ones_own)
{
	static const struct { size_t least, most; } limits[] = {
		{ 16, 64 }, { 100, 100 }, { 5000, 3 * MIB + 1 },
	};

	for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
		size_t least = limits[i].least, most = limits[i].most;

		pools_start(256 * MIB, OPTIONS(.exec_least = least,
					       .exec_most = most));
		expect_exec_range(least, most);
		expect_storage_range(4 * KIB, STORAGE_MOST);
		pools_end();
		pools_start(256 * MIB, OPTIONS(.storage_least = least,
					       .storage_most = most));
		expect_exec_range(1, EXEC_MOST);
		expect_storage_range(least, most);
		pools_end();
	}
}
END_TEST

START_TEST(unknown_flags)
{
	static const rn_gfp_t unknown[] = { 0x40, 0x10000, 0x80000000 };

	pools_start(MIB, NULL);
	for (size_t i = 0; i < ARRAY_LEN(unknown); i++) {
		exec_declined(100, unknown[i], EINVAL);
		storage_declined(4 * KIB, unknown[i], EINVAL);
	}
	pools_end();
}
END_TEST

START_TEST(null_is_nothing)
{
	pools_start(MIB, NULL);
	rn_exec_free(NULL);
	rn_storage_free(NULL);
	pools_end();
}
END_TEST

/* --- where it lies --- */

struct object {
	char *p;
	size_t bytes;
};

static void shuffle(struct object *o, size_t n)
{
	uint64_t random = 0x5eed;

	for (size_t i = n; i > 1; i--) {
		size_t k = xorshift(&random) % i;
		struct object swap = o[i - 1];

		o[i - 1] = o[k];
		o[k] = swap;
	}
}

static void expect_in_page(const struct object *o)
{
	uintptr_t first = (uintptr_t)o->p, last = first + o->bytes - 1;

	if (first % sizeof(void *))
		ck_abort_msg("%zu bytes at %p", o->bytes, (void *)o->p);
	if (o->bytes <= RN_PAGE_SIZE &&
	    first / RN_PAGE_SIZE != last / RN_PAGE_SIZE)
		ck_abort_msg("%zu bytes at %p: in two pages", o->bytes,
			     (void *)o->p);
	if (rn_size(o->p) != exec_size(o->bytes))
		ck_abort_msg("%zu bytes are %zu", o->bytes, rn_size(o->p));
}

/* Some of each size, and some that are larger; all of them at a time. */
static struct object *mixed_sizes(size_t *nr)
{
	size_t each = SANITIZED ? 1 : 4, larger = 256, n = 0;
	struct object *o = calloc(each * RN_PAGE_SIZE + larger, sizeof(*o));

	ck_assert_ptr_nonnull(o);
	for (size_t k = 0; k < each; k++)
		for (size_t size = 1; size <= RN_PAGE_SIZE; size++)
			o[n++].bytes = size;
	for (size_t i = 0; i < larger; i++)
		o[n++].bytes = RN_PAGE_SIZE + 1 + i * 321;
	shuffle(o, n);
	*nr = n;
	return o;
}

static void object_new(struct object *o, uint64_t id)
{
	o->p = id % 2 ? exec_granted(o->bytes, 0)
		      : exec_acquired(id, o->bytes);
	expect_in_page(o);
	pattern_set(o->p, o->bytes, id);
}

/* Every other one is made anew, where another was. */
START_TEST(within_a_page)
{
	size_t nr, bytes = 0;
	struct object *o = mixed_sizes(&nr);

	pools_start(256 * MIB, NULL);
	for (size_t i = 0; i < nr; i++)
		object_new(&o[i], i);
	for (size_t i = 0; i < nr; i += 2) {
		ck_assert(pattern_ok(o[i].p, o[i].bytes, i));
		rn_exec_free(o[i].p);
	}
	for (size_t i = 0; i < nr; i += 2)
		object_new(&o[i], i);
	for (size_t i = 0; i < nr; i++) {
		ck_assert(pattern_ok(o[i].p, o[i].bytes, i));
		bytes += rn_size(o[i].p);
	}
	ck_assert_uint_eq(exec_usage(), bytes);
	for (size_t i = 0; i < nr; i++)
		rn_exec_free(o[i].p);
	free(o);
	pools_end();
}
END_TEST

START_TEST(storage_on_pages)
{
	pools_start(256 * MIB, NULL);
	for (size_t size = 4 * KIB; size <= STORAGE_MOST;
	     size += 1 + size / 16) {
		size_t pages = (size + RN_PAGE_SIZE - 1) / RN_PAGE_SIZE;
		size_t taken = class_size(pages * RN_PAGE_SIZE), given = 0;
		char *p = storage_granted(size, 0);
		char *q = entry_acquired(size, size);

		ck_assert_uint_eq((uintptr_t)p % RN_PAGE_SIZE, 0);
		ck_assert_uint_eq((uintptr_t)q % RN_PAGE_SIZE, 0);
		ck_assert_uint_eq(rn_size(p), taken);
		ck_assert_uint_eq(rn_size(q), taken);
		ck_assert_ptr_eq(rn_storage_lookup(size, &given), q);
		/* As asked for. */
		ck_assert_uint_eq(given, size);
		p[0] = p[size - 1] = 1;
		q[0] = q[size - 1] = 2;
		ck_assert_int_eq(p[0] + p[size - 1], 2);
		rn_storage_free(p);
		entry_release(size);
	}
	pools_end();
}
END_TEST

static void expect_zeroed(void *(*alloc)(size_t, rn_gfp_t),
			  void (*give)(void *), size_t size)
{
	char *p = alloc(size, 0);

	ck_assert_ptr_nonnull(p);
	pattern_set(p, rn_size(p), 1);
	give(p);
	p = alloc(size, RN_ZERO);
	ck_assert_ptr_nonnull(p);
	ck_assert(all_zero(p, rn_size(p)));
	give(p);
}

START_TEST(zeroed)
{
	pools_start(16 * MIB, NULL);
	for (size_t size = 1; size < MIB; size += 1 + size / 4) {
		expect_zeroed(rn_exec_alloc, rn_exec_free, size);
		if (size >= 4 * KIB)
			expect_zeroed(rn_storage_alloc, rn_storage_free, size);
	}
	pools_end();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pools");
	TCase *tc = tcase_create("pools");

	tcase_add_test(tc, bad_options);
	tcase_add_test(tc, bad_total);
	tcase_add_test(tc, without_pools);
	tcase_add_test(tc, only_once);
	tcase_add_test(tc, the_end_frees_all);
	tcase_add_test(tc, again_and_again);
	tcase_add_test(tc, not_while_held);
	tcase_add_test(tc, small_catalogue);
	tcase_add_test(tc, out_of_range);
	tcase_add_test(tc, limits_of_ones_own);
	tcase_add_test(tc, unknown_flags);
	tcase_add_test(tc, null_is_nothing);
	tcase_add_test(tc, within_a_page);
	tcase_add_test(tc, storage_on_pages);
	tcase_add_test(tc, zeroed);
	tcase_set_timeout(tc, 30);
	suite_add_tcase(s, tc);
	return suite_main(s);
}

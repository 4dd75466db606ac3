// SPDX-License-Identifier: MIT
/*
 * RN_LIMIT and rn_set_limit(): what is held stays below, all of it can be used,
 * and who would need more is told so after everybody was asked for memory.
 *
 * Each test is a process of its own and sets the limit before the first call.
 */
#include "probe.h"

#include <errno.h>
#include <pthread.h>
#include <rn/pages.h>
#include <rn/reclaim.h>
#include <rn/slab.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MIB		(1UL << 20)
#define BLOCK		(2 * MIB)
#define BLOCK_ORDER	9
#define HARD		(64 * MIB)

struct link {
	struct link *next;
};

static void limit(const char *value)
{
	setenv("RN_LIMIT", value, 1);
}

static size_t held(void)
{
	long kb = vmstat("limit_held_kbytes");

	must(kb >= 0);
	return (size_t)kb << 10;
}

static bool push(struct link **chain, size_t size, rn_gfp_t flags)
{
	struct link *l = rn_alloc(size, flags);

	if (!l)
		return false;
	l->next = *chain;
	*chain = l;
	return true;
}

static void free_chain(struct link **chain)
{
	struct link *l;

	while ((l = *chain)) {
		*chain = l->next;
		rn_free(l);
	}
}

/* All there is of objects of @size; how many. */
static unsigned long fill(struct link **chain, size_t size)
{
	unsigned long n = 0;

	errno = 0;
	while (push(chain, size, 0))
		n++;
	ck_assert_int_eq(errno, ENOMEM);
	must(held() <= HARD);
	return n;
}

/* --- the hard limit --- */

/* Runs of whole pageblocks: each byte of the limit, and again. */
START_TEST(all_of_it)
{
	static const size_t sizes[] = { BLOCK, 3 * BLOCK, 5 * BLOCK, BLOCK };
	struct link *chain = NULL;

	limit("64M");
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		ck_assert_uint_eq(fill(&chain, sizes[i]), HARD / sizes[i]);
		ck_assert_uint_eq(held(), HARD / sizes[i] * sizes[i]);
		free_chain(&chain);
	}
}
END_TEST

START_TEST(one_for_one)
{
	struct link *chain = NULL, *l;

	limit("64M");
	fill(&chain, BLOCK);
	for (int i = 0; i < 10; i++) {
		l = chain;
		chain = l->next;
		rn_free(l);
		ck_assert(push(&chain, BLOCK, 0));
		ck_assert(!push(&chain, BLOCK, 0));
		ck_assert_int_eq(errno, ENOMEM);
	}
	free_chain(&chain);
}
END_TEST

/* What one size left is found by the next. */
START_TEST(objects_of_all_sizes)
{
	static const size_t sizes[] = { 64, 1000, 10000, 100000, 3 * MIB };
	struct link *chain = NULL;

	limit("64M");
	for (size_t i = 0; i < 2 * ARRAY_LEN(sizes); i++) {
		size_t size = sizes[i % ARRAY_LEN(sizes)];
		unsigned long n = fill(&chain, size);

		/* 100,000 bytes are 25 pages of 32, and 3 MiB two blocks. */
		ck_assert_uint_ge(n * size, HARD / 100 * 70);
		free_chain(&chain);
	}
}
END_TEST

START_TEST(a_run_grows_up_to_it)
{
	char *p, *q;

	limit("64M");
	p = rn_alloc(3 * BLOCK, 0);
	ck_assert_ptr_nonnull(p);
	mark_bytes(p, 0, 3 * BLOCK);
	for (size_t blocks = 4; blocks <= HARD / BLOCK; blocks++) {
		q = rn_realloc(p, blocks * BLOCK, 0);
		ck_assert_ptr_nonnull(q);
		p = q;
	}
	errno = 0;
	ck_assert_ptr_null(rn_realloc(p, HARD + 1, 0));
	ck_assert_int_eq(errno, ENOMEM);
	ck_assert(bytes_marked(p, 3 * BLOCK));
	ck_assert_uint_eq(held(), HARD);
	rn_free(p);
	p = rn_alloc(HARD, 0);
	ck_assert_ptr_nonnull(p);
	rn_free(p);
}
END_TEST

START_TEST(nowait_asks_nobody)
{
	struct link *chain = NULL;

	limit("64M");
	probe_register(0, 0);
	fill(&chain, BLOCK);
	probe.counts = 0;
	probe.has = 1000;
	ck_assert(!push(&chain, BLOCK, RN_NOWAIT));
	ck_assert_int_eq(errno, ENOMEM);
	ck_assert_uint_eq(probe.counts, 0);
	probe_unregister();
	free_chain(&chain);
}
END_TEST

/* Everybody is asked, the mildest way first, and for all before it fails. */
START_TEST(shrinkers_come_first)
{
	struct link *chain = NULL;

	limit("64M");
	while (items.nr * 2000 < HARD / 2)
		ck_assert(add_item(0));
	ck_assert_int_eq(rn_shrinker_register(&items_shrinker), 0);
	/* A few slabs of other caches may be there. */
	ck_assert_uint_ge(fill(&chain, BLOCK), HARD / BLOCK - 4);
	ck_assert_uint_eq(items.nr, 0);
	ck_assert_int_eq(rn_shrinker_unregister(&items_shrinker), 0);
	probe_register(0, 0);
	ck_assert(!push(&chain, BLOCK, 0));
	ck_assert_uint_eq(probe.nr_order, RN_DEF_PRIORITY + 1);
	for (unsigned int i = 0; i <= RN_DEF_PRIORITY; i++)
		ck_assert_uint_eq(probe.order[i], RN_DEF_PRIORITY - i);
	probe_unregister();
	free_chain(&chain);
}
END_TEST

static void *volatile got;

static void *wait_for_memory(void *arg)
{
	got = rn_alloc((size_t)arg, RN_NOFAIL);
	return NULL;
}

START_TEST(nofail_waits)
{
	static const size_t sizes[] = { 1000, BLOCK };
	struct link *chain = NULL;
	pthread_t t;

	limit("64M");
	fill(&chain, sizes[_i]);
	ck_assert_int_eq(pthread_create(&t, NULL, wait_for_memory,
					(void *)sizes[_i]), 0);
	usleep(300000);
	/* Nothing can have come free: it waits. */
	ck_assert_ptr_null(got);
	free_chain(&chain);
	ck_assert_int_eq(pthread_join(t, NULL), 0);
	ck_assert_ptr_nonnull(got);
	rn_free(got);
}
END_TEST

/* --- threads --- */

#define HAMMERS		8

static bool stop;

/* Now a lot, now a little, of several sizes. */
static void *hammer(void *arg)
{
	static const size_t sizes[] = { 100, 3000, 50000, BLOCK, 3 * BLOCK };
	uint64_t rnd = (uintptr_t)arg * 77 + 1;
	unsigned long n = 0;

	for (int round = 0; round < 64 / LESS; round++) {
		size_t size = sizes[xorshift(&rnd) % ARRAY_LEN(sizes)];
		size_t most = xorshift(&rnd) % (HARD / 4);
		struct link *chain = NULL;

		for (size_t bytes = 0; bytes < most; bytes += size) {
			if (!push(&chain, size, RN_NORETRY))
				break;
			n++;
		}
		free_chain(&chain);
	}
	return (void *)n;
}

/* The counter, and what the kernel knows, with tables, slots and program. */
static void *sample(void *arg)
{
	unsigned long n = 0;
	long rss = status_value("VmRSS");

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		must(held() <= HARD);
		n++;
	}
	must(SANITIZED || status_value("VmRSS") - rss <
	     (long)((HARD + 32 * MIB) >> 10));
	return (void *)n;
}

START_TEST(never_exceeded)
{
	pthread_t t[HAMMERS], sampler;
	struct link *chain = NULL;
	unsigned long n;
	void *ret;

	limit("64M");
	ck_assert_int_eq(pthread_create(&sampler, NULL, sample, NULL), 0);
	for (uintptr_t i = 0; i < HAMMERS; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, hammer,
						(void *)(i + 1)), 0);
	for (int i = 0; i < HAMMERS; i++) {
		ck_assert_int_eq(pthread_join(t[i], &ret), 0);
		ck_assert_uint_gt((unsigned long)ret, 0);
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	ck_assert_int_eq(pthread_join(sampler, &ret), 0);
	ck_assert_uint_gt((unsigned long)ret, 0);
	/* Nothing has leaked. */
	rn_shrink_all();
	n = fill(&chain, BLOCK);
	ck_assert_uint_eq(n, HARD / BLOCK);
	free_chain(&chain);
	rn_shrink_all();
	ck_assert_uint_eq(held(), 0);
}
END_TEST

/* --- the soft limit --- */

START_TEST(soft_reclaims_now_and_then)
{
	struct link *chain = NULL;
	long reclaims;

	limit("32M,64M");
	ck_assert_int_eq(vmstat("limit_soft_kbytes"), 32 << 10);
	ck_assert_int_eq(vmstat("limit_hard_kbytes"), 64 << 10);
	while (held() < 32 * MIB)
		ck_assert(push(&chain, BLOCK, 0));
	ck_assert_int_eq(vmstat("limit_soft_reclaims"), 0);
	while (held() < HARD)
		ck_assert(push(&chain, BLOCK, 0));
	reclaims = vmstat("limit_soft_reclaims");
	/* The first at once, then at most one for each pageblock. */
	ck_assert_int_ge(reclaims, 2);
	ck_assert_int_le(reclaims, 16);
	free_chain(&chain);
}
END_TEST

/* What is free is used before more comes up. */
START_TEST(soft_finds_what_is_free)
{
	struct link *small = NULL, *large = NULL;
	size_t most = 0;

	limit("16M,64M");
	for (int i = 0; i < 20; i++) {
		for (size_t bytes = 0; bytes < 12 * MIB; bytes += 240)
			ck_assert(push(&small, 240, 0));
		free_chain(&small);
		for (int n = 0; n < 6; n++)
			ck_assert(push(&large, BLOCK, 0));
		most = held() > most ? held() : most;
		free_chain(&large);
	}
	ck_assert_uint_le(most, 16 * MIB + BLOCK);
}
END_TEST

/* --- setting it --- */

START_TEST(set_while_running)
{
	struct link *chain = NULL;

	for (int i = 0; i < 20; i++)
		ck_assert(push(&chain, BLOCK, 0));
	ck_assert_int_eq(rn_set_limit(2, 1), -EINVAL);
	ck_assert_int_eq(vmstat("limit_hard_kbytes"), 0);
	/* Less than is in use: that stays, and nothing comes. */
	ck_assert_int_eq(rn_set_limit(0, 10 * BLOCK), 0);
	ck_assert_uint_eq(held(), 20 * BLOCK);
	ck_assert(!push(&chain, BLOCK, 0));
	ck_assert_int_eq(errno, ENOMEM);
	ck_assert_int_eq(rn_set_limit(0, 21 * BLOCK), 0);
	ck_assert(push(&chain, BLOCK, 0));
	ck_assert(!push(&chain, BLOCK, 0));
	ck_assert_int_eq(rn_set_limit(10 * BLOCK, 0), 0);
	ck_assert(push(&chain, BLOCK, 0));
	ck_assert_int_eq(rn_set_limit(0, 0), 0);
	ck_assert(push(&chain, BLOCK, 0));
	free_chain(&chain);
}
END_TEST

/* What is above a new limit and not in use goes at once, soft or hard. */
START_TEST(excess_goes_at_once)
{
	struct link *chain = NULL;

	while (held() < 32 * MIB)
		ck_assert(push(&chain, 1000, 0));
	free_chain(&chain);
	ck_assert_int_eq(rn_set_limit(_i ? BLOCK : 0, _i ? 0 : BLOCK), 0);
	ck_assert_uint_le(held(), BLOCK);
}
END_TEST

START_TEST(shrinkers_give_up_the_excess)
{
	for (int i = 0; i < 10000; i++)
		ck_assert(add_item(0));
	ck_assert_int_eq(rn_shrinker_register(&items_shrinker), 0);
	ck_assert_int_eq(rn_set_limit(4 * MIB, 0), 0);
	ck_assert_uint_eq(items.nr, 10000);
	ck_assert_int_eq(rn_set_limit(0, 4 * MIB), 0);
	ck_assert_uint_lt(items.nr, 10000);
	ck_assert_uint_le(held(), 4 * MIB);
	ck_assert_int_eq(rn_shrinker_unregister(&items_shrinker), 0);
	drop_items();
}
END_TEST

START_TEST(reserve_is_within_it)
{
	char *said;

	limit("64M");
	stderr_catch();
	ck_assert_int_eq(rn_reserve(HARD + 1, RN_NO_NODE, 0), -ENOMEM);
	said = stderr_caught();
	ck_assert_str_eq(said, "libslab: a reserve of 66 MiB is more than the "
			 "limit (RN_LIMIT) leaves, 64 MiB\n");
	free(said);
	ck_assert_uint_eq(held(), 0);
	ck_assert_int_eq(rn_reserve(HARD, RN_NO_NODE, 0), 0);
	ck_assert_uint_eq(held(), HARD);
}
END_TEST

static const struct {
	const char *value, *said;
} bad[] = {
	{ "", "is not HARD or SOFT,HARD" },
	{ "lots", "is not HARD or SOFT,HARD" },
	{ "2G,1G", "is not HARD or SOFT,HARD" },
	{ "1G,", "is not HARD or SOFT,HARD" },
	{ ",1G", "is not HARD or SOFT,HARD" },
	{ "1G,2G,3G", "is not HARD or SOFT,HARD" },
	{ "0", "is not HARD or SOFT,HARD" },
	{ "1M", "leaves no room for a single pageblock" },
};

START_TEST(bad_values_are_said)
{
	char *said;

	limit(bad[_i].value);
	stderr_catch();
	ck_assert_int_eq(vmstat("limit_hard_kbytes"), 0);
	said = stderr_caught();
	ck_assert_ptr_nonnull(strstr(said, "libslab: RN_LIMIT="));
	ck_assert_ptr_nonnull(strstr(said, bad[_i].said));
	free(said);
}
END_TEST

static TCase *tcase(Suite *s, const char *name)
{
	TCase *t = tcase_create(name);

	tcase_set_timeout(t, 60);
	suite_add_tcase(s, t);
	return t;
}

int main(void)
{
	Suite *s = suite_create("limit");
	TCase *t = tcase(s, "hard");

	tcase_add_test(t, all_of_it);
	tcase_add_test(t, one_for_one);
	tcase_add_test(t, objects_of_all_sizes);
	tcase_add_test(t, a_run_grows_up_to_it);
	tcase_add_test(t, nowait_asks_nobody);
	tcase_add_test(t, shrinkers_come_first);
	tcase_add_loop_test(t, nofail_waits, 0, 2);
	tcase_add_test(t, never_exceeded);
	t = tcase(s, "soft");
	tcase_add_test(t, soft_reclaims_now_and_then);
	tcase_add_test(t, soft_finds_what_is_free);
	t = tcase(s, "setting");
	tcase_add_test(t, set_while_running);
	tcase_add_loop_test(t, excess_goes_at_once, 0, 2);
	tcase_add_test(t, shrinkers_give_up_the_excess);
	tcase_add_test(t, reserve_is_within_it);
	tcase_add_loop_test(t, bad_values_are_said, 0, ARRAY_LEN(bad));
	return suite_main(s);
}

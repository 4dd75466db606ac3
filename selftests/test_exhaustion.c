// SPDX-License-Identifier: MIT
/*
 * Memory runs out: NULL and ENOMEM, never a signal, and everything that was
 * there goes on to work. The limits are set before the library's first call;
 * each test is a process of its own.
 */
#include "helpers.h"

#include <errno.h>
#include <pthread.h>
#include <rn/pages.h>
#include <rn/slab.h>
#include <rn/vmstat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A tiny reservation, of so many MiB. */
#define RESERVED	(LESS > 1 ? 32 : 64)

static void reserve(void)
{
	char text[16];

	snprintf(text, sizeof(text), "%dM", RESERVED);
	setenv("RN_RESERVATION", text, 1);
}

/* A chain of objects, each with contents behind the link. */
struct link {
	struct link *next;
	size_t size;
	char bytes[];
};

static struct link *take(size_t size, rn_gfp_t flags)
{
	struct link *l = rn_alloc(size, flags);

	if (l) {
		l->size = size;
		pattern_set(l->bytes, size - sizeof(*l), size);
	}
	return l;
}

static void check_link(const struct link *l)
{
	ck_assert(pattern_ok(l->bytes, l->size - sizeof(*l), l->size));
}

/* Takes objects of @size until there are no more; how many it got. */
static unsigned long fill(struct link **chain, size_t size, rn_gfp_t flags)
{
	unsigned long n = 0;
	struct link *l;

	errno = 0;
	while ((l = take(size, flags))) {
		l->next = *chain;
		*chain = l;
		n++;
	}
	ck_assert_int_eq(errno, ENOMEM);
	return n;
}

/* Frees every @every-th of the chain, after a look at all; how many. */
static unsigned long thin_out(struct link **chain, unsigned int every)
{
	unsigned long seen = 0, freed = 0;
	struct link **at = chain;

	while (*at) {
		struct link *l = *at;

		check_link(l);
		if (++seen % every) {
			at = &l->next;
			continue;
		}
		*at = l->next;
		rn_free(l);
		freed++;
	}
	return freed;
}

static void everything_still_works(void)
{
	static const size_t some[] = { 16, 100, 1000, 10000, 100000, 2 << 20 };

	for (size_t i = 0; i < ARRAY_LEN(some); i++) {
		struct link *l = take(some[i], 0);

		ck_assert_msg(l, "%zu bytes", some[i]);
		check_link(l);
		l = rn_realloc(l, 2 * some[i], 0);
		ck_assert_ptr_nonnull(l);
		rn_free(l);
	}
	free(dump_text(rn_slabinfo));
	free(dump_text(rn_vmstat));
}

/* Runs into the wall with each size, gives half back, and so on. */
static void exhaust(void)
{
	static const size_t sizes[] = { 240, 5000, 70000, 3 << 20 };
	unsigned long before = slabinfo_active(), first[ARRAY_LEN(sizes)];

	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
			struct link *chain = NULL;
			unsigned long n = fill(&chain, sizes[i], 0), freed;

			ck_assert_uint_gt(n, 0);
			ck_assert_ptr_null(rn_alloc(64 << 20, 0));
			ck_assert_int_eq(errno, ENOMEM);
			freed = thin_out(&chain, 2);
			ck_assert_uint_ge(fill(&chain, sizes[i], 0), freed);
			thin_out(&chain, 1);
			ck_assert_ptr_null(chain);
			rn_shrink_all();
			everything_still_works();
			/* What was had once can be had again. */
			if (round)
				ck_assert_uint_ge(n + n / 20, first[i]);
			first[i] = n;
		}
	}
	ck_assert_uint_eq(slabinfo_active(), before);
}

START_TEST(tiny_reservation)
{
	reserve();
	exhaust();
}
END_TEST

/* Memory of other sizes is found in what one size gave back. */
START_TEST(other_sizes_find_it)
{
	struct link *small = NULL, *large = NULL;

	reserve();
	fill(&small, 200, 0);
	ck_assert_ptr_null(take(100000, 0));
	thin_out(&small, 1);
	rn_shrink_all();
	ck_assert_uint_gt(fill(&large, 100000, 0), RESERVED * 9 / 2);
	thin_out(&large, 1);
	ck_assert_uint_gt(fill(&small, 200, 0), RESERVED * 3000);
	thin_out(&small, 1);
}
END_TEST

/* Without help: what lies idle in one cache must not starve another. */
START_TEST(no_shrink_needed)
{
	struct link *small = NULL, *large = NULL;
	unsigned long n;

	reserve();
	fill(&small, 200, 0);
	thin_out(&small, 1);
	n = fill(&large, 100000, 0);
	/* All of it: 25 pages take a free range of 32. */
	ck_assert_uint_eq(n, (RESERVED << 20) / (32 << 12));
	thin_out(&large, 1);
}
END_TEST

/* To one CPU: the first of those allowed, or the last. */
static void pin(bool last)
{
	cpu_set_t set, one;
	int cpu = last ? CPU_SETSIZE - 1 : 0;

	ck_assert_int_eq(sched_getaffinity(0, sizeof(set), &set), 0);
	while (!CPU_ISSET(cpu, &set))
		cpu += last ? -1 : 1;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	ck_assert_int_eq(sched_setaffinity(0, sizeof(one), &one), 0);
}

static struct link *shared_chain;
static unsigned long nr_freed;

static void *free_half(void *arg)
{
	pin(true);
	nr_freed = thin_out(&shared_chain, 2);
	return arg;
}

/*
 * NULL means that there is none: what sheaves hold, this CPU's and others', is
 * given out first.
 */
START_TEST(sheaves_are_no_hiding_place)
{
	static const size_t sizes[] = { 240, 5000 };
	pthread_t t;

	reserve();
	fill(&shared_chain, sizes[_i], 0);
	rn_shrink_all();
	ck_assert_uint_eq(fill(&shared_chain, sizes[_i], 0), 0);
	/* The other thread begins with all CPUs allowed. */
	ck_assert_int_eq(pthread_create(&t, NULL, free_half, NULL), 0);
	pthread_join(t, NULL);
	pin(false);
	ck_assert_uint_eq(fill(&shared_chain, sizes[_i], 0), nr_freed);
	thin_out(&shared_chain, 1);
}
END_TEST

/* --- the system says no --- */

/* Sets a limit so far above what is there now; NULL, or why there is none. */
static const char *cannot_limit(size_t more)
{
	long kb = status_value("VmSize");

	if (SANITIZED)
		return "a sanitizer's own mappings would be what the limit "
		       "stops";
	ck_assert_int_gt(kb, 0);
	return limit_address_space(((size_t)kb << 10) + more) ? NULL :
		"RLIMIT_AS has no effect";
}

START_TEST(address_space_limit)
{
	const char *why = cannot_limit(160 << 20);

	if (why)
		skip_part("address_space_limit", why);
	else
		exhaust();
}
END_TEST

/* Not even a start: every function says so, and nothing else happens. */
START_TEST(no_address_space_at_all)
{
	struct rn_cache_args args = { .sz = sizeof(args), .size = 64 };
	const char *why = cannot_limit(1 << 20);
	char *said;

	if (why) {
		skip_part("no_address_space_at_all", why);
		return;
	}
	stderr_catch();
	for (int i = 0; i < 2; i++) {
		errno = 0;
		ck_assert_ptr_null(rn_alloc(opaque(64), 0));
		ck_assert_int_eq(errno, ENOMEM);
		errno = 0;
		ck_assert_ptr_null(rn_zalloc(opaque(1 << 20), 0));
		ck_assert_int_eq(errno, ENOMEM);
		errno = 0;
		ck_assert_ptr_null(rn_alloc_pages(0, 0, RN_NO_NODE));
		ck_assert_int_eq(errno, ENOMEM);
		errno = 0;
		ck_assert_ptr_null(rn_cache_create("none", &args));
		ck_assert_int_eq(errno, ENOMEM);
		ck_assert_ptr_null(RN_CACHE(struct link));
		ck_assert_int_eq(rn_slabinfo(1), -ENOMEM);
		ck_assert_int_eq(rn_vmstat(1), -ENOMEM);
		ck_assert_int_eq(rn_reserve(1 << 20, RN_NO_NODE, 0), -ENOMEM);
		ck_assert_uint_eq(rn_shrink_all(), 0);
		rn_free(NULL);
	}
	said = stderr_caught();
	ck_assert_str_eq(said, "libslab: cannot start: Cannot allocate "
			 "memory\n");
	free(said);
}
END_TEST

/* --- RN_NOFAIL --- */

static void *volatile got;

static void *wait_for_memory(void *arg)
{
	got = take((size_t)arg, RN_NOFAIL);
	return NULL;
}

START_TEST(nofail_waits)
{
	static const size_t sizes[] = { 1000, 70000 };
	size_t size = sizes[_i];
	struct link *chain = NULL, *l;
	pthread_t t;

	reserve();
	fill(&chain, size, 0);
	ck_assert_int_eq(pthread_create(&t, NULL, wait_for_memory,
					(void *)size), 0);
	usleep(300000);
	/* Nothing can have come free: it waits. */
	ck_assert_ptr_null(got);
	thin_out(&chain, 2);
	ck_assert_int_eq(pthread_join(t, NULL), 0);
	l = got;
	ck_assert_ptr_nonnull(l);
	check_link(l);
	rn_free(l);
	thin_out(&chain, 1);
}
END_TEST

START_TEST(nowait_at_the_wall)
{
	struct link *chain = NULL;

	reserve();
	fill(&chain, 1000, 0);
	ck_assert_ptr_null(take(1000, RN_NOWAIT));
	ck_assert_int_eq(errno, ENOMEM);
	thin_out(&chain, 1);
	everything_still_works();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("exhaustion");
	TCase *ours = tcase_create("reservation");
	TCase *system = tcase_create("system");
	TCase *nofail = tcase_create("nofail");

	tcase_add_test(ours, tiny_reservation);
	tcase_add_test(ours, other_sizes_find_it);
	tcase_add_test(ours, no_shrink_needed);
	tcase_add_loop_test(ours, sheaves_are_no_hiding_place, 0, 2);
	tcase_add_test(system, address_space_limit);
	tcase_add_test(system, no_address_space_at_all);
	tcase_add_loop_test(nofail, nofail_waits, 0, 2);
	tcase_add_test(nofail, nowait_at_the_wall);
	tcase_set_timeout(ours, 60);
	tcase_set_timeout(system, 60);
	tcase_set_timeout(nofail, 60);
	suite_add_tcase(s, ours);
	suite_add_tcase(s, system);
	suite_add_tcase(s, nofail);
	return suite_main(s);
}

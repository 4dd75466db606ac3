// SPDX-License-Identifier: MIT
/*
 * The ladder from within: pools that are empty or run out, limits on address
 * space, reservations, 1 GiB pages.
 *
 * Each test is a process of its own and starts the library as it needs it.
 */
#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "helpers.h"
#include "zone_census.h"

/* --- the ladder --- */

START_TEST(empty_pool_steps_down)
{
	struct zone *z;
	u32 pfn;

	NEED_HUGE();
	ck_assert_int_eq(huge_set_free(0), 0);
	start("hugetlb,small");
	z = my_zone();
	pfn = pages_alloc(3 * PAGEBLOCK_PAGES, 0, 0, NULL);
	ck_assert_uint_ne(pfn, NO_PFN);
	memset(pfn_to_ptr(pfn), 1, 3 * PAGEBLOCK_BYTES);
	ck_assert_uint_eq(z->nr_up[BACKING_SMALL], 3);
	ck_assert_uint_eq(z->nr_up[BACKING_HUGETLB], 0);
	ck_assert_uint_eq(z->steps[BACKING_HUGETLB][STEP_POOL_EMPTY], 1);
	errno = 0;
	ck_assert_uint_eq(pages_alloc(1, 0, RN_HUGETLB, NULL), NO_PFN);
	ck_assert_int_eq(errno, ENOMEM);
	pages_free(pfn, 3 * PAGEBLOCK_PAGES);
	check_zone(z);
}
END_TEST

START_TEST(pool_runs_out_half_way)
{
	enum { N = 8, POOL = 3 };
	u32 pfn[N];
	struct zone *z;

	NEED_HUGE();
	ck_assert_int_eq(huge_set_free(POOL), 0);
	start("hugetlb,thp,small");
	z = my_zone();
	for (int i = 0; i < N; i++) {
		pfn[i] = pages_alloc(PAGEBLOCK_PAGES, 0, 0, NULL);
		ck_assert_uint_ne(pfn[i], NO_PFN);
		memset(pfn_to_ptr(pfn[i]), i, PAGEBLOCK_BYTES);
	}
	ck_assert_uint_eq(z->nr_up[BACKING_HUGETLB], POOL);
	ck_assert_uint_eq(z->nr_up[BACKING_THP] + z->nr_up[BACKING_SMALL],
			  N - POOL);
	ck_assert_uint_eq(z->steps[BACKING_HUGETLB][STEP_POOL_EMPTY],
			  N - POOL);
	/* Hugetlb only: what is up and idle, else nothing. */
	ck_assert_uint_eq(pages_alloc(1, 0, RN_HUGETLB, NULL), NO_PFN);
	pages_free(pfn[1], PAGEBLOCK_PAGES);
	ck_assert_uint_eq(pages_alloc(1, 0, RN_HUGETLB, NULL), pfn[1]);
	check_zone(z);
}
END_TEST

/* A run longer than the pool comes from one rung as a whole. */
START_TEST(run_longer_than_the_pool)
{
	struct zone *z;
	u32 pfn;

	NEED_HUGE();
	ck_assert_int_eq(huge_set_free(2), 0);
	start("hugetlb,small");
	z = my_zone();
	pfn = pages_alloc(5 * PAGEBLOCK_PAGES, 0, 0, NULL);
	ck_assert_uint_ne(pfn, NO_PFN);
	ck_assert_uint_eq(z->nr_up[BACKING_SMALL], 5);
	ck_assert_int_eq(huge_mine(), 0);
}
END_TEST

START_TEST(thp_is_counted_by_what_is_there)
{
	struct zone *z;
	u64 not_huge;

	start("thp,small");
	z = my_zone();
	if (!thp_enabled()) {
		ck_assert_uint_ne(pages_alloc(1, 0, 0, NULL), NO_PFN);
		ck_assert_uint_eq(z->nr_up[BACKING_THP], 0);
		ck_assert_uint_gt(z->steps[BACKING_THP][STEP_UNSUPPORTED], 0);
		return;
	}
	for (int i = 0; i < 4; i++)
		pages_alloc(PAGEBLOCK_PAGES, 0, 0, NULL);
	not_huge = z->steps[BACKING_THP][STEP_NOT_HUGE];
	ck_assert_uint_eq(z->nr_up[BACKING_THP] + not_huge, 4);
	ck_assert_uint_eq(z->nr_up[BACKING_SMALL], not_huge);
	if (thp_bytes_in(z->first, z->high))
		ck_assert_uint_eq(thp_bytes_in(z->first, z->high),
				  (u64)z->nr_up[BACKING_THP] * PAGEBLOCK_BYTES);
}
END_TEST

static u32 refused;

static void refuse(u32 block)
{
	(void)block;
	refused++;
}

/* Without advice no huge page comes where THP is "madvise". */
START_TEST(small_pages_are_not_taken_for_thp)
{
	u32 pfn;

	start("small");
	pfn = pages_alloc(PAGEBLOCK_PAGES, 0, 0, NULL);
	memset(pfn_to_ptr(pfn), 1, PAGEBLOCK_BYTES);
	thp_verify(pfn >> PAGEBLOCK_ORDER, 1, refuse);
	ck_assert_uint_eq(refused, 1);
}
END_TEST

/* Takes all there is, chained through the first word; NULL is the end. */
static u32 exhaust(u32 nr, u32 *last)
{
	u32 n = 0, pfn;

	*last = NO_PFN;
	while ((pfn = pages_alloc(nr, 0, 0, NULL)) != NO_PFN) {
		*(u32 *)pfn_to_ptr(pfn) = *last;
		*last = pfn;
		n++;
	}
	ck_assert_int_eq(errno, ENOMEM);
	return n;
}

static void free_chain(u32 nr, u32 last)
{
	while (last != NO_PFN) {
		u32 next = *(u32 *)pfn_to_ptr(last);

		pages_free(last, nr);
		last = next;
	}
}

#if defined(__SANITIZE_ADDRESS__) || defined(RN_TSAN)
#define LIMITS_WORK 0	/* the shadow is address space too */
#else
#define LIMITS_WORK 1
#endif

static struct rlimit as_before;

/* Sets a limit; NULL, or why there is none. */
static const char *cannot_limit(size_t bytes)
{
	if (!LIMITS_WORK)
		return "no RLIMIT_AS under a sanitizer";
	getrlimit(RLIMIT_AS, &as_before);
	return limit_address_space(bytes) ? NULL : "RLIMIT_AS has no effect";
}

#define NEED_LIMIT(bytes) do {						\
	const char *why = cannot_limit(bytes);				\
									\
	if (why) {							\
		skip_part(__func__, why);				\
		return;							\
	}								\
} while (0)

START_TEST(address_space_limited_before)
{
	size_t limit = 512 * MIB, slots = sysconf(_SC_NPROCESSORS_CONF) *
			(2 * MIB);
	u32 last, n, again;
	void *p;

	NEED_LIMIT(limit);
	start("small");
	/* Reserved as it is used: others have what the heap has not. */
	p = mmap(NULL, limit / 2, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		 0);
	ck_assert_ptr_ne(p, MAP_FAILED);
	ck_assert(!mem_has(p));
	munmap(p, limit / 2);
	n = exhaust(PAGEBLOCK_PAGES, &last);
	ck_assert_uint_ge(n, (limit - slots) / PAGEBLOCK_BYTES / 4 * 3);
	free_chain(PAGEBLOCK_PAGES, last);
	check_zone(my_zone());
	again = exhaust(100, &last);
	ck_assert_uint_ge(again, n);
	free_chain(100, last);
	ck_assert_uint_eq(check_zone(my_zone()).partial, 0);
}
END_TEST

START_TEST(address_space_limited_later)
{
	u32 first, last;

	start("small");
	first = pages_alloc(1, 0, 0, NULL);
	ck_assert_uint_ne(first, NO_PFN);
	NEED_LIMIT(512 * MIB);
	exhaust(PAGEBLOCK_PAGES, &last);
	/* What was up still serves. */
	ck_assert_uint_ne(pages_alloc(1, 0, 0, NULL), NO_PFN);
	free_chain(PAGEBLOCK_PAGES, last);
	setrlimit(RLIMIT_AS, &as_before);
	ck_assert_uint_ne(pages_alloc(PAGEBLOCK_PAGES, 0, 0, NULL), NO_PFN);
	check_zone(my_zone());
}
END_TEST

START_TEST(scattered_idle_blocks_make_room)
{
	u32 last, kept[2];

	NEED_LIMIT(256 * MIB);
	start("small");
	kept[0] = pages_alloc(1, 0, 0, NULL);
	exhaust(PAGEBLOCK_PAGES, &last);
	free_chain(PAGEBLOCK_PAGES, last);
	/* As long as half of the stripe: only where all else is unused. */
	kept[1] = pages_alloc(my_zone()->nr_blocks / 2 * PAGEBLOCK_PAGES, 0, 0,
			      NULL);
	ck_assert_uint_ne(kept[1], NO_PFN);
	ck_assert_uint_ne(kept[0], kept[1]);
}
END_TEST

/* --- reservations --- */

static void unreserve(struct zone *z)
{
	lock(&z->lock);
	z->reserved = 0;
	unlock(&z->lock);
}

/* qemu-user says yes to this advice, as to any, and does nothing. */
static bool populating_is_feigned(void)
{
	size_t bytes = sysconf(_SC_PAGESIZE);
	unsigned char in_core;
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bool said_yes = !madvise(p, bytes, MADV_POPULATE_WRITE);

	ck_assert_int_eq(mincore(p, bytes, &in_core), 0);
	munmap(p, bytes);
	return said_yes && !(in_core & 1);
}

static void expect_populated(u32 pfn)
{
	unsigned char in_core[PAGEBLOCK_PAGES];

	if (populating_is_feigned()) {
		skip_part("all populated", "MADV_POPULATE_WRITE has no effect");
		return;
	}
	ck_assert_int_eq(mincore(pfn_to_ptr(pfn), PAGEBLOCK_BYTES, in_core), 0);
	for (size_t i = 0; i < PAGEBLOCK_BYTES / sysconf(_SC_PAGESIZE); i++)
		ck_assert(in_core[i] & 1);
}

START_TEST(reserve_is_whole_and_stays)
{
	enum { BLOCKS = 8 };
	struct zone *z;
	u32 pfn;

	start("small");
	z = my_zone();
	ck_assert_int_eq(rn_reserve(BLOCKS * PAGEBLOCK_BYTES - 1, RN_NO_NODE,
				    0), 0);
	ck_assert_uint_eq(zone_nr_idle(z), BLOCKS);
	pfn = pages_alloc(BLOCKS * PAGEBLOCK_PAGES, 0, RN_NOWAIT, NULL);
	ck_assert_uint_ne(pfn, NO_PFN);
	expect_populated(pfn + 3 * PAGEBLOCK_PAGES);
	pages_free(pfn, BLOCKS * PAGEBLOCK_PAGES);
	ck_assert_uint_eq(pages_shrink(), 0);
	ck_assert_uint_eq(check_zone(z).idle, BLOCKS);
	unreserve(z);
	ck_assert_uint_eq(pages_shrink(), BLOCKS * PAGEBLOCK_BYTES);
	ck_assert_uint_eq(check_zone(z).used, 0);
}
END_TEST

START_TEST(failed_reserve_leaves_nothing)
{
	struct zone *z;

	NEED_HUGE();
	ck_assert_int_eq(huge_set_free(5), 0);
	start("hugetlb,small");
	z = my_zone();
	ck_assert_int_eq(rn_reserve(8 * PAGEBLOCK_BYTES, RN_NO_NODE,
				    RN_RESERVE_HUGETLB), -ENOMEM);
	ck_assert_uint_eq(check_zone(z).used, 0);
	ck_assert_uint_eq(z->reserved, 0);
	ck_assert_int_eq(huge_mine(), 0);
	ck_assert_int_eq(rn_reserve(5 * PAGEBLOCK_BYTES, RN_NO_NODE,
				    RN_RESERVE_HUGETLB), 0);
	ck_assert_uint_eq(z->nr_up[BACKING_HUGETLB], 5);
	ck_assert_int_eq(huge_mine(), 5 * PAGEBLOCK_BYTES);
	/* The rest of the ladder is open to one that does not insist. */
	ck_assert_int_eq(rn_reserve(3 * PAGEBLOCK_BYTES, RN_NO_NODE, 0), 0);
	ck_assert_uint_eq(z->nr_up[BACKING_SMALL], 3);
	unreserve(z);
	pages_shrink();
	ck_assert_uint_eq(check_zone(z).used, 0);
	ck_assert_int_eq(huge_mine(), 0);
}
END_TEST

/* Refused, not killed for. */
static void expect_more_than_there_is_refused(void)
{
	size_t stripe = mem.bytes / mem.nr_stripes;
	size_t memory = sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);

	if (stripe > memory)
		ck_assert_int_eq(rn_reserve(stripe, RN_NO_NODE, 0), -ENOMEM);
	else
		skip_part("more than there is",
			  "RN_RESERVATION is less than the memory");
}

START_TEST(bad_reserves_are_refused)
{
	start("small");
	ck_assert_int_eq(rn_reserve(MIB, nr_node_ids(), 0), -EINVAL);
	ck_assert_int_eq(rn_reserve(MIB, -2, 0), -EINVAL);
	ck_assert_int_eq(rn_reserve(MIB, RN_NO_NODE, 4), -EINVAL);
	ck_assert_int_eq(rn_reserve(MIB, RN_NO_NODE, RN_RESERVE_SHIFT(13)),
			 -EINVAL);
	ck_assert_int_eq(rn_reserve(SIZE_MAX, RN_NO_NODE, 0), -ENOMEM);
	expect_more_than_there_is_refused();
	ck_assert_int_eq(rn_reserve(0, RN_NO_NODE, 0), 0);
	ck_assert_uint_eq(check_zone(my_zone()).used, 0);
}
END_TEST

/* --- 1 GiB pages, where the system can be made to give one --- */

#define GIB_POOL "/sys/kernel/mm/hugepages/hugepages-1048576kB/"

static int gib_figure(const char *name)
{
	FILE *f = fopen(name, "r");
	int n = -1;

	if (!f)
		return -1;
	if (fscanf(f, "%d", &n) != 1)
		n = -1;
	fclose(f);
	return n;
}

static void gib_write(int n)
{
	FILE *f = n < 0 ? NULL : fopen(GIB_POOL "nr_hugepages", "w");

	if (!f)
		return;
	fprintf(f, "%d", n);
	fclose(f);
}

static int gib_before = -1;	/* the pool as it was, put back by main() */

START_TEST(gigantic_pages_come_and_go_whole)
{
	enum { BLOCKS = 512 };
	struct zone *z;
	u32 pfn;

	NEED_HUGE();
	gib_write(gib_before + 1);
	if (gib_figure(GIB_POOL "free_hugepages") < 1) {
		printf("SKIP %s: no 1 GiB page can be had\n", __func__);
		return;
	}
	start("hugetlb,small");
	z = my_zone();
	ck_assert_int_eq(rn_reserve(3 * MIB, RN_NO_NODE, RN_RESERVE_HUGETLB |
				    RN_RESERVE_SHIFT(30)), 0);
	ck_assert_uint_eq(z->nr_up[BACKING_HUGETLB], BLOCKS);
	pfn = pages_alloc(1, 0, RN_HUGETLB | RN_NOWAIT, NULL);
	ck_assert_uint_ne(pfn, NO_PFN);
	ck_assert_uint_eq(pfn % (BLOCKS * PAGEBLOCK_PAGES), 0);
	memset(pfn_to_ptr(pfn), 1, PAGE_BYTES);
	/* All but one block are idle, and none can go. */
	unreserve(z);
	ck_assert_uint_eq(pages_shrink(), 0);
	ck_assert_uint_eq(check_zone(z).idle, BLOCKS - 1);
	pages_free(pfn, 1);
	ck_assert_uint_eq(pages_shrink(), BLOCKS * PAGEBLOCK_BYTES);
	ck_assert_uint_eq(check_zone(z).used, 0);
}
END_TEST

static void add_ladder_tests(Suite *s)
{
	TCase *t = tcase(s, "ladder");

	tcase_add_test(t, empty_pool_steps_down);
	tcase_add_test(t, pool_runs_out_half_way);
	tcase_add_test(t, run_longer_than_the_pool);
	tcase_add_test(t, thp_is_counted_by_what_is_there);
	tcase_add_test(t, small_pages_are_not_taken_for_thp);
	tcase_add_test(t, address_space_limited_before);
	tcase_add_test(t, address_space_limited_later);
	tcase_add_test(t, scattered_idle_blocks_make_room);
	t = tcase(s, "reserve");
	tcase_add_test(t, reserve_is_whole_and_stays);
	tcase_add_test(t, failed_reserve_leaves_nothing);
	tcase_add_test(t, bad_reserves_are_refused);
	tcase_add_test(t, gigantic_pages_come_and_go_whole);
}

int main(void)
{
	Suite *s = suite_create("ladder");
	int ret;

	no_huge = huge_begin();
	gib_before = gib_figure(GIB_POOL "nr_hugepages");
	add_ladder_tests(s);
	ret = suite_main(s);
	gib_write(gib_before);
	huge_end();
	return ret;
}

// SPDX-License-Identifier: MIT
/*
 * The page allocator from within: zones against a model under random
 * sequences, the choice of pageblock, small heaps.
 *
 * Each test is a process of its own and starts the library as it needs it.
 */
#include <check.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "helpers.h"
#include "zone_census.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

#define SLOTS		400
#define ROUNDS		20000

/* --- a model: who owns which pages --- */

struct run {
	u32 pfn, nr, tag;
};

static struct run runs[SLOTS];

static void run_fill(const struct run *r)
{
	for (u32 i = 0; i < r->nr; i++) {
		u32 *page = pfn_to_ptr(r->pfn + i);

		page[0] = r->tag;
		page[PAGE_BYTES / 4 - 1] = r->tag + i;
	}
}

/* Two owners of one page, and one of them finds the other's tag. */
static void run_verify(const struct run *r)
{
	for (u32 i = 0; i < r->nr; i++) {
		u32 *page = pfn_to_ptr(r->pfn + i);

		ck_assert_msg(page[0] == r->tag &&
			      page[PAGE_BYTES / 4 - 1] == r->tag + i,
			      "page %u of a run of %u is not its own", i, r->nr);
	}
}

static u32 random_length(void)
{
	switch (rnd(20)) {
	case 0:
		return 1 + rnd(3 * PAGEBLOCK_PAGES);
	case 1:
		return PAGEBLOCK_PAGES;
	case 2:
	case 3:
		return 1 + rnd(PAGEBLOCK_PAGES);
	default:
		return 1 + rnd(16);
	}
}

static void run_new(struct run *r)
{
	u32 align;
	bool zeroed;

	r->nr = random_length();
	r->pfn = pages_alloc(r->nr, numa_local_node(), 0, &zeroed);
	ck_assert_uint_ne(r->pfn, NO_PFN);
	align = min(1U << order_base_2(r->nr), PAGEBLOCK_PAGES);
	ck_assert_uint_eq(r->pfn % align, 0);
	if (zeroed)
		ck_assert(is_zero(r->pfn, r->nr));
	r->tag = rnd(UINT32_MAX);
	run_fill(r);
}

static void run_end(struct run *r)
{
	run_verify(r);
	pages_free(r->pfn, r->nr);
	r->nr = 0;
}

static void run_extend(struct run *r)
{
	u32 more = 1 + rnd(2 * PAGEBLOCK_PAGES);

	if (!pages_extend(r->pfn, r->nr, r->nr + more, 0))
		return;
	run_verify(r);
	r->nr += more;
	run_fill(r);
}

static void run_cut(struct run *r)
{
	u32 keep = 1 + rnd(r->nr);

	if (keep == r->nr)
		return;
	pages_free(r->pfn + keep, r->nr - keep);
	r->nr = keep;
}

static u64 model_held(void)
{
	u64 n = 0;

	for (int i = 0; i < SLOTS; i++)
		n += runs[i].nr;
	return n;
}

static void random_sequence(const char *ladder)
{
	struct census c;

	start(ladder);
	for (int i = 0; i < ROUNDS / LESS; i++) {
		struct run *r = &runs[rnd(SLOTS)];

		if (!r->nr)
			run_new(r);
		else if (rnd(8) == 0)
			run_extend(r);
		else if (rnd(8) == 0)
			run_cut(r);
		else
			run_end(r);
		if (i % (2000 / LESS))
			continue;
		if (rnd(2))
			pages_shrink();
		c = check_zone(my_zone());
		ck_assert_uint_eq((u64)zone_nr_up(my_zone()) * PAGEBLOCK_PAGES,
				  c.free_pages + model_held());
	}
	for (int i = 0; i < SLOTS; i++)
		if (runs[i].nr)
			run_end(&runs[i]);
	c = check_zone(my_zone());
	ck_assert_uint_eq(c.partial + c.full, 0);
	pages_shrink();
	ck_assert_uint_eq(zone_nr_up(my_zone()), 0);
	ck_assert_uint_eq(check_zone(my_zone()).used, 0);
}

START_TEST(random_small)
{
	random_sequence("small");
}
END_TEST

START_TEST(random_thp)
{
	random_sequence("thp,small");
}
END_TEST

START_TEST(random_hugetlb)
{
	NEED_HUGE();
	ck_assert_int_eq(huge_set_free(16), 0);
	random_sequence("hugetlb,thp,small");
	ck_assert_uint_gt(my_zone()->online[BACKING_HUGETLB], 0);
	ck_assert_int_eq(huge_mine(), 0);
}
END_TEST

/* --- several threads: the same, each with runs of its own --- */

#define THREADS		4
#define THREAD_SLOTS	40
#define THREAD_ROUNDS	3000

static void *thread_main(void *arg)
{
	struct run mine[THREAD_SLOTS] = { 0 };

	seed += (uintptr_t)arg * 1000003;
	for (int i = 0; i < THREAD_ROUNDS / LESS; i++) {
		struct run *r = &mine[rnd(THREAD_SLOTS)];

		if (!r->nr)
			run_new(r);
		else if (rnd(8) == 0)
			run_extend(r);
		else if (rnd(8) == 0)
			run_cut(r);
		else
			run_end(r);
		if (rnd(200) == 0)
			pages_shrink();
	}
	for (int i = 0; i < THREAD_SLOTS; i++)
		if (mine[i].nr)
			run_end(&mine[i]);
	return NULL;
}

START_TEST(random_threads)
{
	pthread_t threads[THREADS];
	struct census c;

	start("small");
	for (uintptr_t i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, thread_main,
						(void *)(i + 1)), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	c = check_zone(my_zone());
	ck_assert_uint_eq(c.partial + c.full, 0);
	pages_shrink();
	ck_assert_uint_eq(check_zone(my_zone()).used, 0);
}
END_TEST

#define CROWD	16

static pthread_barrier_t crowd;

static void *one_of_a_crowd(void *arg)
{
	pthread_barrier_wait(&crowd);
	*(u32 *)arg = pages_alloc(4, numa_local_node(), 0, NULL);
	return NULL;
}

/* All find nothing; one brings up a block, and it has enough for all. */
START_TEST(a_crowd_brings_up_one_block)
{
	pthread_t threads[CROWD];
	u32 pfn[CROWD];

	start("thp,small");
	for (int round = 0; round < 10; round++) {
		pthread_barrier_init(&crowd, NULL, CROWD);
		for (int i = 0; i < CROWD; i++)
			pthread_create(&threads[i], NULL, one_of_a_crowd,
				       &pfn[i]);
		for (int i = 0; i < CROWD; i++) {
			pthread_join(threads[i], NULL);
			ck_assert_uint_ne(pfn[i], NO_PFN);
		}
		ck_assert_uint_eq(zone_nr_up(my_zone()), 1);
		for (int i = 0; i < CROWD; i++)
			pages_free(pfn[i], 4);
		pages_shrink();
		pthread_barrier_destroy(&crowd);
	}
	ck_assert_uint_eq(my_zone()->offline, 10);
}
END_TEST

/* --- choice of pageblock --- */

START_TEST(fullest_sufficient_block_first)
{
	u32 a, b, one;

	start("small");
	/* Two blocks with one free range of 64 pages each, one fuller. */
	a = pages_alloc(PAGEBLOCK_PAGES, 0, 0, NULL);
	b = pages_alloc(PAGEBLOCK_PAGES, 0, 0, NULL);
	ck_assert_uint_ne(a, NO_PFN);
	ck_assert_uint_ne(b, NO_PFN);
	pages_free(a + 64, 64);
	pages_free(b + 64, 64);
	pages_free(a + 192, 32);
	pages_free(a + 256, 32);
	one = pages_alloc(40, 0, 0, NULL);
	ck_assert_uint_eq(one >> PAGEBLOCK_ORDER, b >> PAGEBLOCK_ORDER);
	/* A shorter range that suffices comes before a fuller block. */
	one = pages_alloc(30, 0, 0, NULL);
	ck_assert_uint_eq(one >> PAGEBLOCK_ORDER, a >> PAGEBLOCK_ORDER);
	check_zone(my_zone());
}
END_TEST

START_TEST(runs_leave_their_tail_free)
{
	u32 run, one;

	start("small");
	NEED_ONE_NODE();
	run = pages_alloc(PAGEBLOCK_PAGES + 188, 0, 0, NULL);
	ck_assert_uint_eq(run % PAGEBLOCK_PAGES, 0);
	ck_assert_uint_eq(zone_nr_up(my_zone()), 2);
	one = pages_alloc(256, 0, 0, NULL);
	ck_assert_uint_eq(one, run + PAGEBLOCK_PAGES + 256);
	ck_assert_uint_eq(zone_nr_up(my_zone()), 2);
	pages_free(run, PAGEBLOCK_PAGES + 188);
	ck_assert_uint_eq(check_zone(my_zone()).blank, 1);
	pages_free(one, 256);
	ck_assert_uint_eq(check_zone(my_zone()).idle, 1);
}
END_TEST

START_TEST(idle_blocks_are_given_back)
{
	enum { N = 200 };
	static u32 pfn[N];
	struct zone *z;

	start("small");
	z = my_zone();
	for (int i = 0; i < N; i++)
		pfn[i] = pages_alloc(PAGEBLOCK_PAGES, 0, 0, NULL);
	ck_assert_uint_ge(zone_nr_up(z), N);
	for (int i = 0; i < N; i++)
		pages_free(pfn[i], PAGEBLOCK_PAGES);
	ck_assert_uint_le(check_zone(z).idle, 8);
	ck_assert_uint_gt(z->offline, N / 2);
	ck_assert_uint_gt(pages_shrink(), 0);
	ck_assert_uint_eq(zone_nr_up(z), 0);
}
END_TEST

/* A boundary that a load crosses back and forth costs nothing. */
START_TEST(no_thrash_at_a_boundary)
{
	struct zone *z;
	u64 before;
	u32 pfn;

	start("small");
	z = my_zone();
	for (int i = 0; i < 4; i++)
		pages_alloc(PAGEBLOCK_PAGES, 0, 0, NULL);
	pages_free(pages_alloc(1, 0, 0, NULL), 1);
	before = z->online[BACKING_SMALL];
	for (int i = 0; i < 1000; i++) {
		pfn = pages_alloc(1, 0, 0, NULL);
		pages_free(pfn, 1);
	}
	ck_assert_uint_eq(z->online[BACKING_SMALL], before);
	ck_assert_uint_eq(z->offline, 0);
}
END_TEST

START_TEST(what_is_down_stays_reserved)
{
	char *p, *other;
	u32 pfn;

	start("small");
	pfn = pages_alloc(PAGEBLOCK_PAGES, 0, 0, NULL);
	p = pfn_to_ptr(pfn);
	*p = 1;
	ck_assert(readable(p));
	pages_free(pfn, PAGEBLOCK_PAGES);
	pages_shrink();
	ck_assert(!readable(p));
	/* Nobody else can be given that address. */
	other = mmap(p, PAGEBLOCK_BYTES, PROT_READ,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	ck_assert(other == MAP_FAILED || other != p);
	ck_assert_uint_eq(pages_alloc(PAGEBLOCK_PAGES, 0, 0, NULL), pfn);
	ck_assert_int_eq(*p, 0);
}
END_TEST

START_TEST(very_large_runs_go_at_once)
{
	u32 nr = (HUGE_RUN_BLOCKS << PAGEBLOCK_ORDER) + 100, pfn;
	struct zone *z;
	bool zeroed;

	start("small");
	z = my_zone();
	pfn = pages_alloc(nr, 0, 0, &zeroed);
	ck_assert_uint_ne(pfn, NO_PFN);
	ck_assert(zeroed);
	memset(pfn_to_ptr(pfn), 1, PAGE_BYTES);
	ck_assert_uint_eq(zone_nr_up(z), HUGE_RUN_BLOCKS + 1);
	pages_free(pfn, nr);
	ck_assert_uint_eq(zone_nr_up(z), 0);
	check_zone(z);
}
END_TEST

/* --- small heaps --- */

/* Base pages and untouched up to the limit, the ladder from there on. */
START_TEST(small_first_then_the_ladder)
{
	struct zone *z;
	u32 pfn;

	start("thp,small");
	NEED_ONE_NODE();
	options.small_first = 2 * PAGEBLOCK_BYTES;
	z = my_zone();
	pfn = pages_alloc(4, 0, 0, NULL);
	ck_assert_uint_eq(z->nr_up[BACKING_SMALL], 1);
	if (!numa_several())
		ck_assert_uint_eq(resident(ALIGN_DOWN(pfn, PAGEBLOCK_PAGES),
					   PAGEBLOCK_PAGES), 0);
	memset(pfn_to_ptr(pfn), 1, PAGE_BYTES);
	ck_assert_uint_eq(thp_bytes_in(pfn >> PAGEBLOCK_ORDER, 1), 0);
	/* A long run does not count, and is not concerned. */
	ck_assert_uint_ne(pages_alloc(3 * PAGEBLOCK_PAGES, 0, 0, NULL), NO_PFN);
	pages_alloc(PAGEBLOCK_PAGES / 2, 0, 0, NULL);
	pages_alloc(PAGEBLOCK_PAGES / 2, 0, 0, NULL);
	ck_assert_uint_eq(z->nr_up[BACKING_SMALL], 2 + 3);
	ck_assert_uint_eq(z->nr_up[BACKING_THP], 0);
	pages_alloc(PAGEBLOCK_PAGES, 0, 0, NULL);
	ck_assert_uint_eq(zone_nr_up(z), 3 + 3);
	if (thp_enabled())
		ck_assert_uint_eq(z->nr_up[BACKING_THP] +
				  z->steps[BACKING_THP][STEP_NOT_HUGE], 1);
	check_zone(z);
}
END_TEST

static bool can_collapse(void)
{
	char *p = aligned_alloc(PAGEBLOCK_BYTES, PAGEBLOCK_BYTES);
	bool can;

	memset(p, 1, PAGEBLOCK_BYTES);
	can = thp_enabled() && !madvise(p, PAGEBLOCK_BYTES, MADV_HUGEPAGE) &&
		!madvise(p, PAGEBLOCK_BYTES, MADV_COLLAPSE);
	free(p);
	return can;
}

/* A block that is full is worth a huge page, and keeps what is in it. */
START_TEST(dense_small_blocks_become_huge)
{
	u32 first = NO_PFN, pfn;
	struct zone *z;

	start("thp,small");
	options.small_first = PAGEBLOCK_BYTES;
	z = my_zone();
	for (u32 i = 0; i < PAGEBLOCK_PAGES / 64; i++) {
		pfn = pages_alloc(64, 0, 0, NULL);
		first = i ? first : pfn;
		ck_assert_uint_eq(pfn, first + 64 * i);
		memset(pfn_to_ptr(pfn), i + 1, 64 * PAGE_BYTES);
	}
	ck_assert_uint_eq(zone_nr_up(z), 1);
	for (u32 i = 0; i < PAGEBLOCK_PAGES / 64 - 1; i++)
		ck_assert_int_eq(*(char *)pfn_to_ptr(first + 64 * i), i + 1);
	/* An emulator takes all advice, and follows none. */
	if (emulator() || !can_collapse()) {
		skip_part(__func__, "no MADV_COLLAPSE, or no huge page");
		return;
	}
	ck_assert_uint_eq(z->nr_up[BACKING_THP], 1);
	ck_assert_uint_eq(thp_bytes_in(first >> PAGEBLOCK_ORDER, 1),
			  PAGEBLOCK_BYTES);
	check_zone(z);
}
END_TEST

START_TEST(nowait_takes_what_is_up)
{
	u32 pfn;

	start("small");
	errno = 0;
	ck_assert_uint_eq(pages_alloc(1, 0, RN_NOWAIT, NULL), NO_PFN);
	ck_assert_int_eq(errno, ENOMEM);
	pfn = pages_alloc(PAGEBLOCK_PAGES, 0, 0, NULL);
	pages_free(pfn, PAGEBLOCK_PAGES);
	ck_assert_uint_eq(pages_alloc(1, 0, RN_NOWAIT, NULL), pfn);
}
END_TEST

static void add_zone_tests(Suite *s)
{
	TCase *t = tcase(s, "zones");

	tcase_add_test(t, random_small);
	tcase_add_test(t, random_thp);
	tcase_add_test(t, random_hugetlb);
	tcase_add_test(t, random_threads);
	tcase_add_test(t, a_crowd_brings_up_one_block);
	tcase_add_test(t, fullest_sufficient_block_first);
	tcase_add_test(t, runs_leave_their_tail_free);
	tcase_add_test(t, idle_blocks_are_given_back);
	tcase_add_test(t, no_thrash_at_a_boundary);
	tcase_add_test(t, what_is_down_stays_reserved);
	tcase_add_test(t, very_large_runs_go_at_once);
	tcase_add_test(t, nowait_takes_what_is_up);
	t = tcase(s, "small heaps");
	tcase_add_test(t, small_first_then_the_ladder);
	tcase_add_test(t, dense_small_blocks_become_huge);
}

int main(void)
{
	Suite *s = suite_create("page_alloc");
	int ret;

	no_huge = huge_begin();
	add_zone_tests(s);
	ret = suite_main(s);
	huge_end();
	return ret;
}

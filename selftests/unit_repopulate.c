// SPDX-License-Identifier: MIT
/*
 * Released and hollow pages where memory has several nodes: they are there, and
 * verified, before anybody has them; what cannot be had from its node is not
 * handed out, and nothing is lost by that.
 *
 * What the kernel says is made up (fake_nodes.h); selftests/numa/ has the same
 * with nodes. Each test is a process of its own.
 */
#define _GNU_SOURCE
#include "helpers.h"

#include "fake_nodes.h"
#include "slab.h"
#include "zone_census.h"

#include <rn/reclaim.h>

#define FOREVER		(~0U)
#define MAX_OBJECTS	64	/* in a slab, of a page each */

static struct zone *z;
static u32 block;	/* its first page is in use, the others are released */

static u32 block_of(u32 pfn)
{
	return pfn >> PAGEBLOCK_ORDER;
}

static const struct pageblock *the_block(void)
{
	return &mem.blocks[block_of(block)];
}

static void begin(void)
{
	start("small");
	z = my_zone();
	block = pages_alloc(PAGEBLOCK_PAGES, z->node, 0, NULL);
	ck_assert_uint_ne(block, NO_PFN);
	touch_pages(block, PAGEBLOCK_PAGES);
	pages_free(block + 1, PAGEBLOCK_PAGES - 1);
	ck_assert_uint_gt(pages_release(0, WHY_TRIM), 0);
	ck_assert_uint_eq(the_block()->nr_released, PAGEBLOCK_PAGES - 1);
	fake_several_nodes();
	fake.asked = fake.populated = 0;
}

/* Where what is populated can be seen: an emulator only says that it did. */
static void expect_resident(u32 pfn, u32 nr, u32 expected)
{
	if (!emulator())
		ck_assert_uint_eq(resident(pfn, nr), expected);
}

/* All is as it was, but for what is counted. */
static void expect_untouched(u64 held)
{
	ck_assert_uint_eq(the_block()->nr_released, PAGEBLOCK_PAGES - 1);
	ck_assert_uint_eq(zone_nr_resident(z), 0);
	expect_resident(block + 1, PAGEBLOCK_PAGES - 1, 0);
	ck_assert_uint_eq(vmstat("limit_held_kbytes"), held);
	expect_touched(block, 1);
	check_zone(z);
}

static u32 alloc(u32 nr, rn_gfp_t flags)
{
	return pages_alloc(nr, z->node, flags, NULL);
}

static bool is_there(u32 pfn)
{
	return pfn != NO_PFN && block_of(pfn) == block_of(block);
}

/* --- runs --- */

START_TEST(they_are_there_before_the_touch)
{
	u32 pfn;

	begin();
	errno = 7;
	pfn = alloc(4, 0);
	ck_assert_int_eq(errno, 7);
	ck_assert(is_there(pfn));
	expect_resident(pfn, 4, 4);
	ck_assert(is_zero(pfn, 4));
	ck_assert_uint_eq(fake.populated, 1);
	ck_assert_uint_eq(fake.asked, 1);
	ck_assert_uint_eq(the_block()->nr_released, PAGEBLOCK_PAGES - 5);
	/* What is resident is not asked for again. */
	pages_free(pfn, 4);
	ck_assert_uint_eq(alloc(4, 0), pfn);
	ck_assert_uint_eq(fake.populated, 1);
	ck_assert_uint_eq(fake.asked, 1);
	check_zone(z);
}
END_TEST

/* On one node they come on the touch, and nobody is asked. */
START_TEST(one_node_makes_no_calls)
{
	u32 pfn;

	begin();
	verify_nodes = false;
	pfn = alloc(4, 0);
	ck_assert(is_there(pfn));
	expect_resident(pfn, 4, 0);
	ck_assert_uint_eq(fake.populated, 0);
	ck_assert_uint_eq(fake.asked, 0);
}
END_TEST

/* From another node, or not at all: another block comes up. */
START_TEST(what_does_not_come_is_not_taken)
{
	enum step step = _i ? STEP_POPULATE : STEP_WRONG_NODE;
	u64 held;
	u32 pfn;

	begin();
	held = vmstat("limit_held_kbytes");
	*(_i ? &fake.none : &fake.far) = 1;
	errno = 7;
	ck_assert_uint_eq(alloc(4, RN_NOWAIT), NO_PFN);
	ck_assert_uint_eq(z->steps[BACKING_SMALL][step], 1);
	ck_assert_uint_eq(fake.populated, 1);
	expect_untouched(held);
	/* For a while it is not asked again. */
	ck_assert_uint_eq(alloc(4, RN_NOWAIT), NO_PFN);
	ck_assert_uint_eq(fake.populated, 1);
	pfn = alloc(4, 0);
	ck_assert(pfn != NO_PFN && !is_there(pfn));
	ck_assert_uint_eq(fake.populated, 2);	/* a new block */
	check_zone(z);
}
END_TEST

START_TEST(after_a_while_they_are_asked_again)
{
	begin();
	fake.far = 1;
	ck_assert_uint_eq(alloc(4, RN_NOWAIT), NO_PFN);
	usleep((FULL_MS + 20) * 1000);
	ck_assert(is_there(alloc(4, RN_NOWAIT)));
	check_zone(z);
}
END_TEST

/* A block that is all there serves, though it is asked after that one. */
START_TEST(what_is_resident_serves)
{
	u64 online;
	u32 other;

	begin();
	other = alloc(PAGEBLOCK_PAGES, 0);
	pages_free(other, PAGEBLOCK_PAGES);
	ck_assert_uint_eq(zone_nr_idle(z), 1);
	online = z->online[BACKING_SMALL];
	fake.asked = 0;
	fake.far = FOREVER;
	ck_assert_uint_eq(block_of(alloc(4, 0)), block_of(other));
	ck_assert_uint_eq(z->online[BACKING_SMALL], online);
	ck_assert_uint_eq(fake.asked, 1);
	check_zone(z);
}
END_TEST

/* Who would get nothing otherwise asks at once. */
START_TEST(it_is_tried_once_more_before_it_fails)
{
	u64 held, hard;

	begin();
	held = vmstat("limit_held_kbytes");
	hard = (held << 10) + 4 * PAGE_BYTES;
	ck_assert_int_eq(rn_set_limit(0, hard), 0);
	fake.far = FOREVER;
	ck_assert_uint_eq(alloc(4, 0), NO_PFN);
	ck_assert_int_eq(errno, ENOMEM);
	ck_assert_uint_eq(fake.asked, 2);
	expect_untouched(held);
	zone_is_short_no_more(z);
	fake.far = 1;
	ck_assert(is_there(alloc(4, 0)));
	check_zone(z);
}
END_TEST

/* What the node's blocks or pages were is memory of that node. */
START_TEST(what_goes_ends_the_time)
{
	u32 other;

	begin();
	other = alloc(PAGEBLOCK_PAGES, 0);
	touch_pages(other, PAGEBLOCK_PAGES);
	for (u32 nr = 1; nr < PAGEBLOCK_PAGES; nr += PAGEBLOCK_PAGES - 2) {
		fake.far = 1;
		ck_assert_uint_eq(alloc(4, RN_NOWAIT), NO_PFN);
		ck_assert(zone_is_short(z));
		/* A page of the block, then all the others. */
		pages_free(nr == 1 ? other : other + 1, nr);
		pages_release(0, WHY_TRIM);
		ck_assert(!zone_is_short(z));
	}
	ck_assert(!block_is_used(z, block_of(other)));
	check_zone(z);
}
END_TEST

START_TEST(a_run_grows_into_them)
{
	u64 held;

	begin();
	held = vmstat("limit_held_kbytes");
	fake.far = 1;
	ck_assert(!pages_extend(block, 1, 9, RN_NOWAIT));
	expect_untouched(held);
	zone_is_short_no_more(z);
	ck_assert(pages_extend(block, 1, 9, RN_NOWAIT));
	expect_resident(block, 9, 9);
	ck_assert_uint_eq(the_block()->nr_released, PAGEBLOCK_PAGES - 9);
	ck_assert_uint_eq(fake.asked, 2);
	check_zone(z);
}
END_TEST

/* Partly released, partly resident, fresh or idle: all is verified. */
START_TEST(random_runs)
{
	enum { SLOTS = 64, MOST = 64 };
	struct { u32 pfn, nr; } runs[SLOTS] = { { 0 } };

	begin();
	for (int i = 0; i < 20000 / LESS; i++) {
		u32 k = rnd(SLOTS), nr = 1 + rnd(MOST);

		if (runs[k].nr)
			expect_touched(runs[k].pfn, runs[k].nr);
		if (!rnd(50))
			pages_release(rnd(64) * PAGE_BYTES, WHY_TRIM);
		if (!rnd(20))
			zone_is_short_no_more(z);
		fake.far = !rnd(4);
		fake.none = !rnd(4);
		if (runs[k].nr && rnd(4)) {
			pages_free(runs[k].pfn, runs[k].nr);
			runs[k].nr = 0;
		} else if (runs[k].nr) {
			if (pages_extend(runs[k].pfn, runs[k].nr,
					 runs[k].nr + nr, 0))
				runs[k].nr += nr;
		} else {
			runs[k].pfn = alloc(nr, 0);
			ck_assert_uint_ne(runs[k].pfn, NO_PFN);
			runs[k].nr = nr;
		}
		if (runs[k].nr) {
			expect_resident(runs[k].pfn, runs[k].nr, runs[k].nr);
			touch_pages(runs[k].pfn, runs[k].nr);
		}
		if (i % 100 == 0)
			check_zone(z);
	}
	ck_assert_uint_gt(z->steps[BACKING_SMALL][STEP_WRONG_NODE], 0);
	ck_assert_uint_gt(z->steps[BACKING_SMALL][STEP_POPULATE], 0);
}
END_TEST

/* --- hollow pages --- */

START_TEST(hollow_pages_stay_hollow)
{
	struct iovec pages;
	u32 pfn;

	begin();
	pfn = alloc(8, 0);
	touch_pages(pfn, 8);
	pages.iov_base = pfn_to_ptr(pfn);
	pages.iov_len = 4 * PAGE_BYTES;
	ck_assert_uint_eq(pages_make_hollow(&pages, 1, WHY_FREE), 1);
	fake.far = 1;
	errno = 7;
	ck_assert(!pages_fill_hollow(pfn, 4));
	ck_assert_int_eq(errno, 7);
	ck_assert_uint_eq(zone_nr_hollow(z), 4);
	expect_resident(pfn, 4, 0);
	ck_assert(pages_are_short(pfn));
	ck_assert_uint_eq(z->steps[BACKING_SMALL][STEP_WRONG_NODE], 1);
	ck_assert(!pages_fill_hollow(pfn, 4));
	ck_assert_uint_eq(fake.asked, 2);
	zone_is_short_no_more(z);
	ck_assert(pages_fill_hollow(pfn, 4));
	ck_assert_uint_eq(zone_nr_hollow(z), 0);
	expect_resident(pfn, 4, 4);
	expect_touched(pfn + 4, 4);
	check_zone(z);
}
END_TEST

/* --- slabs of which all that is free is hollow --- */

static struct rn_cache *c;
static struct cache_node *n;
static void *out[MAX_OBJECTS];

/* All that the owner of a slab can have of it. */
static unsigned int take_all(struct page *slab)
{
	struct sheaf *s = sheaf_alloc(c->sheaf_capacity);
	unsigned int nr = 0;

	do {
		slab_fill(c, slab, s, c->sheaf_capacity);
		while (sheaf_count(s))
			out[nr++] = sheaf_take(s);
	} while (slab->nr_private || fresh_objects(c, slab) ||
		 slab_reload(c, n, slab));
	sheaf_free(s);
	return nr;
}

static struct page *get_slab(void)
{
	int node = z->node;
	struct page *slab = slab_get(c, &node, 0);

	ck_assert_ptr_nonnull(slab);
	return slab;
}

/* One object a page, of which one is out and the others are on hollow pages. */
static struct page *hollow_slab(void)
{
	struct rn_cache_args args = {
		.sz = sizeof(args), .size = PAGE_BYTES, .flags = RN_NOMERGE,
	};
	struct page *slab;

	c = rn_cache_create("starved", &args);
	ck_assert_ptr_nonnull(c);
	ck_assert_uint_le(c->objects, MAX_OBJECTS);
	n = cache_node_get(c, z->node);
	ck_assert_ptr_nonnull(n);
	slab = get_slab();
	ck_assert_uint_eq(take_all(slab), c->objects);
	slab_free_objects(c, n, out + 1, c->objects - 1U);
	slab_give_pages(c, n, WHY_TRIM);
	ck_assert_uint_eq(n->nr_hollow, c->objects - 1U);
	return slab;
}

/* Its owner gets nothing, and puts it where nobody finds it for a while. */
static void starve(struct page *slab)
{
	fake.far = 1;
	ck_assert_ptr_eq(get_slab(), slab);
	ck_assert_uint_eq(take_all(slab), 0);
	ck_assert_uint_eq(n->partial[STARVED_BUCKET], page_to_pfn(slab));
	ck_assert_uint_eq(n->nr_free, c->objects - 1U);
	ck_assert_uint_eq(n->nr_hollow, c->objects - 1U);
	ck_assert_uint_eq(zone_nr_hollow(z), c->objects - 1U);
}

START_TEST(a_starved_slab_waits)
{
	struct page *slab, *other;
	void *kept;

	begin();
	slab = hollow_slab();
	kept = out[0];
	memset(kept, 0x5a, PAGE_BYTES);
	starve(slab);
	other = get_slab();
	ck_assert_ptr_ne(other, slab);
	slab_put(c, other);
	/* While there are others they are asked first. */
	zone_is_short_no_more(z);
	ck_assert_ptr_eq(get_slab(), other);
	ck_assert_ptr_eq(get_slab(), slab);
	slab_put(c, other);
	ck_assert_uint_eq(n->partial[STARVED_BUCKET], NO_PFN);
	ck_assert_uint_eq(take_all(slab), c->objects - 1U);
	ck_assert_uint_eq(slab->state, SLAB_FULL);
	ck_assert_uint_eq(n->nr_hollow, 0);
	ck_assert_uint_eq(zone_nr_hollow(z), 0);
	for (unsigned int i = 0; i < c->objects - 1U; i++)
		ck_assert_ptr_ne(out[i], kept);
	ck_assert_int_eq(*(char *)kept, 0x5a);
	check_zone(z);
}
END_TEST

/* The last object of it goes, and with it the slab. */
START_TEST(a_free_ends_the_wait)
{
	struct page *slab;
	void *kept;

	begin();
	slab = hollow_slab();
	kept = out[0];
	starve(slab);
	slab_free_objects(c, n, &kept, 1);
	ck_assert_uint_eq(n->partial[STARVED_BUCKET], NO_PFN);
	ck_assert_uint_eq(slab->state, SLAB_EMPTY);
	/* What was freed is taken, whatever became of the rest. */
	fake.far = FOREVER;
	ck_assert_ptr_eq(get_slab(), slab);
	ck_assert_uint_eq(take_all(slab), 1);
	ck_assert_ptr_eq(out[0], kept);
	slab_free_objects(c, n, &kept, 1);
	ck_assert_uint_eq(slab_trim(c, n, 0), 1);
	ck_assert_uint_eq(n->nr_free, 0);
	ck_assert_uint_eq(n->nr_hollow, 0);
	ck_assert_uint_eq(zone_nr_hollow(z), 0);
	check_zone(z);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("repopulate");
	TCase *t = tcase(s, "released pages");

	if ((size_t)sysconf(_SC_PAGESIZE) != PAGE_BYTES) {
		printf("blocks come and go as a whole here\n");
		return 77;
	}
	tcase_add_test(t, they_are_there_before_the_touch);
	tcase_add_test(t, one_node_makes_no_calls);
	tcase_add_loop_test(t, what_does_not_come_is_not_taken, 0, 2);
	tcase_add_test(t, after_a_while_they_are_asked_again);
	tcase_add_test(t, what_is_resident_serves);
	tcase_add_test(t, it_is_tried_once_more_before_it_fails);
	tcase_add_test(t, what_goes_ends_the_time);
	tcase_add_test(t, a_run_grows_into_them);
	tcase_add_test(t, random_runs);
	t = tcase(s, "hollow pages");
	tcase_add_test(t, hollow_pages_stay_hollow);
	tcase_add_test(t, a_starved_slab_waits);
	tcase_add_test(t, a_free_ends_the_wait);
	return suite_main(s);
}

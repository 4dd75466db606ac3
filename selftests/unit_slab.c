// SPDX-License-Identifier: MIT
/*
 * Slabs of a cache on a node, without slots and barns: objects are filled into
 * sheaves and freed at random, and after some steps every slab is compared
 * with a model of what is out.
 */
#include "unit_slab.h"

#include <stdlib.h>
#include <string.h>

#define MAX_SLABS	4000

/* --- the model: slabs by what is out of them --- */

struct counted {
	struct page *slab;
	unsigned int out;
};

static struct counted counted[MAX_SLABS];
static unsigned int nr_counted;

static int by_slab(const void *a, const void *b)
{
	const struct counted *x = a, *y = b;

	return x->slab < y->slab ? -1 : x->slab > y->slab;
}

static void count_out(void)
{
	static struct counted each[MAX_OUT];

	for (unsigned int i = 0; i < nr_out; i++)
		each[i] = (struct counted){ ptr_to_slab(c, out[i]), 1 };
	qsort(each, nr_out, sizeof(*each), by_slab);
	nr_counted = 0;
	for (unsigned int i = 0; i < nr_out; i++) {
		if (i && each[i].slab == each[i - 1].slab)
			counted[nr_counted - 1].out++;
		else
			counted[nr_counted++] = each[i];
	}
}

static unsigned int out_of(struct page *slab)
{
	struct counted key = { .slab = slab }, *found;

	found = bsearch(&key, counted, nr_counted, sizeof(key), by_slab);
	return found ? found->out : 0;
}

/* --- every slab that is on a list, or ought to be --- */

struct sums {
	unsigned int slabs, empty;
	u64 free;
};

static void check_slab(struct page *slab, struct sums *sums)
{
	unsigned int taken = out_of(slab);

	ck_assert_uint_eq(slab->type, PAGE_SLAB);
	ck_assert_uint_eq(slab->order, c->order);
	ck_assert_uint_eq(slab->row, row_on(c, node));
	ck_assert_uint_eq(slab->nr_private, 0);
	ck_assert_uint_eq(taken, slab->fresh - slab->nr_free);
	sums->slabs++;
	sums->free += c->objects - taken;
}

/* In order of what is out; those that have pages to spare first. */
static void check_bucket(const struct page *slab, unsigned int taken)
{
	unsigned int low = c->pages < c->objects ? c->pages : c->objects;
	unsigned int high = HIGH_BUCKETS + taken * QUARTERS / c->objects;

	if (taken >= low)
		ck_assert_uint_eq(slab->bucket, high);
	else
		ck_assert_uint_eq(slab->bucket, DRAINED_BUCKETS +
				  taken * QUARTERS / low);
}

static void check_list(u32 first, unsigned int state, unsigned int bucket,
		       struct sums *sums)
{
	u32 prev = NO_PFN;

	for (u32 pfn = first; pfn != NO_PFN; pfn = pfn_to_page(pfn)->next) {
		struct page *slab = pfn_to_page(pfn);
		unsigned int taken = out_of(slab);

		ck_assert_uint_eq(slab->state, state);
		ck_assert_uint_eq(slab->prev, prev);
		if (state == SLAB_EMPTY) {
			ck_assert_uint_eq(taken, 0);
			sums->empty++;
		} else {
			ck_assert_uint_eq(slab->bucket, bucket);
			check_bucket(slab, taken);
			ck_assert_uint_gt(taken, 0);
			ck_assert_uint_lt(taken, c->objects);
		}
		check_slab(slab, sums);
		prev = pfn;
	}
}

static void check_all(void)
{
	struct sums sums = { 0 };

	count_out();
	for (unsigned int i = 0; i < NR_BUCKETS; i++)
		check_list(n->partial[i], SLAB_PARTIAL, i, &sums);
	check_list(n->empty, SLAB_EMPTY, 0, &sums);
	ck_assert_uint_eq(n->nr_empty, sums.empty);
	/* The rest is full. */
	for (unsigned int i = 0; i < nr_counted; i++)
		if (counted[i].slab->state == SLAB_FULL)
			check_slab(counted[i].slab, &sums);
	ck_assert_uint_eq(n->nr_slabs, sums.slabs);
	ck_assert_uint_eq(n->nr_free, sums.free);
	ck_assert_uint_eq(sums.slabs * c->objects - sums.free, nr_out);
}

/* --- steps --- */

static void fill_some(void)
{
	unsigned int want = 1 + xorshift(&random_state) % c->sheaf_capacity;
	struct sheaf *s = sheaf_given(c->sheaf_capacity);
	struct page *slab = get();

	slab_fill(c, slab, s, want / 2 + 1);
	/* While the slab is somebody's, others free into it. */
	if (nr_out)
		free_some(min(nr_out, 1 + want / 3));
	slab_fill(c, slab, s, want);
	/* Only who has used up what it had may ask for more. */
	if (sheaf_count(s) < want && slab_reload(c, n, slab))
		slab_fill(c, slab, s, want);
	if (slab->state == SLAB_ACTIVE)
		slab_put(c, slab);
	ck_assert_uint_le(sheaf_count(s), want);
	ck_assert_uint_gt(sheaf_count(s), 0);
	take_out_all(s);
}

static void free_all(void)
{
	while (nr_out)
		free_some(min(nr_out, 100U));
	check_all();
	slab_trim(c, n, 0);
	ck_assert_uint_eq(n->nr_slabs, 0);
	ck_assert_uint_eq(n->nr_free, 0);
	ck_assert_uint_eq(n->empty, NO_PFN);
}

static void construct(void *object)
{
	memset(object, 0x11, 64);
}

static const size_t sizes[] = { 8, 24, 64, 240, 1000, 5000, 32768, 64 };

static void take_random_steps(void)
{
	for (int i = 0; i < 2000 / LESS; i++) {
		/* Tides: for a while it grows, then it shrinks. */
		bool grow = i / 200 % 2 ? xorshift(&random_state) % 3 == 0
					: xorshift(&random_state) % 3 != 0;

		if (grow && nr_out + c->sheaf_capacity < MAX_OUT)
			fill_some();
		else if (nr_out)
			free_some(1 + xorshift(&random_state) %
				  min(nr_out, 150U));
		if (i % 50 == 0)
			check_all();
	}
	free_all();
	ck_assert_int_eq(rn_cache_destroy(c), 0);
}

START_TEST(random_steps)
{
	bool constructed = _i == ARRAY_LEN(sizes) - 1;

	use_cache(make_cache(sizes[_i], 0, constructed ? construct : NULL));
	take_random_steps();
}
END_TEST

static const size_t page_sizes[] = { 8, 80, 1360, 2560, 4096 };

START_TEST(random_steps_in_pages)
{
	use_cache(make_cache(page_sizes[_i], CACHE_IN_PAGES, NULL));
	take_random_steps();
}
END_TEST

/* One slab: what is fresh comes by address, each object exactly once. */
START_TEST(fresh_by_address)
{
	struct sheaf *s = sheaf_given(126);
	struct page *slab;
	char *expected;

	use_cache(make_cache(48, 0, NULL));
	if (options.freelist_random)
		return;
	slab = slab_given(c, node);
	expected = slab_address(slab);
	for (unsigned int i = 0; i < c->objects; i++) {
		if (!sheaf_count(s))
			slab_fill(c, slab, s, 7);
		ck_assert_ptr_eq(sheaf_take(s), expected);
		expected += c->size;
	}
	slab_fill(c, slab, s, 7);
	ck_assert_uint_eq(sheaf_count(s), 0);
	ck_assert_uint_eq(slab->fresh, c->objects);
	ck_assert(!slab_reload(c, n, slab));
	ck_assert_uint_eq(slab->state, SLAB_FULL);
}
END_TEST

static void find_in(struct page *slab)
{
	char *start = slab_address(slab);

	for (size_t at = 0; at < PAGE_BYTES << c->order; at++) {
		unsigned int index = at / c->size;
		bool hit = at % c->size == 0 && index < c->objects;

		if (slab_find(c, slab, start + at) != (hit ? index : NO_OBJECT))
			ck_abort_msg("%u bytes, offset %zu", c->size, at);
	}
}

START_TEST(finding_objects)
{
	for (size_t size = 8; size <= KMALLOC_MAX; size += size / 64 * 8 + 8) {
		struct page *slab;

		use_cache(make_cache(size, 0, NULL));
		slab = slab_given(c, node);
		find_in(slab);
		slab_put(c, slab);
		ck_assert_int_eq(rn_cache_destroy(c), 0);
	}
}
END_TEST

/* Links of a slab that is gone are still in memory; they must not decode. */
/* Is there an object at this offset of a slab with @per_page in each page? */
static unsigned int index_in_pages(size_t at)
{
	size_t offset = at % PAGE_BYTES, nr = PAGE_BYTES / c->size;
	unsigned int index = at / PAGE_BYTES * nr + offset / c->size;

	return offset % c->size == 0 && offset / c->size < nr ? index :
								NO_OBJECT;
}

static void expect_object_in_page(struct page *slab, unsigned int index)
{
	char *object = slab_object(c, slab, index);
	size_t at = object - slab_address(slab);

	if (at / PAGE_BYTES != (at + c->size - 1) / PAGE_BYTES ||
	    at + c->size > PAGE_BYTES << c->order)
		ck_abort_msg("%u bytes, object %u at %zu", c->size, index, at);
	if (index_in_pages(at) != index)
		ck_abort_msg("%u bytes, object %u is none", c->size, index);
	/* Any of its bytes says which it is. */
	for (size_t i = 0; i < c->size; i++)
		if (slab_index(c, at + i) != index)
			ck_abort_msg("%u bytes, offset %zu", c->size, at + i);
}

/* Of every size: as many as go into the pages, and not one across two. */
START_TEST(within_pages)
{
	for (size_t size = 8; size <= PAGE_BYTES; size += 8) {
		struct sheaf *s;
		struct page *slab;

		use_cache(make_cache(size, CACHE_IN_PAGES, NULL));
		slab = slab_given(c, node);
		ck_assert_uint_eq(c->objects, (PAGE_BYTES / size) << c->order);
		for (unsigned int i = 0; i < c->objects; i++)
			expect_object_in_page(slab, i);
		for (size_t at = 0; at < PAGE_BYTES << c->order; at++)
			if (slab_find(c, slab, slab_address(slab) + at) !=
			    index_in_pages(at))
				ck_abort_msg("%zu bytes, offset %zu", size, at);
		/* Those that are handed out are these. */
		s = sheaf_given(126);
		for (unsigned int i = 0; i < c->objects; i++) {
			if (!sheaf_count(s))
				slab_fill(c, slab, s, 7);
			take_out(sheaf_take(s));
			if (!options.freelist_random)
				ck_assert_ptr_eq(out[i],
						 slab_object(c, slab, i));
		}
		sheaf_free(s);
		slab_reload(c, n, slab);
		free_all();
		ck_assert_int_eq(rn_cache_destroy(c), 0);
	}
}
END_TEST

START_TEST(each_slab_has_a_key)
{
	struct page *slab, *first = NULL;
	u64 key = 0;

	use_cache(make_cache(64, 0, NULL));
	for (int life = 0; life < 10; life++) {
		slab = slab_given(c, node);
		ck_assert(!first || slab == first);
		ck_assert(slab->key != key);
		first = slab;
		key = slab->key;
		slab_put(c, slab);
		ck_assert_uint_eq(slab_trim(c, n, 0), 1);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("slab");
	TCase *tc = tcase_create("slab");

	tcase_add_loop_test(tc, random_steps, 0, ARRAY_LEN(sizes));
	tcase_add_loop_test(tc, random_steps_in_pages, 0,
			    ARRAY_LEN(page_sizes));
	tcase_add_test(tc, within_pages);
	tcase_add_test(tc, fresh_by_address);
	tcase_add_test(tc, finding_objects);
	tcase_add_test(tc, each_slab_has_a_key);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(s, tc);
	return suite_main(s);
}

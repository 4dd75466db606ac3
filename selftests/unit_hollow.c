// SPDX-License-Identifier: MIT
/*
 * Hollow pages: slabs of a cache on a node, filled and drained at random, some
 * of them now and then owned and their free pages given back. After each of
 * these, and after some steps, every slab is compared with a model of what is
 * out: which pages may be hollow, and on which list each free object is. With
 * several nodes, faked, some hollow pages do not come when they are filled.
 */
#include "fake_nodes.h"
#include "freelist.h"
#include "unit_slab.h"
#include "zone_census.h"

#include <string.h>

#define MAX_OBJECTS	2048	/* in a slab */
#define MAX_OWNED	64

/* Of large objects fewer are out: patterns fill all of each. */
#define MAX_BYTES	(6UL << 20)

static void *sorted[MAX_OUT];
static unsigned int max_out;
static u64 made;	/* hollow pages, in all */
static u64 starved;	/* slabs seen whose hollow pages did not come */

static void setup(struct rn_cache *cache)
{
	use_cache(cache);
	max_out = min((size_t)MAX_OUT, MAX_BYTES / c->size);
	ck_assert_uint_le(c->objects, MAX_OBJECTS);
}

/* --- the model: what is out, by slab --- */

static bool is_out[MAX_OBJECTS];	/* of the slab that is looked at */

static int by_address(const void *a, const void *b)
{
	const char *x = *(char *const *)a, *y = *(char *const *)b;

	return x < y ? -1 : x > y;
}

static void sort_out(void)
{
	memcpy(sorted, out, nr_out * sizeof(*out));
	qsort(sorted, nr_out, sizeof(*sorted), by_address);
	for (unsigned int i = 1; i < nr_out; i++)
		ck_assert_uint_le((uintptr_t)sorted[i - 1] + c->size,
				  (uintptr_t)sorted[i]);
}

/* The first one of the sorted that does not lie before @p. */
static unsigned int sorted_from(const void *p)
{
	unsigned int low = 0, high = nr_out;

	while (low < high) {
		unsigned int mid = (low + high) / 2;

		if (sorted[mid] < p)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static unsigned int look_at(struct page *slab)
{
	char *end = slab_address(slab) + c->pages * PAGE_BYTES;
	unsigned int i, nr = 0;

	memset(is_out, 0, sizeof(is_out));
	for (i = sorted_from(slab_address(slab)); i < nr_out; i++) {
		unsigned int index;

		if ((char *)sorted[i] >= end)
			break;
		index = slab_find(c, slab, sorted[i]);
		ck_assert_uint_lt(index, slab->fresh);
		is_out[index] = true;
		nr++;
	}
	return nr;
}

/* --- a slab against it --- */

static u64 touched_by(struct page *slab, unsigned int index)
{
	size_t at = (char *)slab_object(c, slab, index) - slab_address(slab);
	u64 pages = 0;

	for (size_t i = at / PAGE_BYTES; i <= (at + c->size - 1) / PAGE_BYTES;
	     i++)
		pages |= 1ULL << i;
	return pages;
}

/* Pages with objects that are out, or fresh: those may not be hollow. */
static u64 check_objects(struct page *slab)
{
	struct page *h = slab_hollow(slab);
	unsigned int nr = 0;
	u64 busy = 0;

	for (unsigned int i = 0; i < c->objects; i++) {
		u64 pages = touched_by(slab, i);

		if (is_out[i] || i >= slab->fresh)
			busy |= pages;
		else if (pages & h->hollow)
			nr++;
		ck_assert(hollow_has(c, slab, i) == !!(pages & h->hollow));
	}
	ck_assert_uint_eq(h->hollow & busy, 0);
	ck_assert_uint_eq(h->nr_hollow, nr);
	return busy;
}

static bool can_be_seen(void)
{
	return !emulator() && (size_t)sysconf(_SC_PAGESIZE) == PAGE_BYTES;
}

static void check_memory(struct page *slab)
{
	u64 hollow = slab_hollow(slab)->hollow;

	for (; hollow && can_be_seen(); hollow &= hollow - 1)
		ck_assert_uint_eq(resident(page_to_pfn(slab) +
					   __builtin_ctzll(hollow), 1), 0);
}

/* Each is on it once, and is neither out nor on a hollow page. */
static void check_freelist(struct page *slab, unsigned int index,
			   unsigned int nr)
{
	u64 hollow = slab_hollow(slab)->hollow;

	for (; nr; nr--) {
		ck_assert_uint_lt(index, slab->fresh);
		ck_assert(!is_out[index]);
		ck_assert_uint_eq(touched_by(slab, index) & hollow, 0);
		is_out[index] = true;
		index = link_next(c, slab, index);
	}
	ck_assert_uint_eq(index, NO_OBJECT);
}

/* How many of it are out; with @all, what may be hollow has to be. */
static unsigned int check_slab(struct page *slab, bool all)
{
	unsigned int taken = look_at(slab);
	struct page *h = slab_hollow(slab);
	u64 busy = check_objects(slab);

	if (all)
		ck_assert_uint_eq(h->hollow, ~busy & ~0ULL >> (64 - c->pages));
	check_memory(slab);
	ck_assert_uint_eq(slab->fresh - slab->nr_free - slab->nr_private -
			  h->nr_hollow, taken);
	check_freelist(slab, slab->freelist, slab->nr_free);
	check_freelist(slab, slab->private, slab->nr_private);
	return taken;
}

/* --- all of them --- */

struct sums {
	u64 slabs, empty, free, hollow, out;
};

static void add_slab(struct page *slab, struct sums *sums)
{
	unsigned int taken = check_slab(slab, false);

	ck_assert_uint_eq(slab->nr_private, 0);
	sums->slabs++;
	sums->out += taken;
	sums->free += c->objects - taken;
	sums->hollow += __builtin_popcountll(slab_hollow(slab)->hollow);
}

static bool may_have_pages(unsigned int taken)
{
	return taken < min(c->pages, c->objects);
}

/* Those with pages to spare come first, looked at or not. */
static void check_bucket(unsigned int bucket, unsigned int taken)
{
	unsigned int low = min(c->pages, c->objects);

	if (may_have_pages(taken)) {
		ck_assert_uint_lt(bucket, HIGH_BUCKETS);
		ck_assert_uint_eq(bucket % QUARTERS, taken * QUARTERS / low);
	} else {
		ck_assert_uint_eq(bucket, HIGH_BUCKETS +
				  taken * QUARTERS / c->objects);
	}
}

/* All that is free lies on hollow pages. */
static void check_starved(const struct page *slab)
{
	ck_assert_uint_eq(slab->nr_free + fresh_objects(c, slab), 0);
	ck_assert_uint_gt(slab_hollow(slab)->nr_hollow, 0);
	starved++;
}

static void add_list(u32 pfn, unsigned int state, unsigned int bucket,
		     struct sums *sums)
{
	for (; pfn != NO_PFN; pfn = pfn_to_page(pfn)->next) {
		u64 before = sums->out;

		add_slab(pfn_to_page(pfn), sums);
		if (bucket == STARVED_BUCKET)
			check_starved(pfn_to_page(pfn));
		else if (state == SLAB_PARTIAL)
			check_bucket(bucket, sums->out - before);
		ck_assert_uint_eq(pfn_to_page(pfn)->state, state);
		sums->empty += sums->out == before;
	}
}

/* Those of which all objects are out are on no list. */
static void add_full(struct sums *sums)
{
	struct page *last = NULL;

	for (unsigned int i = 0; i < nr_out; i++) {
		struct page *slab = ptr_to_slab(c, sorted[i]);

		if (slab != last && slab->state == SLAB_FULL)
			add_slab(slab, sums);
		last = slab;
	}
}

static void check_all(void)
{
	struct sums sums = { 0 };

	sort_out();
	for (unsigned int i = 0; i < NR_BUCKETS; i++)
		add_list(n->partial[i], SLAB_PARTIAL, i, &sums);
	ck_assert_uint_eq(sums.empty, 0);
	add_list(n->empty, SLAB_EMPTY, 0, &sums);
	add_full(&sums);
	ck_assert_uint_eq(sums.empty, n->nr_empty);
	ck_assert_uint_eq(sums.out, nr_out);
	ck_assert_uint_eq(sums.slabs, n->nr_slabs);
	ck_assert_uint_eq(sums.free, n->nr_free);
	ck_assert_uint_eq(sums.hollow, n->nr_hollow);
}

/* --- steps --- */

/* All that lie near one of them, but seldom one of those. */
static void free_around(void)
{
	char *at = (char *)ALIGN_DOWN((uintptr_t)out[below(nr_out)],
				      PAGE_BYTES << below(3));
	size_t bytes = PAGE_BYTES << below(4);
	static void *batch[MAX_OUT];
	unsigned int nr = 0;

	for (unsigned int i = 0; i < nr_out;) {
		if ((size_t)((char *)out[i] - at) >= bytes || !below(1000)) {
			i++;
			continue;
		}
		batch[nr++] = out[i];
		out[i] = out[--nr_out];
	}
	free_these(batch, nr);
}

/* As a refill does, with frees between its steps. */
static void fill_some(void)
{
	unsigned int want = 1 + below(c->sheaf_capacity);
	struct sheaf *s = sheaf_given(c->sheaf_capacity);
	struct page *slab = get();

	for (bool more = true; more && sheaf_count(s) < want;) {
		slab_fill(c, slab, s, want);
		if (nr_out > 10 && !below(3))
			free_some(below(10));
		more = sheaf_count(s) == want || slab_reload(c, n, slab);
	}
	if (slab->state == SLAB_ACTIVE)
		slab_put(c, slab);
	ck_assert(sheaf_count(s) || verify_nodes);
	take_out_all(s);
}

static unsigned int nr_listed(void)
{
	unsigned int nr = n->nr_empty;

	for (unsigned int i = 0; i < NR_BUCKETS; i++)
		for (u32 pfn = n->partial[i]; pfn != NO_PFN;
		     pfn = pfn_to_page(pfn)->next)
			nr++;
	return nr;
}

static void make_hollow(struct page *slab)
{
	slab->next = NO_PFN;
	hollow_make(c, n, page_to_pfn(slab), WHY_TRIM);
}

/* The free pages of a slab go, while others may free into it. */
static void hollow_one(struct page *slab)
{
	u64 before = slab_hollow(slab)->hollow;
	bool untouched = !slab->nr_free;

	make_hollow(slab);
	sort_out();
	check_slab(slab, untouched);
	made += __builtin_popcountll(slab_hollow(slab)->hollow & ~before);
	ck_assert_uint_eq(before & ~slab_hollow(slab)->hollow, 0);
	if (nr_out > 10 && !below(4))
		free_some(below(10));
}

/* The library leaves empty slabs alone; one could starve as a whole. */
static bool may_be_hollow(struct page *slab)
{
	sort_out();
	return !verify_nodes || look_at(slab);
}

static void hollow_some(void)
{
	unsigned int nr = min(nr_listed(), (unsigned int)MAX_OWNED);
	struct page *owned[MAX_OWNED];

	for (unsigned int i = 0; i < nr; i++)
		owned[i] = get();
	for (unsigned int i = 0; i < nr; i++)
		if (below(4) && may_be_hollow(owned[i]))
			hollow_one(owned[i]);
	for (unsigned int i = 0; i < nr; i++)
		slab_put(c, owned[i]);
	check_all();
}

/* What frees and ticks do. Of large objects no free page is left then. */
static void give_pages(void)
{
	slab_give_pages(c, n, WHY_TRIM);
	check_all();
	for (int i = 0; i < HIGH_BUCKETS; i++) {
		ck_assert(i < DRAINED_BUCKETS || n->partial[i] == NO_PFN);
		for (u32 pfn = n->partial[i]; pfn != NO_PFN;
		     pfn = pfn_to_page(pfn)->next)
			check_slab(pfn_to_page(pfn), c->size >= PAGE_BYTES);
	}
}

/* A third of what is asked for does not come, until it may be asked again. */
static void change_nodes(void)
{
	fake.far = !below(3);
	if (below(2))
		zone_is_short_no_more(&zones[node]);
}

static void step(bool grow)
{
	if (verify_nodes)
		change_nodes();
	if (grow && nr_out + c->sheaf_capacity <= max_out)
		fill_some();
	else if (nr_out && below(2))
		free_around();
	else if (nr_out)
		free_some(1 + below(min(nr_out, 1 + max_out / 50)));
}

static void free_all(void)
{
	while (nr_out)
		free_some(min(nr_out, 100U));
	check_all();
	slab_trim(c, n, 0);
	ck_assert_uint_eq(n->nr_slabs, 0);
	ck_assert_uint_eq(n->nr_free, 0);
	ck_assert_uint_eq(n->nr_hollow, 0);
	ck_assert_int_eq(rn_cache_destroy(c), 0);
}

/* Tides: for a while it grows, then it shrinks. */
static void take_random_steps(void)
{
	made = 0;
	for (int i = 0; i < 6000 / LESS; i++) {
		step(i / 100 % 2 ? !below(5) : below(5));
		if (i % 13 == 0)
			hollow_some();
		else if (i % 29 == 0)
			give_pages();
		else if (i % 50 == 0)
			check_all();
	}
	ck_assert_uint_gt(made, 0);
	free_all();
}

static const size_t sizes[] = {
	8, 24, 64, 100, 256, 1000, 1024, 3072, 4096, 5000, 8192, 16384, 65536
};

START_TEST(random_steps)
{
	setup(make_cache(sizes[_i], 0, NULL));
	take_random_steps();
}
END_TEST

START_TEST(random_steps_far)
{
	setup(make_cache(sizes[_i], 0, NULL));
	fake_several_nodes();
	starved = 0;
	take_random_steps();
	ck_assert_uint_gt(zones[node].steps[BACKING_SMALL][STEP_WRONG_NODE], 0);
	/* It takes a while until one is seen. */
	ck_assert(LESS != 1 || starved);
}
END_TEST

static const size_t page_sizes[] = { 8, 80, 1360, 2560, 4096 };

START_TEST(random_steps_in_pages)
{
	setup(make_cache(page_sizes[_i], CACHE_IN_PAGES, NULL));
	take_random_steps();
}
END_TEST

/* --- one slab --- */

/* All that it has, until it is full. */
static void exhaust(struct page *slab)
{
	struct sheaf *s = sheaf_given(c->sheaf_capacity);

	do {
		do {
			slab_fill(c, slab, s, c->sheaf_capacity);
			while (sheaf_count(s))
				take_out(sheaf_take(s));
		} while (slab->nr_private || fresh_objects(c, slab));
	} while (slab_reload(c, n, slab));
	sheaf_free(s);
	ck_assert_uint_eq(slab->state, SLAB_FULL);
}

/* Fills a slab and leaves every @nth object in it. */
static struct page *drained(unsigned int nth)
{
	struct page *slab = get();
	void *batch[MAX_OBJECTS];
	unsigned int nr = 0, left = 0;

	exhaust(slab);
	ck_assert_uint_eq(nr_out, c->objects);
	for (unsigned int i = 0; i < c->objects; i++)
		if (i % nth)
			batch[nr++] = out[i];
		else
			out[left++] = out[i];
	nr_out = left;
	free_these(batch, nr);
	return slab;
}

/* What was on hollow pages comes back, each object once, and no new slab. */
START_TEST(each_comes_back_once)
{
	for (unsigned int nth = 2; nth <= 64; nth *= 2) {
		struct page *slab;

		setup(make_cache(sizes[_i], 0, NULL));
		slab = drained(nth * DIV_ROUND_UP(PAGE_BYTES, c->size));
		ck_assert_ptr_eq(get(), slab);
		make_hollow(slab);
		sort_out();
		check_slab(slab, true);
		slab_put(c, slab);
		check_all();
		ck_assert_ptr_eq(get(), slab);
		exhaust(slab);
		ck_assert_uint_eq(nr_out, c->objects);
		ck_assert_uint_eq(slab_hollow(slab)->nr_hollow, 0);
		check_all();
		free_all();
	}
}
END_TEST

/* The slab that comes next to the same pages has all of them. */
START_TEST(gone_with_hollow_pages)
{
	struct page *slab;

	setup(make_cache(sizes[_i], 0, NULL));
	for (int life = 0; life < 5; life++) {
		slab = drained(c->objects);
		ck_assert_ptr_eq(get(), slab);
		make_hollow(slab);
		ck_assert_uint_ne(slab_hollow(slab)->hollow, 0);
		slab_put(c, slab);
		free_some(1);
		check_all();
		ck_assert_uint_eq(slab_trim(c, n, 0), 1);
		ck_assert_uint_eq(n->nr_hollow, 0);
		slab = get();
		ck_assert_uint_eq(slab_hollow(slab)->hollow, 0);
		ck_assert_uint_eq(slab_hollow(slab)->nr_hollow, 0);
		exhaust(slab);
		check_all();
		free_some(nr_out);
		slab_trim(c, n, 0);
	}
	free_all();
}
END_TEST

/* --- those that have none --- */

static void construct(void *object)
{
	memset(object, 0x11, 64);
}

/* Leaves one object and takes the rest as free pages, as far as it goes. */
static u64 hollow_with(struct rn_cache *cache)
{
	struct page *slab;
	u64 hollow;

	setup(cache);
	slab = drained(c->objects);
	ck_assert_ptr_eq(get(), slab);
	make_hollow(slab);
	hollow = slab_hollow(slab)->hollow;
	ck_assert_uint_eq(n->nr_hollow, __builtin_popcountll(hollow));
	slab_put(c, slab);
	check_all();
	return hollow;
}

START_TEST(constructed_objects_stay)
{
	ck_assert_uint_eq(hollow_with(make_cache(64, 0, construct)), 0);
	free_all();
	ck_assert_uint_ne(hollow_with(make_cache(64, 0, NULL)), 0);
	free_all();
}
END_TEST

START_TEST(hugetlb_pages_stay)
{
	if (huge_figure("free_hugepages") < 1) {
		skip_part("hugetlb_pages_stay", "no free hugetlb page");
		return;
	}
	setenv("RN_LADDER", "hugetlb", 1);
	ck_assert_uint_eq(hollow_with(make_cache(64, RN_CACHE_HUGETLB, NULL)), 0);
	free_all();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("hollow");
	TCase *tc = tcase(s, "hollow");

	/* Whatever hugetlb pages there are, these have no hollow ones. */
	setenv("RN_LADDER", "thp,small", 1);
	tcase_add_loop_test(tc, random_steps, 0, ARRAY_LEN(sizes));
	tcase_add_loop_test(tc, random_steps_far, 0, ARRAY_LEN(sizes));
	tcase_add_loop_test(tc, random_steps_in_pages, 0,
			    ARRAY_LEN(page_sizes));
	tcase_add_loop_test(tc, each_comes_back_once, 0, ARRAY_LEN(sizes));
	tcase_add_loop_test(tc, gone_with_hollow_pages, 0, ARRAY_LEN(sizes));
	tcase_add_test(tc, constructed_objects_stay);
	tcase_add_test(tc, hugetlb_pages_stay);
	return suite_main(s);
}

// SPDX-License-Identifier: MIT
/*
 * The page allocator from within: zones against a model under random
 * sequences, the ladder under pools that are empty or run out, limits on
 * address space, runs that grow, move and are trimmed, reservations.
 *
 * Each test is a process of its own and starts the library as it needs it.
 */
#include "../mm/zone.h"

#include <check.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "hugepages.h"

#define MIB		(1UL << 20)
#define SLOTS		400
#define ROUNDS		20000

static const char *no_huge;	/* why there are no hugetlb pages */

#define NEED_HUGE() do {						\
	if (no_huge) {							\
		printf("SKIP %s: %s\n", __func__, no_huge);		\
		fflush(stdout);						\
		return;							\
	}								\
} while (0)

static void start(const char *ladder)
{
	if (ladder)
		setenv("RN_LADDER", ladder, 1);
	mm_init();
	ck_assert_int_eq(mm_init_error(), 0);
}

static __thread u64 seed = 88172645463325252ULL;

static u32 rnd(u32 below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (seed >> 16) % below;
}

/* --- the invariants of struct zone --- */

struct census {
	u32 used, idle, partial, full;
	u32 up[NR_BACKINGS];
	u64 free_pages;
};

static void check_on_list(const struct zone *z, u32 block)
{
	const struct pageblock *b = &mem.blocks[block];
	enum class c = class_of(b->backing);
	u32 at;

	ck_assert_int_eq(b->list / NR_FILLS, pageblock_largest(b));
	ck_assert(z->mask[c] >> b->list & 1);
	for (at = z->list[c][b->list]; at != NO_BLOCK; at = mem.blocks[at].next)
		if (at == block)
			return;
	ck_abort_msg("block %u is not on its list", block);
}

static void check_block(const struct zone *z, u32 block, struct census *c)
{
	const struct pageblock *b = &mem.blocks[block];

	c->used++;
	/* Taken off the ladder, or out of the zone's sight for good. */
	if (b->backing == BACKING_NONE)
		return;
	c->up[b->backing]++;
	c->free_pages += b->nr_free;
	if (b->nr_free == PAGEBLOCK_PAGES) {
		ck_assert(block_is_idle(z, block));
		ck_assert_int_eq(b->list, -1);
		c->idle++;
	} else if (b->nr_free) {
		ck_assert(!block_is_idle(z, block));
		check_on_list(z, block);
		c->partial++;
	} else {
		ck_assert(!block_is_idle(z, block));
		ck_assert_int_eq(b->list, -1);
		c->full++;
	}
}

static struct census check_zone(struct zone *z)
{
	struct census c = { 0 };

	for (u32 block = z->first; block < z->first + z->high; block++) {
		if (block_is_used(z, block))
			check_block(z, block, &c);
		else
			ck_assert(!block_is_idle(z, block));
	}
	ck_assert_uint_eq(c.idle, zone_nr_idle(z));
	for (int b = BACKING_HUGETLB; b < NR_BACKINGS; b++)
		ck_assert_uint_eq(c.up[b], z->nr_up[b]);
	ck_assert_uint_eq(zone_nr_up(z), c.idle + c.partial + c.full);
	return c;
}

static struct zone *my_zone(void)
{
	return &zones[node_fallback(numa_local_node(), 0)];
}

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

static bool is_zero(u32 pfn, u32 nr)
{
	const u64 *p = pfn_to_ptr(pfn);

	for (size_t i = 0; i < nr * PAGE_BYTES / 8; i++)
		if (p[i])
			return false;
	return true;
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

static u64 pages_held(void)
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
	for (int i = 0; i < ROUNDS; i++) {
		struct run *r = &runs[rnd(SLOTS)];

		if (!r->nr)
			run_new(r);
		else if (rnd(8) == 0)
			run_extend(r);
		else if (rnd(8) == 0)
			run_cut(r);
		else
			run_end(r);
		if (i % 2000)
			continue;
		if (rnd(2))
			pages_shrink();
		c = check_zone(my_zone());
		ck_assert_uint_eq((u64)zone_nr_up(my_zone()) * PAGEBLOCK_PAGES,
				  c.free_pages + pages_held());
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
	for (int i = 0; i < THREAD_ROUNDS; i++) {
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

/* --- choice of pageblock --- */

START_TEST(fullest_sufficient_block_first)
{
	u32 a, b, one;

	start("small");
	/* Two blocks with one free range of 64 pages each, one fuller. */
	a = pages_alloc(PAGEBLOCK_PAGES, 0, 0, NULL);
	b = pages_alloc(PAGEBLOCK_PAGES, 0, 0, NULL);
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
	run = pages_alloc(PAGEBLOCK_PAGES + 188, 0, 0, NULL);
	ck_assert_uint_eq(run % PAGEBLOCK_PAGES, 0);
	ck_assert_uint_eq(zone_nr_up(my_zone()), 2);
	one = pages_alloc(256, 0, 0, NULL);
	ck_assert_uint_eq(one, run + PAGEBLOCK_PAGES + 256);
	ck_assert_uint_eq(zone_nr_up(my_zone()), 2);
	pages_free(run, PAGEBLOCK_PAGES + 188);
	ck_assert_uint_eq(check_zone(my_zone()).idle, 1);
	pages_free(one, 256);
	ck_assert_uint_eq(check_zone(my_zone()).idle, 2);
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

static bool readable(const void *p)
{
	int fds[2];
	bool ok;

	ck_assert_int_eq(pipe(fds), 0);
	ok = write(fds[1], p, 1) == 1;
	close(fds[0]);
	close(fds[1]);
	return ok;
}

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

/* --- growing and moving --- */

START_TEST(realloc_grows_in_place_and_shrinks)
{
	char *p, *q;
	u32 nr;

	start("small");
	p = large_alloc(100 * PAGE_BYTES, 0, 0);
	memset(p, 7, 100 * PAGE_BYTES);
	q = large_realloc(p, 5 * PAGEBLOCK_BYTES, RN_ZERO);
	ck_assert_ptr_eq(p, q);
	ck_assert_int_eq(q[100 * PAGE_BYTES - 1], 7);
	ck_assert_int_eq(q[100 * PAGE_BYTES], 0);
	q[5 * PAGEBLOCK_BYTES - 1] = 9;
	q = large_realloc(p, 10 * PAGE_BYTES + 1, 0);
	ck_assert_ptr_eq(p, q);
	nr = ptr_to_page(p)->nr_pages;
	ck_assert_uint_eq(nr, 11);
	check_zone(my_zone());
	large_free(q, ptr_to_page(q));
	ck_assert_uint_eq(check_zone(my_zone()).partial, 0);
}
END_TEST

static void check_move(void)
{
	size_t bytes = 3 * PAGEBLOCK_BYTES + 5 * PAGE_BYTES;
	struct census c;
	char *p, *q, *wall;

	p = large_alloc(bytes, 0, 0);
	ck_assert_ptr_nonnull(p);
	/* In the way: the pages behind the run are taken. */
	wall = pfn_to_ptr(ptr_to_pfn(p) + bytes / PAGE_BYTES);
	ck_assert(pages_extend(ptr_to_pfn(p), bytes / PAGE_BYTES,
			       bytes / PAGE_BYTES + 1, 0));
	for (size_t i = 0; i < bytes; i += PAGE_BYTES)
		p[i] = i / PAGE_BYTES * 31 + 1;
	*wall = 42;
	q = large_realloc(p, 2 * bytes, 0);
	ck_assert_ptr_nonnull(q);
	ck_assert_ptr_ne(p, q);
	for (size_t i = 0; i < bytes; i += PAGE_BYTES)
		ck_assert_int_eq(q[i], (char)(i / PAGE_BYTES * 31 + 1));
	memset(q + bytes, 5, bytes);
	ck_assert_int_eq(*wall, 42);
	ck_assert(!readable(p));
	c = check_zone(my_zone());
	ck_assert_uint_eq(c.full, 6);
	large_free(q, ptr_to_page(q));
	pages_free(ptr_to_pfn(wall), 1);
	pages_shrink();
	ck_assert_uint_eq(check_zone(my_zone()).used, 0);
}

START_TEST(realloc_moves_small)
{
	start("small");
	check_move();
}
END_TEST

START_TEST(realloc_moves_thp)
{
	start("thp,small");
	check_move();
}
END_TEST

START_TEST(realloc_moves_hugetlb)
{
	NEED_HUGE();
	ck_assert_int_eq(huge_set_free(16), 0);
	start("hugetlb,small");
	check_move();
	ck_assert_int_eq(huge_mine(), 0);
}
END_TEST

/* A user's mlock() splits the mapping: older kernels do not move that. */
START_TEST(realloc_of_a_split_mapping)
{
	size_t bytes = 2 * PAGEBLOCK_BYTES;
	char *p, *q, *wall;

	start("small");
	p = large_alloc(bytes, 0, 0);
	wall = large_alloc(bytes, 0, 0);
	ck_assert_ptr_eq(wall, p + bytes);
	memset(p, 3, bytes);
	if (madvise(p + PAGEBLOCK_BYTES / 2, 65536, MADV_DONTDUMP))
		ck_abort_msg("madvise: %s", strerror(errno));
	q = large_realloc(p, 2 * bytes, 0);
	/* Moved, or NULL and all is as it was. */
	if (!q)
		q = p;
	for (size_t i = 0; i < bytes; i += 4096)
		ck_assert_int_eq(q[i], 3);
	large_free(q, ptr_to_page(q));
	check_zone(my_zone());
}
END_TEST

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

static struct rlimit as_before;

static void limit_address_space(size_t bytes)
{
	struct rlimit rl;

	getrlimit(RLIMIT_AS, &as_before);
	rl = as_before;
	rl.rlim_cur = bytes;
	ck_assert_int_eq(setrlimit(RLIMIT_AS, &rl), 0);
}

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

#define NEED_LIMITS() do {						\
	if (!LIMITS_WORK) {						\
		printf("SKIP %s: no RLIMIT_AS under a sanitizer\n",	\
		       __func__);					\
		return;							\
	}								\
} while (0)

START_TEST(address_space_limited_before)
{
	u32 last, n, again;

	NEED_LIMITS();
	limit_address_space(512 * MIB);
	start("small");
	ck_assert_uint_le(mem.bytes, 256 * MIB);
	n = exhaust(PAGEBLOCK_PAGES, &last);
	ck_assert_uint_ge(n, 32);
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

	NEED_LIMITS();
	start("small");
	first = pages_alloc(1, 0, 0, NULL);
	ck_assert_uint_ne(first, NO_PFN);
	limit_address_space(512 * MIB);
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

	NEED_LIMITS();
	limit_address_space(256 * MIB);
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

START_TEST(reserve_is_whole_and_stays)
{
	enum { BLOCKS = 8 };
	unsigned char in_core[PAGEBLOCK_PAGES];
	struct zone *z;
	u32 pfn;

	start("small");
	z = my_zone();
	ck_assert_int_eq(rn_reserve(BLOCKS * PAGEBLOCK_BYTES - 1, RN_NO_NODE,
				    0), 0);
	ck_assert_uint_eq(zone_nr_idle(z), BLOCKS);
	pfn = pages_alloc(BLOCKS * PAGEBLOCK_PAGES, 0, RN_NOWAIT, NULL);
	ck_assert_uint_ne(pfn, NO_PFN);
	ck_assert_int_eq(mincore(pfn_to_ptr(pfn + 3 * PAGEBLOCK_PAGES),
				 PAGEBLOCK_BYTES, in_core), 0);
	for (size_t i = 0; i < PAGEBLOCK_BYTES / sysconf(_SC_PAGESIZE); i++)
		ck_assert(in_core[i] & 1);
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

START_TEST(bad_reserves_are_refused)
{
	start("small");
	ck_assert_int_eq(rn_reserve(MIB, nr_node_ids(), 0), -EINVAL);
	ck_assert_int_eq(rn_reserve(MIB, -2, 0), -EINVAL);
	ck_assert_int_eq(rn_reserve(MIB, RN_NO_NODE, 4), -EINVAL);
	ck_assert_int_eq(rn_reserve(MIB, RN_NO_NODE, RN_RESERVE_SHIFT(13)),
			 -EINVAL);
	ck_assert_int_eq(rn_reserve(SIZE_MAX, RN_NO_NODE, 0), -ENOMEM);
	/* More than the system has: refused, not killed for. */
	ck_assert_int_eq(rn_reserve(mem.bytes / mem.nr_stripes, RN_NO_NODE, 0),
			 -ENOMEM);
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

static TCase *tcase(Suite *s, const char *name)
{
	TCase *t = tcase_create(name);

	tcase_set_timeout(t, 120);
	suite_add_tcase(s, t);
	return t;
}

static void add_zone_tests(Suite *s)
{
	TCase *t = tcase(s, "zones");

	tcase_add_test(t, random_small);
	tcase_add_test(t, random_thp);
	tcase_add_test(t, random_hugetlb);
	tcase_add_test(t, random_threads);
	tcase_add_test(t, fullest_sufficient_block_first);
	tcase_add_test(t, runs_leave_their_tail_free);
	tcase_add_test(t, idle_blocks_are_given_back);
	tcase_add_test(t, no_thrash_at_a_boundary);
	tcase_add_test(t, what_is_down_stays_reserved);
	tcase_add_test(t, very_large_runs_go_at_once);
	tcase_add_test(t, nowait_takes_what_is_up);
	t = tcase(s, "growing");
	tcase_add_test(t, realloc_grows_in_place_and_shrinks);
	tcase_add_test(t, realloc_moves_small);
	tcase_add_test(t, realloc_moves_thp);
	tcase_add_test(t, realloc_moves_hugetlb);
	tcase_add_test(t, realloc_of_a_split_mapping);
}

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
	Suite *s = suite_create("page_alloc");
	SRunner *runner;
	int failed;

	no_huge = huge_begin();
	gib_before = gib_figure(GIB_POOL "nr_hugepages");
	add_zone_tests(s);
	add_ladder_tests(s);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	gib_write(gib_before);
	huge_end();
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

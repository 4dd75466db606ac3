// SPDX-License-Identifier: MIT
/*
 * A long life: a million times a small heap grows and collapses, some objects
 * of it live on, and now and then there is a larger one, or a tick. At
 * checkpoints every object and every page is accounted for.
 */
#include "helpers.h"

#include "slab.h"
#include "zone_census.h"

#include <stdlib.h>

#define CYCLES		1000000
#define TIDES		1000	/* a larger heap once in so many */
#define TICKS		2500
#define CHECKPOINTS	50000

#define MAX_HEAP	3000
#define SURVIVORS	1000

/* Of an object only the start is used: a cycle is to be short. */
#define USED		64

static uint64_t random_state = 3;

struct object {
	void *p;
	size_t size;
};

static struct object heap[MAX_HEAP], survivors[SURVIVORS];
static u64 nr_large, large_pages;	/* of those that are runs of pages */
static u64 nr_small;

static unsigned int below(unsigned int limit)
{
	return xorshift(&random_state) % limit;
}

/* Mostly small, some of several pages, few large. */
static size_t random_size(void)
{
	unsigned int r = below(4096);

	if (!r)
		return KMALLOC_MAX + 1 + below(300000);
	return 1 + below(r < 16 ? KMALLOC_MAX : r < 256 ? 16384 : 1024);
}

static void count(const struct object *o, int more)
{
	if (o->size <= KMALLOC_MAX) {
		nr_small += more;
		return;
	}
	nr_large += more;
	large_pages += more * (long)DIV_ROUND_UP(o->size, PAGE_BYTES);
}

static void begin(struct object *o)
{
	o->size = random_size();
	o->p = rn_alloc(o->size, 0);
	if (!o->p)
		ck_abort_msg("no memory for %zu bytes", o->size);
	pattern_set(o->p, min(o->size, (size_t)USED), o->size);
	count(o, 1);
}

static void end(struct object *o)
{
	if (!o->p)
		return;
	if (!pattern_ok(o->p, min(o->size, (size_t)USED), o->size))
		ck_abort_msg("%p, %zu bytes: the contents changed", o->p,
			     o->size);
	count(o, -1);
	rn_free(o->p);
	o->p = NULL;
}

/* One of it takes the place of another that has survived so far. */
static void cycle(unsigned int nr)
{
	unsigned int lives = below(nr);
	struct object *place = &survivors[below(SURVIVORS)];

	for (unsigned int i = 0; i < nr; i++)
		begin(&heap[i]);
	end(place);
	*place = heap[lives];
	heap[lives].p = NULL;
	for (unsigned int i = 0; i < nr; i++)
		end(&heap[i]);
}

static void tick(void)
{
	unsigned int ticket = gate_enter();

	lock(&slab_mutex);
	for (struct rn_cache *c = slab_caches; c; c = c->next)
		cache_age(c, 4);
	unlock(&slab_mutex);
	gate_exit(ticket);
}

/* --- checkpoints --- */

/* Pages that are neither free nor large runs are those of slabs. */
static void check_pages(void)
{
	u64 pages = large_pages, used = 0;

	for (struct rn_cache *c = slab_caches; c; c = c->next)
		for (int i = 0; i < nr_node_ids(); i++)
			if (c->node[i])
				pages += (u64)c->node[i]->nr_slabs * c->pages;
	for (int i = 0; i < nr_node_ids(); i++)
		used += (u64)zone_nr_up(&zones[i]) * PAGEBLOCK_PAGES -
			check_zone(&zones[i]).free_pages;
	ck_assert_uint_eq(used, pages);
}

static void check_objects(void)
{
	u64 active = 0;

	for (struct rn_cache *c = slab_caches; c; c = c->next) {
		struct cache_usage u;

		cache_usage(c, &u);
		ck_assert_uint_eq(u.objects, u.slabs * c->objects);
		active += u.active;
	}
	ck_assert_uint_eq(active, nr_small);
	ck_assert_uint_eq(slabinfo_active(), nr_small);
}

static void checkpoint(void)
{
	check_objects();
	check_pages();
	/* Every other time from nothing in slots and barns. */
	if (below(2)) {
		rn_shrink_all();
		check_objects();
		check_pages();
	}
}

START_TEST(a_long_life)
{
	/* Pages of hugetlb would not be hollow. */
	start("thp,small");
	for (int i = 1; i <= CYCLES / LESS; i++) {
		cycle(i % TIDES ? 1 + below(16) : 1 + below(MAX_HEAP));
		if (i % TICKS == 0)
			tick();
		if (i % CHECKPOINTS == 0)
			checkpoint();
	}
	ck_assert_int_gt(vmstat("reclaim_decay_hollow_kbytes"), 0);
	for (unsigned int i = 0; i < SURVIVORS; i++)
		end(&survivors[i]);
	ck_assert_uint_eq(nr_small + nr_large, 0);
	rn_shrink_all();
	check_objects();
	check_pages();
	ck_assert_uint_eq(large_pages, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("cycles");

	tcase_add_test(tcase(s, "cycles"), a_long_life);
	return suite_main(s);
}

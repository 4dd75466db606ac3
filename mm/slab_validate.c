// SPDX-License-Identifier: MIT
/*
 * Questions about slabs and objects, for who looks for what is wrong: is all as
 * it should be, what is a pointer, and which objects are left.
 */
#include "freelist.h"
#include "slab_debug.h"

#include <stdio.h>

/* What somebody has in his hands is looked at another time. */
static bool is_settled(const struct page *slab, unsigned int row)
{
	return slab->type == PAGE_SLAB && slab->row == row &&
	       slab->state != SLAB_ACTIVE;
}

/* The first fault from object *@next on; under list_lock. */
static bool next_fault(struct rn_cache *c, struct cache_node *n,
		       struct page *slab, unsigned int *next, struct fault *f)
{
	*f = (struct fault){ .c = c };
	if (debug_freelist_fault(f, c, n, slab)) {
		/* Of others it stays as it is. */
		if (!c->debug)
			*next = c->objects;
		return true;
	}
	if (!c->debug)
		return false;
	while (*next < c->objects) {
		void *object = slab_object(c, slab, (*next)++);

		if (debug_object_fault(f, slab, object))
			return true;
	}
	return false;
}

static void validate_slab(void *arg, unsigned int row, struct page *slab)
{
	struct cache_node *n = row_to_cache_node(row);
	struct rn_cache *c = row_to_cache(row);
	unsigned int next = 0;
	int *faults = arg;
	struct fault f;
	bool found;

	do {
		lock(&n->list_lock);
		found = is_settled(slab, row) &&
			next_fault(c, n, slab, &next, &f);
		unlock(&n->list_lock);
		if (!found)
			break;
		++*faults;
		fault_report(&f, c->debug ? debug_fix_of(&f) : "Not fixed");
	} while (next < c->objects || c->debug);
}

/**
 * rn_validate() - is everything as it should be?
 * @cache: whose slabs are looked at; NULL for all caches
 *
 * Each fault is reported on stderr as it would be when the object is used the
 * next time, but the program goes on: the object is quarantined. Of caches that
 * are not debugged only the lists of free objects can be looked at.
 *
 * Context: MT-safe, not async-signal-safe; holds up who uses these slabs.
 * Return: faults found; -ENOMEM where the library cannot start.
 */
RN_API int rn_validate(struct rn_cache *cache)
{
	unsigned int ticket;
	int faults = 0;

	mm_init();
	if (mm_init_error())
		return -ENOMEM;
	ticket = gate_enter();
	slab_for_each(cache, validate_slab, &faults);
	gate_exit(ticket);
	return faults;
}

/* --- what a pointer is --- */

static bool is_on_freelist(const struct rn_cache *c, const struct page *slab,
			   unsigned int wanted)
{
	int index = slab->freelist;

	for (unsigned int i = 0; i < c->objects && index >= 0 &&
	     index != NO_OBJECT; i++) {
		if ((unsigned int)index == wanted)
			return true;
		index = link_decode(c, slab, link_of(c, slab_object(c, slab,
								    index)));
	}
	return false;
}

static const char *state_of(const struct rn_cache *c, const struct page *slab,
			    unsigned int index)
{
	u32 state;

	if (index >= slab->fresh)
		return "never allocated";
	if (!c->debug)
		return is_on_freelist(c, slab, index) ? "free" :
			"in use, or free on a CPU's list";
	state = meta_of(c, slab_object(c, slab, index))->state;
	return state == OBJECT_USED ? "in use" :
		state == OBJECT_FREE ? "free" :
		state == OBJECT_HELD ? "free, held back" :
		state == OBJECT_BAD ? "quarantined" : "overwritten";
}

static void dump_object(const void *p, unsigned int row)
{
	struct cache_node *n = row_to_cache_node(row);
	struct rn_cache *c = row_to_cache(row);
	struct page *slab = ptr_to_slab(c, p);
	unsigned int index = slab_index(c, (const char *)p -
					   slab_address(slab));
	const char *object, *state;

	if (index >= c->objects) {
		report("%p: in no object of slab %p of %s", p,
		       slab_address(slab), c->name);
		return;
	}
	object = slab_object(c, slab, index);
	lock(&n->list_lock);
	state = state_of(c, slab, index);
	unlock(&n->list_lock);
	report("%p: slab %s start %p pointer offset %td size %u, %s", p,
	       c->name, object, (const char *)p - object, c->object_size,
	       state);
	report_object(c, slab, object);
}

/**
 * rn_dump_obj() - say on stderr what a pointer is
 * @p: any address
 *
 * The cache, where the object begins and whether it is in use; who allocated
 * and freed it, where the cache keeps that (RN_STORE_USER).
 *
 * Context: MT-safe, not async-signal-safe.
 * Return: 0; -ENOENT for an address that is not in a slab.
 */
RN_API int rn_dump_obj(const void *p)
{
	const struct page *page;
	unsigned int row, ticket;

	mm_init();
	if (mm_init_error() || !mem_has(p)) {
		report("%p: not memory of this library", p);
		return -ENOENT;
	}
	ticket = gate_enter();
	row = ptr_to_row(p);
	page = ptr_to_page(p);
	if (row)
		dump_object(p, row);
	else if (page && page->type == PAGE_LARGE)
		report("%p: the start of %u pages", p, page->nr_pages);
	else
		report("%p: in no slab", p);
	gate_exit(ticket);
	return row ? 0 : -ENOENT;
}

/* --- what is left of a cache --- */

static void report_left(void *arg, unsigned int row, struct page *slab)
{
	struct rn_cache *c = row_to_cache(row);
	unsigned int *left = arg;

	for (unsigned int i = 0; i < c->objects; i++) {
		void *object = slab_object(c, slab, i);

		if (meta_of(c, object)->state != OBJECT_USED)
			continue;
		++*left;
		report_object(c, slab, object);
	}
}

unsigned int debug_left(struct rn_cache *c)
{
	unsigned int left = 0;

	slab_for_each(c, report_left, &left);
	return left;
}

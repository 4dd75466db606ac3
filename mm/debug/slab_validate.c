// SPDX-License-Identifier: MIT
/*
 * Questions about slabs and objects, for who looks for what is wrong: is all as
 * it should be, what is a pointer, and which objects are left.
 */
#include "freelist.h"
#include "harden.h"
#include "kfence.h"
#include "profile.h"
#include "sanitizer.h"

#include <stdio.h>

/* What somebody has in his hands is looked at another time. */
static bool is_settled(const struct page *slab, unsigned int row)
{
	return READ_ONCE(slab->type) == PAGE_SLAB && slab->row == row &&
	       slab->state != SLAB_ACTIVE;
}

/*
 * Is there something to be read? Of a slab that is debugged and SLAB_ACTIVE the
 * objects are about to be made, or gone. Another one that is on its way out has
 * nothing in use; that is said without a look at the objects (state_of()).
 */
static bool is_there(const struct rn_cache *c, const struct page *slab,
		     unsigned int row)
{
	return c->debug ? is_settled(slab, row) :
		slab->type == PAGE_SLAB && slab->row == row;
}

/* The first fault from object *@next on; under list_lock. */
static bool next_fault(struct rn_cache *c, struct cache_node *n,
		       struct page *slab, unsigned int *next, struct fault *f)
{
	fault_begin(f, c, NULL);
	f->mend = true;
	f->fatal = false;
	if (debug_freelist_fault(f, c, n, slab)) {
		/* Of others it stays as it is. */
		if (!c->debug)
			*next = c->objects;
		return true;
	}
	if (!c->debug)
		return canary_fault(f, slab, next);
	if (debug_padding_fault(f, slab))
		return true;
	while (*next < c->objects) {
		void *object = slab_object(c, slab, (*next)++);

		if (debug_object_fault(f, slab, object))
			return true;
	}
	return false;
}

/**
 * struct looking - who goes through slabs, inside of the gate but for reports
 * @ticket: of the gate
 * @found: so far
 */
struct looking {
	unsigned int ticket;
	int found;
};

static void validate_slab(void *arg, unsigned int row, struct page *slab)
{
	struct cache_node *n = row_to_cache_node(row);
	struct rn_cache *c = row_to_cache(row);
	struct looking *l = arg;
	unsigned int next = 0;
	struct fault f;
	bool found;

	do {
		lock(&n->list_lock);
		found = is_settled(slab, row) &&
			next_fault(c, n, slab, &next, &f);
		unlock(&n->list_lock);
		if (!found)
			break;
		l->found++;
		gate_exit(l->ticket);
		fault_handle(&f);
		l->ticket = gate_enter();
	} while (next < c->objects || c->debug);
}

/* Slabs that CPUs have taken could not be looked at for their canaries. */
static void leave_slabs(const struct rn_cache *cache)
{
	if (!slab_hooked(HOOK_HARDENED))
		return;
	lock(&slab_mutex);
	for (struct rn_cache *c = slab_caches; c; c = c->next)
		if ((!cache || c == cache) && c->canary)
			cache_flush_slots(c);
	unlock(&slab_mutex);
}

/**
 * rn_validate() - is everything as it should be?
 * @cache: whose slabs are looked at; NULL for all caches
 *
 * Each fault is reported on stderr as it would be when the object is used the
 * next time, but the program goes on: the object is quarantined. Of caches that
 * are not debugged only the lists of free objects can be looked at; under
 * RN_HARDENED also what is behind each object, and a write to a free one ends
 * the program.
 *
 * Context: MT-safe, not async-signal-safe; holds up who uses these slabs. Under
 * RN_HARDENED it takes slab_mutex, and fences other CPUs.
 * Return: faults found; -ENOMEM where the library cannot start.
 */
RN_API int rn_validate(struct rn_cache *cache)
{
	struct looking l = { .found = 0 };

	mm_init();
	if (mm_init_error())
		return -ENOMEM;
	l.ticket = gate_enter();
	leave_slabs(cache);
	slab_for_each(cache, validate_slab, &l);
	gate_exit(l.ticket);
	return l.found;
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
	if (!c->debug && slab->nr_free + fresh_objects(c, slab) == c->objects)
		return "free";
	if (!c->debug)
		return is_on_freelist(c, slab, index) ? "free" :
			"in use, or free on a CPU's list";
	state = meta_of(c, slab_object(c, slab, index))->state;
	return state == OBJECT_USED ? "in use" :
		state == OBJECT_FREE ? "free" :
		state == OBJECT_HELD ? "free, held back" :
		state == OBJECT_BAD ? "quarantined" :
		state == OBJECT_KEPT ? "in use, and quarantined" :
		"overwritten";
}

/* Is it in an object, which is in @f then? What state is that in? */
static const char *look_at(struct fault *f, const void *p, unsigned int row)
{
	struct cache_node *n = row_to_cache_node(row);
	struct rn_cache *c = row_to_cache(row);
	struct page *slab = ptr_to_slab(c, p);
	unsigned int index = slab_index(c, (const char *)p -
					   slab_address(slab));
	const char *state = "in a slab that comes or goes";

	fault_begin(f, c, NULL);
	if (index >= c->objects)
		return "in no object";
	lock(&n->list_lock);
	if (is_there(c, slab, row)) {
		f->object = slab_object(c, slab, index);
		state = state_of(c, slab, index);
		fault_copy(f, slab);
	}
	unlock(&n->list_lock);
	return state;
}

static void dump_object(const struct fault *f, const void *p,
			const char *state)
{
	if (!f->object) {
		report("%p: slab %s, %s", p, f->c->name, state);
		return;
	}
	report("%p: slab %s start %p pointer offset %td size %u, %s", p,
	       f->c->name, f->object, (const char *)p - f->object,
	       f->c->object_size, state);
	report_object(f);
}

static bool dump_heap(const void *p)
{
	const struct rn_cache *c;
	const char *start;
	size_t size;

	if (mem_has(p) || !asan_heap_find(p, &start, &size, &c))
		return false;
	report("%p: slab %s start %p pointer offset %td size %zu, in use", p,
	       c ? c->name : "-", start, (const char *)p - start, size);
	sanitizer_describe(p);
	return true;
}

/**
 * rn_dump_obj() - say on stderr what a pointer is
 * @p: any address
 *
 * The cache, where the object begins and whether it is in use; who allocated
 * and freed it, where the cache keeps that (RN_STORE_USER).
 *
 * Context: MT-safe, not async-signal-safe.
 * Return: 0; -ENOENT for an address that is not in a slab, nor an object's that
 * is between guard pages.
 */
RN_API int rn_dump_obj(const void *p)
{
	unsigned int row, ticket;
	const struct page *page;
	const char *state;
	struct fault f;

	mm_init();
	if (kfence_has(p))
		return kfence_dump(p);
	if (dump_heap(p))
		return 0;
	if (mm_init_error() || !mem_has(p)) {
		report("%p: not memory of this library", p);
		return -ENOENT;
	}
	ticket = gate_enter();
	row = ptr_to_row(p);
	if (row)
		state = look_at(&f, p, row);
	gate_exit(ticket);
	page = ptr_to_page(p);
	if (row)
		dump_object(&f, p, state);
	else if (profile_cache_of(p))
		report("%p: slab %s start %p, in use, on pages of its own", p,
		       profile_cache_of(p)->name, p);
	else if (page && page->type == PAGE_LARGE)
		report("%p: the start of %u pages", p, page->nr_pages);
	else
		report("%p: in no slab", p);
	return row ? 0 : -ENOENT;
}

/* --- what is left of a cache --- */

/* Of a slab that stays: slab_mutex, or what is out, keeps the cache. */
static bool is_left(const struct rn_cache *c, const struct page *slab,
		    unsigned int i)
{
	u32 state = meta_of(c, slab_object(c, slab, i))->state;

	return state == OBJECT_USED || state == OBJECT_KEPT;
}

static void count_left(void *arg, unsigned int row, struct page *slab)
{
	struct cache_node *n = row_to_cache_node(row);
	struct rn_cache *c = row_to_cache(row);
	unsigned int *left = arg;

	lock(&n->list_lock);
	for (unsigned int i = 0; is_settled(slab, row) && i < c->objects; i++)
		*left += is_left(c, slab, i);
	unlock(&n->list_lock);
}

unsigned int debug_left(struct rn_cache *c)
{
	unsigned int left = 0;

	slab_for_each(c, count_left, &left);
	return left;
}

/* Is object @i of the slab out? Then it is in @f. */
static bool find_left(struct fault *f, unsigned int row, struct page *slab,
		      unsigned int i)
{
	struct cache_node *n = row_to_cache_node(row);
	struct rn_cache *c = row_to_cache(row);
	bool found;

	fault_begin(f, c, NULL);
	lock(&n->list_lock);
	found = is_settled(slab, row) && is_left(c, slab, i);
	if (found) {
		f->object = slab_object(c, slab, i);
		fault_copy(f, slab);
	}
	unlock(&n->list_lock);
	return found;
}

static void report_left(void *arg, unsigned int row, struct page *slab)
{
	const struct rn_cache *c = row_to_cache(row);
	struct looking *l = arg;
	struct fault f;

	for (unsigned int i = 0; i < c->objects; i++) {
		if (!find_left(&f, row, slab, i))
			continue;
		gate_exit(l->ticket);
		report_object(&f);
		l->ticket = gate_enter();
	}
}

void debug_report_left(struct rn_cache *c)
{
	struct looking l = { .ticket = gate_enter() };

	slab_for_each(c, report_left, &l);
	gate_exit(l.ticket);
}

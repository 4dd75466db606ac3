// SPDX-License-Identifier: MIT
/*
 * Objects of debugged caches: what is written around them, and how they come
 * and go. Whether it is still there then mm/debug/slab_fault.c finds out.
 *
 * Lock: list_lock covers the slab, its freelist, and of each object the state,
 * the zones and the tracks; nobody owns a slab of such a cache. So of two frees
 * of an object at the same moment one finds it in use and the other one free.
 * What is wrong is copied (struct fault), and reported when nothing is locked.
 */
#define _GNU_SOURCE
#include "freelist.h"
#include "sanitizer.h"

#include <stdio.h>
#include <string.h>

/* --- what is written --- */

static void set_red(const struct rn_cache *c, u8 *object, size_t size,
		    u8 value)
{
	if (!(c->debug & RN_RED_ZONE))
		return;
	memset(object - c->red_left, value, c->red_left);
	memset(object + size, value, c->free_offset - size);
}

static void set_poison(const struct rn_cache *c, u8 *object)
{
	if (!debug_has_poison(c))
		return;
	memset(object, POISON_FREE, c->object_size - 1);
	object[c->object_size - 1] = POISON_END;
}

static void set_track(const struct rn_cache *c, struct object_meta *m,
		      enum track_of which, const struct track *t)
{
	if (c->debug & RN_STORE_USER)
		m->tracks[which] = *t;
}

static void make_track(const struct rn_cache *c, struct track *t,
		       const void *caller)
{
	if (c->debug & RN_STORE_USER)
		track_make(t, caller);
}

static void init_object(const struct rn_cache *c, u8 *object)
{
	struct object_meta *m = meta_of(c, object);
	static const struct track nobody;

	m->state = OBJECT_FREE;
	m->size = c->object_size;
	for (int i = 0; i < NR_TRACKS; i++)
		set_track(c, m, i, &nobody);
	*link_of(c, object) = 0;
	set_red(c, object, c->object_size, RED_INACTIVE);
	set_poison(c, object);
}

void debug_init_slab(struct rn_cache *c, struct page *slab)
{
	if (is_sanitized(c))
		sanitizer_new_slab(c, slab);
	if (c->debug & RN_POISON)
		memset(slab_address(slab), POISON_INUSE,
		       (size_t)c->pages << PAGE_SHIFT);
	for (unsigned int i = 0; i < c->objects; i++)
		init_object(c, slab_object(c, slab, i));
}

/* --- allocation --- */

__thread const void *debug_caller;

static void activate(const struct rn_cache *c, u8 *object)
{
	struct object_meta *m = meta_of(c, object);

	m->state = OBJECT_USED;
	m->size = c->object_size;
	*link_of(c, object) = 0;
	if (is_sanitized(c))
		sanitizer_open(object, c->object_size, c->ctor);
	set_red(c, object, c->object_size, RED_ACTIVE);
	if (debug_has_poison(c))
		memset(object, POISON_INUSE, c->object_size);
}

/*
 * One step, under list_lock: true, and perhaps an object; or else, with @f or
 * without, there is to be another one.
 */
static bool try_alloc(struct rn_cache *c, struct cache_node *n, void **object,
		      bool *fresh, struct fault *f)
{
	struct page *slab = slab_pick(n);

	*object = NULL;
	if (!slab)
		return true;
	if (debug_freelist_fault(f, c, n, slab))
		return false;
	*fresh = slab->freelist == NO_OBJECT;
	*object = slab_pop(c, n, slab);
	if (object_is_condemned(c, *object))
		return false;
	if (object_has_fault(f, *object, false)) {
		object_condemn(f, slab, OBJECT_BAD);
		return false;
	}
	activate(c, *object);
	return true;
}

void *debug_alloc(struct rn_cache *c, struct cache_node *n)
{
	bool done, fresh = false;
	struct fault f;
	void *object;

	do {
		fault_begin(&f, c, debug_caller);
		lock(&n->list_lock);
		done = try_alloc(c, n, &object, &fresh, &f);
		unlock(&n->list_lock);
		if (*f.what)
			fault_handle(&f);
	} while (!done);
	if (!object)
		return NULL;
	stat_inc(&n->barn.alloc_slow);
	if (fresh && c->ctor)
		c->ctor(object);
	return object;
}

void *debug_take_first(struct rn_cache *c, struct page *slab)
{
	void *object = slab_object(c, slab, 0);

	WRITE_ONCE(slab->fresh, 1);
	activate(c, object);
	stat_inc(&row_to_cache_node(slab->row)->barn.alloc_slow);
	if (c->ctor)
		c->ctor(object);
	return object;
}

static void trace(const struct rn_cache *c, const char *what,
		  const void *object, size_t size, const void *caller)
{
	char buf[SYMBOL_LEN];
	struct symbol s;

	if (!(c->debug & RN_TRACE))
		return;
	s = stack_symbol(caller);
	report("TRACE %s %s %p size=%zu in %s", c->name, what, object, size,
	       symbol_text(buf, &s));
}

/* Under list_lock. */
static void set_request(struct rn_cache *c, void *object, size_t size,
			const struct track *t)
{
	struct object_meta *m = meta_of(c, object);

	m->size = size;
	if (c->debug & RN_RED_ZONE)
		memset((u8 *)object + size, RED_ACTIVE, c->free_offset - size);
	set_track(c, m, TRACK_ALLOC, t);
}

void debug_account(struct rn_cache *c, void *object, size_t size,
		   const void *caller)
{
	struct cache_node *n = row_to_cache_node(ptr_to_row(object));
	unsigned int ticket;
	struct track t;

	make_track(c, &t, caller);
	ticket = gate_enter();
	lock(&n->list_lock);
	set_request(c, object, size, &t);
	unlock(&n->list_lock);
	gate_exit(ticket);
	trace(c, "alloc", object, size, caller);
}

/* --- free --- */

/* Is @p nothing that is out? Then it is left alone. */
static bool is_no_object(struct fault *f, const struct page *slab,
			 const void *p)
{
	unsigned int index;
	u32 state;

	if (slab->type != PAGE_SLAB || slab->state == SLAB_ACTIVE ||
	    row_to_cache(slab->row) != f->c) {
		snprintf(f->what, sizeof(f->what),
			 "Attempt to free object(%p) outside of slab", p);
		return true;
	}
	index = slab_find(f->c, slab, p);
	if (index == NO_OBJECT) {
		snprintf(f->what, sizeof(f->what),
			 "Invalid object pointer %p", p);
		fault_copy(f, slab);
		return true;
	}
	state = meta_of(f->c, p)->state;
	if (state != OBJECT_FREE && state != OBJECT_HELD && state != OBJECT_BAD)
		return false;
	snprintf(f->what, sizeof(f->what), "%s", index < slab->fresh ?
		 "Object already free" :
		 "Free of an object that was never allocated");
	f->object = p;
	fault_copy(f, slab);
	return true;
}

enum step { STEP_AGAIN, STEP_REFUSED, STEP_DONE, STEP_HELD };

static enum step deactivate(struct rn_cache *c, struct cache_node *n,
			    struct page *slab, void *object,
			    const struct track *t)
{
	struct object_meta *m = meta_of(c, object);

	set_track(c, m, TRACK_FREE, t);
	if (is_sanitized(c)) {
		m->state = OBJECT_HELD;
		sanitizer_close(object, m->size);
		return STEP_HELD;
	}
	m->state = OBJECT_FREE;
	set_red(c, object, c->object_size, RED_INACTIVE);
	set_poison(c, object);
	slab_push(c, n, slab, slab_find(c, slab, object));
	return STEP_DONE;
}

/* Under list_lock. */
static enum step try_free(struct rn_cache *c, struct cache_node *n,
			  void *object, const struct track *t,
			  struct fault *f)
{
	struct page *slab = ptr_to_slab(c, object);

	if (is_no_object(f, slab, object)) {
		f->fix = "Object not freed";
		return STEP_REFUSED;
	}
	if (debug_freelist_fault(f, c, n, slab))
		return STEP_AGAIN;
	if (object_is_condemned(c, object))
		meta_of(c, object)->state = OBJECT_BAD;
	else if (object_has_fault(f, object, true))
		object_condemn(f, slab, OBJECT_BAD);
	else
		return deactivate(c, n, slab, object, t);
	return STEP_DONE;
}

void debug_free(struct rn_cache *c, struct cache_node *n, void *object,
		const void *caller)
{
	unsigned int ticket;
	enum step step;
	struct fault f;
	struct track t;

	trace(c, "free", object, 0, caller);
	make_track(c, &t, caller);
	do {
		fault_begin(&f, c, caller);
		ticket = gate_enter();
		lock(&n->list_lock);
		step = try_free(c, n, object, &t, &f);
		slab_unlock(c, n);
		if (step >= STEP_DONE)
			cache_uncharge(c, 1);
		if (step == STEP_HELD)
			quarantine_put(object, c->size);
		gate_exit(ticket);
		if (*f.what)
			fault_handle(&f);
	} while (step == STEP_AGAIN);
	stat_inc(&n->barn.free_slow);
}

void debug_release(void *object)
{
	unsigned int row = ptr_to_row(object);
	struct cache_node *n = row_to_cache_node(row);
	struct rn_cache *c = row_to_cache(row);
	struct page *slab = ptr_to_slab(c, object);

	lock(&n->list_lock);
	if (object_is_condemned(c, object)) {
		meta_of(c, object)->state = OBJECT_BAD;
	} else {
		meta_of(c, object)->state = OBJECT_FREE;
		slab_push(c, n, slab, slab_find(c, slab, object));
	}
	slab_unlock(c, n);
}

/* --- objects that stay where they are --- */

/* Under list_lock: what was written over the end so far would be lost. */
static void try_resize(struct fault *f, void *object, size_t size,
		       const struct track *t)
{
	struct rn_cache *c = row_to_cache(ptr_to_row(object));
	struct page *slab = ptr_to_slab(c, object);

	if (is_no_object(f, slab, object)) {
		f->fix = "Object not resized";
		return;
	}
	if (debug_object_fault(f, slab, object))
		return;
	if (is_sanitized(c))
		sanitizer_resize(object, debug_size(c, object), size);
	set_request(c, object, size, t);
}

void debug_resize(void *p, size_t size, const void *caller)
{
	unsigned int row = mem_has(p) ? ptr_to_row(p) : 0, ticket;
	struct rn_cache *c = row ? row_to_cache(row) : NULL;
	struct cache_node *n;
	struct fault f;
	struct track t;

	if (!mem_has(p))
		asan_heap_resize(p, size);
	else if (!c)
		large_resize(p, size);
	if (!c || !c->debug)
		return;
	n = row_to_cache_node(row);
	make_track(c, &t, caller);
	fault_begin(&f, c, caller);
	ticket = gate_enter();
	lock(&n->list_lock);
	try_resize(&f, p, size, &t);
	unlock(&n->list_lock);
	gate_exit(ticket);
	if (*f.what)
		fault_handle(&f);
	trace(c, "resize", p, size, caller);
}

static void set_size_fault(struct fault *f, size_t size, size_t had)
{
	snprintf(f->what, sizeof(f->what),
		 "Freed with a size of %zu, allocated with %zu", size, had);
	f->fix = "The size is ignored";
}

/* Under list_lock. What is no object is found by the free that follows. */
static void check_size(struct fault *f, const void *p, size_t size)
{
	const struct page *slab = ptr_to_slab(f->c, p);
	size_t had;

	if (slab->type != PAGE_SLAB || slab_find(f->c, slab, p) == NO_OBJECT ||
	    meta_of(f->c, p)->state != OBJECT_USED)
		return;
	had = debug_size(f->c, p);
	if (size == had)
		return;
	set_size_fault(f, size, had);
	f->object = p;
	fault_copy(f, slab);
}

/* Of what lies in no slab; large ones have no class to be wrong of. */
static void check_heap_size(const void *p, size_t size, const void *caller)
{
	const struct rn_cache *c;
	const char *start;
	struct fault f;
	size_t had;

	if (!asan_heap_find(p, &start, &had, &c) || start != p || !c ||
	    size == had)
		return;
	fault_begin(&f, c, caller);
	set_size_fault(&f, size, had);
	sanitizer_describe(p);
	fault_handle(&f);
}

void debug_check_size(const void *p, size_t size, const void *caller)
{
	unsigned int row = mem_has(p) ? ptr_to_row(p) : 0, ticket;
	struct cache_node *n;
	struct fault f;

	if (!mem_has(p))
		check_heap_size(p, size, caller);
	if (!row || !row_to_cache(row)->debug)
		return;
	n = row_to_cache_node(row);
	fault_begin(&f, row_to_cache(row), caller);
	ticket = gate_enter();
	lock(&n->list_lock);
	check_size(&f, p, size);
	unlock(&n->list_lock);
	gate_exit(ticket);
	if (!*f.what)
		return;
	fault_handle(&f);
	sanitizer_count(f.c);
}

/* The free that follows is right where the object is. */
static void copy_wrong(struct fault *f, const void *p)
{
	struct cache_node *n = row_to_cache_node(ptr_to_row(p));
	const struct page *slab = ptr_to_slab(f->c, p);
	unsigned int ticket = gate_enter();

	lock(&n->list_lock);
	if (slab->type == PAGE_SLAB && slab_find(f->c, slab, p) != NO_OBJECT) {
		f->object = p;
		fault_copy(f, slab);
	}
	unlock(&n->list_lock);
	gate_exit(ticket);
}

void debug_wrong_cache(const struct rn_cache *c, const struct rn_cache *of,
		       const void *object, const void *caller)
{
	struct fault f;

	if (!c->debug && !of->debug)
		bug("BUG %s: invalid free of %p: it belongs to cache %s",
		    c->name, object, of->name);
	fault_begin(&f, of, caller);
	snprintf(f.what, sizeof(f.what), "Wrong slab cache, freed to %s",
		 c->name);
	f.fix = "Object freed to its own cache";
	if (!mem_has(object))
		sanitizer_describe(object);
	else if (of->debug)
		copy_wrong(&f, object);
	fault_handle(&f);
	sanitizer_count(of);
}

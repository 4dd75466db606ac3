// SPDX-License-Identifier: MIT
/*
 * Objects of debugged caches: what is written around them, and whether it is
 * still there when they come and go.
 *
 * Lock: list_lock covers the slab, its freelist, and of each object the state,
 * the zones and the tracks; nobody owns a slab of such a cache. So of two frees
 * of an object at the same moment one finds it in use and the other one free. What
 * is wrong is copied (struct fault) and reported when the lock is released: that
 * may take locks of others.
 */
#define _GNU_SOURCE
#include "freelist.h"
#include "sanitizer.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* --- what is written --- */

static void set_red(const struct rn_cache *c, u8 *object, size_t size,
		    u8 value)
{
	if (!(c->debug & RN_RED_ZONE))
		return;
	memset(object - c->red_left, value, c->red_left);
	memset(object + size, value, c->free_offset - size);
}

/* A constructed object keeps its contents. */
static bool has_poison(const struct rn_cache *c)
{
	return c->debug & RN_POISON && !c->ctor;
}

static void set_poison(const struct rn_cache *c, u8 *object)
{
	if (!has_poison(c))
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
	if (!(c->debug & RN_STORE_USER))
		return;
	t->when = clock_ms();
	t->tid = syscall(SYS_gettid);
	t->cpu = sched_getcpu();
	t->nr = stack_save(t->frames, caller);
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

/* --- what is found --- */

static void fault_begin(struct fault *f, const struct rn_cache *c,
			const void *caller)
{
	*f = (struct fault){ .c = c, .caller = caller };
}

static bool fault_set(struct fault *f, const char *what)
{
	snprintf(f->what, sizeof(f->what), "%s", what);
	return true;
}

static bool has_wrong_bytes(struct fault *f, const char *zone, const u8 *at,
			    u8 wanted, size_t n)
{
	const u8 *end = at + n;

	if (!n || (*at == wanted && !memcmp(at, at + 1, n - 1)))
		return false;
	while (*at == wanted)
		at++;
	while (end[-1] == wanted)
		end--;
	f->zone = zone;
	f->from = at;
	f->to = end;
	f->first = *at;
	f->wanted = wanted;
	snprintf(f->what, sizeof(f->what), "%s overwritten", zone);
	return true;
}

static bool has_wrong_red(struct fault *f, const u8 *object, size_t size,
			  u8 value)
{
	const struct rn_cache *c = f->c;

	if (!(c->debug & RN_RED_ZONE))
		return false;
	return has_wrong_bytes(f, "Left Redzone", object - c->red_left, value,
			       c->red_left) ||
	       has_wrong_bytes(f, "Right Redzone", object + size, value,
			       c->free_offset - size);
}

static bool has_wrong_poison(struct fault *f, const u8 *object)
{
	size_t last = f->c->object_size - 1;

	if (!has_poison(f->c))
		return false;
	return has_wrong_bytes(f, "Poison", object, POISON_FREE, last) ||
	       has_wrong_bytes(f, "End Poison", object + last, POISON_END, 1);
}

static bool has_wrong_padding(struct fault *f, const u8 *object)
{
	const struct rn_cache *c = f->c;
	size_t end = slab_debug_end(c);

	if (!(c->debug & RN_POISON))
		return false;
	return has_wrong_bytes(f, "Object padding", object + end, POISON_INUSE,
			       c->size - c->red_left - end);
}

static bool has_wrong_meta(struct fault *f, const u8 *object, bool used)
{
	const struct object_meta *m = meta_of(f->c, object);

	bool is_free = m->state == OBJECT_FREE || m->state == OBJECT_HELD;

	if ((used ? m->state == OBJECT_USED : is_free) &&
	    m->size <= f->c->object_size)
		return false;
	return fault_set(f, "Object metadata overwritten");
}

/* Of an object that is to be @used, or free; the nearest to it comes first. */
static bool has_fault(struct fault *f, const u8 *object, bool used)
{
	const struct rn_cache *c = f->c;
	size_t size = used ? meta_of(c, object)->size : c->object_size;

	f->object = (const char *)object;
	return has_wrong_red(f, object, min(size, (size_t)c->object_size),
			     used ? RED_ACTIVE : RED_INACTIVE) ||
	       has_wrong_meta(f, object, used) ||
	       (!used && has_wrong_poison(f, object)) ||
	       has_wrong_padding(f, object);
}

/* Those on it are free, and as many as they should be; or the first one is. */
static bool is_torn(const struct rn_cache *c, const struct page *slab)
{
	unsigned int nr = 0, most = c->objects;
	int index = slab->freelist;

	if (c->debug && !(c->debug & RN_CONSISTENCY_CHECKS))
		most = 1;
	for (; nr < most && index >= 0 && index != NO_OBJECT; nr++) {
		const void *object = slab_object(c, slab, index);

		if (c->debug && meta_of(c, object)->state == OBJECT_USED)
			return true;
		index = link_decode(c, slab, link_of(c, object));
	}
	return index < 0 || (index == NO_OBJECT) != (nr == slab->nr_free);
}

/* The slab as it is; and of the object, if there is one, its history. */
static void fault_copy(struct fault *f, const struct page *slab)
{
	const struct rn_cache *c = f->c;

	f->slab = slab;
	f->used = c->objects - slab->nr_free - fresh_objects(c, slab);
	if (slab->freelist < c->objects)
		f->free = slab_object(c, slab, slab->freelist);
	if (!f->object || !c->debug)
		return;
	f->state = meta_of(c, f->object)->state;
	f->size = meta_of(c, f->object)->size;
	if (c->debug & RN_STORE_USER)
		memcpy(f->tracks, meta_of(c, f->object)->tracks,
		       sizeof(f->tracks));
}

/* Out of use for good: nobody else writes to it from here on. */
static void condemn(struct fault *f, struct page *slab)
{
	fault_copy(f, slab);
	meta_of(f->c, f->object)->state = OBJECT_BAD;
}

bool debug_freelist_fault(struct fault *f, struct rn_cache *c,
			  struct cache_node *n, struct page *slab)
{
	if (likely(!is_torn(c, slab)))
		return false;
	fault_set(f, "Freechain corrupt");
	f->object = NULL;
	fault_copy(f, slab);
	if (c->debug)
		slab_lose_freelist(c, n, slab);
	return true;
}

bool debug_object_fault(struct fault *f, struct page *slab,
			const void *object)
{
	u32 state = meta_of(f->c, object)->state;

	/* What is known is out of use. */
	if (state == OBJECT_BAD || !has_fault(f, object, state == OBJECT_USED))
		return false;
	condemn(f, slab);
	return true;
}

const char *debug_fix_of(const struct fault *f)
{
	return f->object ? "Object is not given out again" :
		"Freelist cleared";
}

void debug_end_slab(struct rn_cache *c, struct page *slab)
{
	struct fault f;

	for (unsigned int i = 0; i < c->objects; i++) {
		fault_begin(&f, c, NULL);
		if (debug_object_fault(&f, slab, slab_object(c, slab, i)))
			fault_handle(&f, "The slab is given back");
	}
	if (is_sanitized(c))
		sanitizer_end_slab(c, slab);
}

/* --- allocation --- */

static void activate(const struct rn_cache *c, u8 *object)
{
	struct object_meta *m = meta_of(c, object);

	m->state = OBJECT_USED;
	m->size = c->object_size;
	*link_of(c, object) = 0;
	if (is_sanitized(c))
		sanitizer_open(object, c->object_size, c->ctor);
	set_red(c, object, c->object_size, RED_ACTIVE);
	if (has_poison(c))
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
	if (meta_of(c, *object)->state == OBJECT_BAD)
		return false;
	if (has_fault(f, *object, false)) {
		condemn(f, slab);
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
		fault_begin(&f, c, NULL);
		lock(&n->list_lock);
		done = try_alloc(c, n, &object, &fresh, &f);
		unlock(&n->list_lock);
		if (*f.what)
			fault_handle(&f, debug_fix_of(&f));
	} while (!done);
	if (!object)
		return NULL;
	stat_inc(&n->barn.alloc_slow);
	if (fresh && c->ctor)
		c->ctor(object);
	return object;
}

static void trace(const struct rn_cache *c, const char *what,
		  const void *object, size_t size, const void *caller)
{
	char buf[SYMBOL_LEN];

	if (c->debug & RN_TRACE)
		report("TRACE %s %s %p size=%zu in %s", c->name, what, object,
		       size, stack_symbol(buf, caller));
}

void debug_account(struct rn_cache *c, void *object, size_t size,
		   const void *caller)
{
	struct cache_node *n = row_to_cache_node(ptr_to_row(object));
	struct object_meta *m = meta_of(c, object);
	unsigned int ticket;
	struct track t;

	make_track(c, &t, caller);
	ticket = gate_enter();
	lock(&n->list_lock);
	m->size = size;
	if (c->debug & RN_RED_ZONE)
		memset((u8 *)object + size, RED_ACTIVE, c->free_offset - size);
	set_track(c, m, TRACK_ALLOC, &t);
	unlock(&n->list_lock);
	gate_exit(ticket);
	trace(c, "alloc", object, size, caller);
}

void debug_resize(void *p, size_t size, const void *caller)
{
	unsigned int row = ptr_to_row(p);
	struct rn_cache *c = row ? row_to_cache(row) : NULL;

	if (!c)
		large_resize(p, size);
	else if (is_sanitized(c))
		sanitizer_resize(p, debug_size(c, p), size);
	if (c && c->debug)
		debug_account(c, p, size, caller);
}

/* --- free --- */

/* Is @p nothing that can be freed? Then it is left alone. */
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
	fault_set(f, index < slab->fresh ? "Object already free" :
		  "Free of an object that was never allocated");
	f->object = p;
	fault_copy(f, slab);
	return true;
}

static void deactivate(struct rn_cache *c, struct cache_node *n,
		       struct page *slab, void *object, const struct track *t)
{
	struct object_meta *m = meta_of(c, object);

	set_track(c, m, TRACK_FREE, t);
	if (is_sanitized(c)) {
		m->state = OBJECT_HELD;
		sanitizer_close(object, m->size);
		return;
	}
	m->state = OBJECT_FREE;
	set_red(c, object, c->object_size, RED_INACTIVE);
	set_poison(c, object);
	slab_push(c, n, slab, slab_find(c, slab, object));
}

void debug_release(void *object)
{
	unsigned int row = ptr_to_row(object);
	struct cache_node *n = row_to_cache_node(row);
	struct rn_cache *c = row_to_cache(row);
	struct page *slab = ptr_to_slab(c, object);

	lock(&n->list_lock);
	meta_of(c, object)->state = OBJECT_FREE;
	slab_push(c, n, slab, slab_find(c, slab, object));
	slab_unlock(c, n);
}

/* Under list_lock; true: there is to be another try. */
static bool try_free(struct rn_cache *c, struct cache_node *n, void *object,
		     const struct track *t, struct fault *f)
{
	struct page *slab = ptr_to_slab(c, object);

	if (is_no_object(f, slab, object))
		return false;
	if (debug_freelist_fault(f, c, n, slab))
		return true;
	if (has_fault(f, object, true))
		condemn(f, slab);
	else
		deactivate(c, n, slab, object, t);
	return false;
}

void debug_free(struct rn_cache *c, struct cache_node *n, void *object,
		const void *caller)
{
	char fix[64];
	struct fault f;
	struct track t;
	bool again;

	trace(c, "free", object, 0, caller);
	make_track(c, &t, caller);
	do {
		fault_begin(&f, c, caller);
		lock(&n->list_lock);
		again = try_free(c, n, object, &t, &f);
		slab_unlock(c, n);
		snprintf(fix, sizeof(fix), "Object at %p not freed", object);
		if (*f.what)
			fault_handle(&f, again ? debug_fix_of(&f) : fix);
	} while (again);
	stat_inc(&n->barn.free_slow);
	if (*f.what)
		return;
	cache_uncharge(c, 1);
	if (is_sanitized(c))
		quarantine_put(object, c->size);
}

void debug_check_size(struct rn_cache *c, void *object, size_t size,
		      const void *caller)
{
	struct cache_node *n = row_to_cache_node(ptr_to_row(object));
	struct page *slab = ptr_to_slab(c, object);
	size_t had = debug_size(c, object);
	struct fault f;

	if (size == had || meta_of(c, object)->state != OBJECT_USED)
		return;
	fault_begin(&f, c, caller);
	snprintf(f.what, sizeof(f.what),
		 "Freed with a size of %zu, allocated with %zu", size, had);
	f.object = object;
	lock(&n->list_lock);
	fault_copy(&f, slab);
	unlock(&n->list_lock);
	fault_handle(&f, "The size is ignored");
}

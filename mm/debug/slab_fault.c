// SPDX-License-Identifier: MIT
/*
 * Is around the objects of debugged caches what was written there? What is not
 * is copied (struct fault) and mended, all under list_lock; who found it
 * reports it when nothing is locked.
 */
#include "freelist.h"
#include "sanitizer.h"

#include <stdio.h>
#include <string.h>

void fault_begin(struct fault *f, const struct rn_cache *c,
		 const void *caller)
{
	*f = (struct fault){
		.c = c, .caller = caller, .mend = options.slab_debug_continue,
		.fatal = !options.slab_debug_continue,
	};
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

	if (!debug_has_poison(f->c))
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

bool object_has_fault(struct fault *f, const u8 *object, bool used)
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

/* The bytes around the fault: they may be others when it is reported. */
static void copy_bytes(struct fault *f, const struct page *slab)
{
	const struct rn_cache *c = f->c;
	const u8 *object = (const u8 *)f->object;
	const u8 *focus = f->from ? f->from : object;
	const u8 *at = (const u8 *)slab_address(slab);
	const u8 *end = at + ((size_t)c->pages << PAGE_SHIFT);

	/* A sanitizer has forbidden to read them. */
	if (!focus || is_sanitized(c))
		return;
	if (object) {
		at = max(at, object - c->red_left - BYTES_BEFORE);
		end = min(end, object - c->red_left + c->size);
	}
	if (focus - at > NR_SEEN / 2)
		at = focus - NR_SEEN / 2;
	f->at = at;
	f->nr = min(end - at, (long)NR_SEEN);
	memcpy(f->seen, at, f->nr);
}

/* Of one that is overwritten nothing is known. */
static void copy_tracks(struct fault *f)
{
	memcpy(f->tracks, meta_of(f->c, f->object)->tracks,
	       sizeof(f->tracks));
	for (struct track *t = f->tracks; t < f->tracks + NR_TRACKS; t++)
		if (track_frames(t) != t->nr)
			*t = (struct track){ 0 };
}

void fault_copy(struct fault *f, const struct page *slab)
{
	const struct rn_cache *c = f->c;

	f->slab = slab;
	f->used = c->objects - slab->nr_free - fresh_objects(c, slab);
	if (slab->freelist < c->objects)
		f->free = slab_object(c, slab, slab->freelist);
	if (!c->debug)
		return;
	copy_bytes(f, slab);
	if (f->from && f->mend)
		memset((u8 *)f->from, f->wanted, f->to - f->from);
	if (!f->object)
		return;
	f->state = meta_of(c, f->object)->state;
	f->size = meta_of(c, f->object)->size;
	if (c->debug & RN_STORE_USER)
		copy_tracks(f);
}

void object_condemn(struct fault *f, struct page *slab,
		    enum object_state state)
{
	fault_copy(f, slab);
	f->fix = "Object is not given out again";
	meta_of(f->c, f->object)->state = state;
}

bool debug_freelist_fault(struct fault *f, struct rn_cache *c,
			  struct cache_node *n, struct page *slab)
{
	if (likely(!is_torn(c, slab)))
		return false;
	fault_set(f, "Freechain corrupt");
	f->object = NULL;
	fault_copy(f, slab);
	f->fix = c->debug ? "Freelist cleared" : "Not fixed";
	if (c->debug)
		slab_lose_freelist(c, n, slab);
	return true;
}

bool debug_object_fault(struct fault *f, struct page *slab,
			const void *object)
{
	u32 state = meta_of(f->c, object)->state;

	if (object_is_condemned(f->c, object) ||
	    !object_has_fault(f, object, state == OBJECT_USED))
		return false;
	/* Of one whose state is overwritten a free is still to be expected. */
	object_condemn(f, slab, state == OBJECT_FREE ? OBJECT_BAD :
						       OBJECT_KEPT);
	return true;
}

/* Behind the last object; where none lies in two pages, behind that of each. */
bool debug_padding_fault(struct fault *f, const struct page *slab)
{
	const struct rn_cache *c = f->c;
	size_t bytes = (size_t)c->pages << PAGE_SHIFT;
	size_t chunk = c->per_page ? PAGE_BYTES : bytes;
	size_t rest = c->per_page ? c->page_rest :
				    bytes - (size_t)c->objects * c->size;
	const u8 *end = (const u8 *)slab_address(slab) + chunk;

	if (!(c->debug & RN_POISON))
		return false;
	for (; bytes; bytes -= chunk, end += chunk) {
		if (!has_wrong_bytes(f, "Padding", end - rest, POISON_INUSE,
				     rest))
			continue;
		f->object = NULL;
		fault_copy(f, slab);
		return true;
	}
	return false;
}

void debug_end_slab(struct rn_cache *c, struct page *slab)
{
	struct fault f;

	fault_begin(&f, c, NULL);
	if (debug_padding_fault(&f, slab))
		fault_handle(&f);
	for (unsigned int i = 0; i < c->objects; i++) {
		fault_begin(&f, c, NULL);
		if (!debug_object_fault(&f, slab, slab_object(c, slab, i)))
			continue;
		f.fix = "The slab is given back";
		fault_handle(&f);
	}
	if (is_sanitized(c))
		sanitizer_end_slab(c, slab);
}

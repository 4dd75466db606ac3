// SPDX-License-Identifier: MIT
/*
 * Objects that are chunks of AddressSanitizer's own malloc(), so that it and
 * LeakSanitizer know of them what they know of any; and the table that says
 * which of its chunks are, and of what cache.
 *
 * The runtime is called with no lock held and outside of the gate: who has
 * interrupted it may fork, and would wait for who is inside and waits for it.
 *
 * Lock: heap.lock, a leaf, covers what is in struct heap. Its tables are no
 * memory that LeakSanitizer looks at: else nothing would be lost.
 */
#include "pressure.h"
#include "sanitizer.h"

#include <string.h>
#include <sys/mman.h>

#define __runtime	__attribute__((weak, visibility("default")))

/* As they are called in a program that has functions of its own before them. */
__runtime void *__interceptor_malloc(size_t size);
__runtime int __interceptor_posix_memalign(void **p, size_t align, size_t size);
__runtime void __interceptor_free(void *p);
__runtime int __sanitizer_get_ownership(const volatile void *p);
__runtime const char *__asan_locate_address(void *p, char *name, size_t len,
					    void **start, size_t *size);
__runtime size_t __asan_get_alloc_stack(void *p, void **frames, size_t most,
					int *thread);

#define NR_BUCKETS_SHIFT	20
#define MOST_OBJECTS		(1UL << 26)
/* What it cannot get ends the program, where ours is NULL. */
#define MOST_BYTES		(1UL << 30)
#define MALLOC_ALIGN		16UL

/* From its own to those of ours that the program has called. */
#define FRAMES_BEFORE		16

bool asan_heap_on;

/**
 * struct entry - a chunk that is an object
 * @p: where it begins; NULL: no such is out
 * @c: its cache, NULL for a large one
 * @caller: who asked for it
 * @size: so many bytes
 * @next: in its bucket, or that is free; or 0
 * @freeing: the runtime is about to have it back
 */
struct entry {
	const char *p;
	const struct rn_cache *c;
	const void *caller;
	size_t size;
	u32 next;
	bool freeing;
};

/**
 * struct heap - what is out
 * @lock: covers it
 * @buckets: by address, the first entry of each, the latest; or 0
 * @entries: from 1 on
 * @used: the last one that ever was
 * @free: the first one that is not, or 0
 * @current: objects that are out
 * @allocs: since the start
 */
static struct {
	struct lock lock;
	u32 *buckets;
	struct entry *entries;
	u32 used, free;
	u64 current, allocs;
} heap;

/* --- the table, under the lock --- */

static u32 *bucket_of(const void *p)
{
	u64 hash = ((uintptr_t)p >> 3) * 0x9e3779b97f4a7c15;

	return &heap.buckets[hash >> (64 - NR_BUCKETS_SHIFT)];
}

/* The latest: one before it is about to go. NULL: there is none. */
static struct entry *find(const void *p)
{
	for (u32 i = *bucket_of(p); i; i = heap.entries[i].next)
		if (heap.entries[i].p == p)
			return &heap.entries[i];
	return NULL;
}

static u32 entry_new(void)
{
	u32 i = heap.free;

	if (i) {
		heap.free = heap.entries[i].next;
		return i;
	}
	i = heap.used + 1;
	if (i == MOST_OBJECTS ||
	    meta_open(&heap.entries[i], sizeof(*heap.entries)))
		return 0;
	heap.used = i;
	return i;
}

static bool entry_insert(const struct entry *new)
{
	u32 *bucket = bucket_of(new->p), i = entry_new();

	if (!i)
		return false;
	heap.entries[i] = *new;
	heap.entries[i].next = *bucket;
	*bucket = i;
	stat_inc(&heap.current);
	stat_inc(&heap.allocs);
	return true;
}

static void entry_remove(struct entry *e)
{
	u32 *link = bucket_of(e->p), i = e - heap.entries;

	while (*link != i)
		link = &heap.entries[*link].next;
	*link = e->next;
	*e = (struct entry){ .next = heap.free };
	heap.free = i;
	stat_add(&heap.current, -1UL);
}

/* --- and from outside --- */

static unsigned int table_enter(void)
{
	unsigned int ticket = gate_enter();

	lock(&heap.lock);
	return ticket;
}

static void table_exit(unsigned int ticket)
{
	unlock(&heap.lock);
	gate_exit(ticket);
}

static bool table_insert(const struct entry *new)
{
	unsigned int ticket = table_enter();
	bool done = entry_insert(new);

	table_exit(ticket);
	return done;
}

static void table_remove(struct entry *e)
{
	unsigned int ticket = table_enter();

	entry_remove(e);
	table_exit(ticket);
}

/* What is out at @p, in *@copy. */
static bool table_find(const void *p, struct entry *copy)
{
	unsigned int ticket = table_enter();
	const struct entry *e = find(p);
	bool found = e && !e->freeing;

	if (found)
		*copy = *e;
	table_exit(ticket);
	return found;
}

/* --- allocation --- */

static bool may_have(const struct rn_cache *c, size_t size, rn_gfp_t flags,
		     int node)
{
	if (node != RN_NO_NODE || flags & (RN_HUGETLB | RN_THISNODE) ||
	    size > MOST_BYTES || limit_is_set())
		return false;
	return !c || (c->debug & DEBUG_ASAN_HEAP && !c->counter && !c->gfp);
}

/* A run of pages is aligned as rn_alloc() says. */
static size_t align_of(const struct rn_cache *c, size_t size)
{
	if (c)
		return c->align;
	return is_power_of_2(size) ? min(size, PAGEBLOCK_BYTES) : PAGE_BYTES;
}

static __always_inline void *chunk_alloc(size_t size, size_t align)
{
	void *p;

	if (align <= MALLOC_ALIGN)
		return __interceptor_malloc(size);
	return __interceptor_posix_memalign(&p, align, size) ? NULL : p;
}

noinline void *asan_heap_alloc(struct rn_cache *c, size_t size, rn_gfp_t flags,
			       int node, const void *caller)
{
	struct entry new = { .c = c, .size = size, .caller = caller };
	int saved = errno;
	void *p;

	if (!may_have(c, size, flags, node))
		return NULL;
	p = chunk_alloc(size, align_of(c, size));
	new.p = p;
	if (p && !table_insert(&new)) {
		__interceptor_free(p);
		p = NULL;
	}
	if (p && c && c->ctor)
		c->ctor(p);
	errno = saved;
	return p && flags & RN_ZERO ? memset(p, 0, size) : p;
}

/* --- free --- */

/* Where the chunk begins, perhaps freed, that @p points into; or NULL. */
static const void *chunk_of(const void *p)
{
	void *start = NULL;
	size_t size = 0;
	const char *kind = __asan_locate_address((void *)p, NULL, 0, &start,
						 &size);

	return kind && !strcmp(kind, "heap") &&
	       (uintptr_t)p - (uintptr_t)start < size ? start : NULL;
}

/* Who frees it first gets it, and has *@first. NULL: it is no object. */
static struct entry *begin_free(const void *p, bool *first)
{
	unsigned int ticket = table_enter();
	struct entry *e = find(p);

	*first = e && !e->freeing;
	if (e)
		e->freeing = true;
	table_exit(ticket);
	return e;
}

noinline bool asan_heap_free(const void *p)
{
	int saved = errno;
	struct entry *e;
	bool first;

	if (!asan_heap_on)
		return false;
	e = begin_free(p, &first);
	/* It is malloc()'s that somebody has, or no chunk at all. */
	if (!e && (__sanitizer_get_ownership(p) || !chunk_of(p)))
		return false;
	if (first && slab_hooked(HOOK_INIT_FREE))
		memset((void *)p, 0, e->size);
	/* One that is freed twice, or is the middle of one, is reported. */
	__interceptor_free((void *)p);
	if (first)
		table_remove(e);
	errno = saved;
	return true;
}

void asan_heap_resize(const void *p, size_t size)
{
	unsigned int ticket;
	struct entry *e, old;

	if (!asan_heap_on || !table_find(p, &old))
		return;
	ticket = table_enter();
	e = find(p);
	if (e)
		e->size = size;
	table_exit(ticket);
	sanitizer_resize(p, old.size, size);
}

/* --- questions --- */

bool asan_heap_find(const void *p, const char **start, size_t *size,
		    const struct rn_cache **c)
{
	struct entry e;

	if (!asan_heap_on)
		return false;
	if (!table_find(p, &e) && !table_find(chunk_of(p), &e))
		return false;
	*start = e.p;
	*size = e.size;
	*c = e.c;
	return (const char *)p < e.p + e.size;
}

bool asan_heap_reports(const void *p)
{
	return asan_heap_on && !__sanitizer_get_ownership(p) && chunk_of(p);
}

bool asan_heap_next(u32 *i, struct asan_object *o)
{
	unsigned int ticket = table_enter();
	bool found = false;

	while (!found && *i < heap.used) {
		const struct entry *e = &heap.entries[++*i];

		found = e->p && !e->freeing;
		if (found)
			*o = (struct asan_object){ e->p, e->size, e->c,
						   e->caller };
	}
	table_exit(ticket);
	return found;
}

unsigned long asan_heap_left(const struct rn_cache *c)
{
	struct asan_object o;
	unsigned long left = 0;

	for (u32 i = 0; asan_heap_on && asan_heap_next(&i, &o);)
		left += o.c == c;
	return left;
}

void asan_heap_report_left(const struct rn_cache *c)
{
	struct asan_object o;

	for (u32 i = 0; asan_heap_on && asan_heap_next(&i, &o);) {
		if (o.c != c)
			continue;
		report("Object %p of %zu bytes of %s", o.start, o.size,
		       c->name);
		sanitizer_describe(o.start);
	}
}

/* The runtime has addresses within the call, up to four bytes from its end. */
static bool returns_to(const void *frame, const void *caller)
{
	return (uintptr_t)caller - (uintptr_t)frame <= 4;
}

unsigned int asan_heap_stack(const struct asan_object *o, const void **frames,
			     unsigned int most)
{
	void *all[STACK_DEPTH_MOST + FRAMES_BEFORE];
	unsigned int nr, first = 0;
	int thread;

	nr = __asan_get_alloc_stack((void *)o->start, all,
				    most + FRAMES_BEFORE, &thread);
	while (first < nr && !returns_to(all[first], o->caller))
		first++;
	if (first == nr) {
		frames[0] = o->caller;
		return 1;
	}
	nr = min(nr - first, most);
	for (unsigned int i = 0; i < nr; i++)
		frames[i] = (char *)all[first + i] + 1;
	return nr;
}

void vmstat_asan_heap(struct seq *s)
{
	if (!asan_heap_on)
		return;
	seq_printf(s, "asan_heap_current %lu\n",
		   (unsigned long)READ_ONCE(heap.current));
	seq_printf(s, "asan_heap_allocs %lu\n",
		   (unsigned long)READ_ONCE(heap.allocs));
}

/* --- the start --- */

bool asan_heap_is_possible(void)
{
	return __interceptor_malloc && __interceptor_posix_memalign &&
	       __interceptor_free && __sanitizer_get_ownership &&
	       __asan_locate_address && __asan_get_alloc_stack;
}

int asan_heap_start(void)
{
	size_t bytes = MOST_OBJECTS * sizeof(*heap.entries);

	if (!asan_heap_on)
		return 0;
	heap.buckets = meta_reserve(sizeof(*heap.buckets) << NR_BUCKETS_SHIFT,
				    PROT_READ | PROT_WRITE);
	heap.entries = meta_reserve(bytes, PROT_NONE);
	return heap.buckets && heap.entries ? 0 : -ENOMEM;
}

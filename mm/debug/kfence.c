// SPDX-License-Identifier: MIT
/*
 * The pool of objects between guard pages.
 *
 * Lock: pool.lock, a leaf, covers what is in struct pool and all metadata, and
 * the protection of pages. Stacks are taken before it and reports go out after.
 */
#define _GNU_SOURCE
#include "kfence.h"
#include "zone.h"

#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>

u32 kfence_gate;
struct kfence_pool kfence_pool;

#define NO_INDEX	((u32)-1)

/**
 * struct pool - what is in kfence_pool
 * @lock: covers all but @objects, @nr and @page, which are constant
 * @objects: by number
 * @nr: of them
 * @page: bytes of a page
 * @head: the first one that is free, who waited longest; or NO_INDEX
 * @tail: the last one
 * @nr_free: in between
 * @random: where to put the next one
 * @current: objects that are out
 * @allocs: since the start
 * @frees: likewise
 * @bugs: reports
 * @full: samples that found none free
 * @covered: samples that were not needed, or could not be made
 */
static struct {
	struct lock lock;
	struct kfence_object *objects;
	u32 nr;
	size_t page;
	u32 head, tail, nr_free;
	u64 random;
	u64 current, allocs, frees, bugs, full, covered;
} pool;

/* --- pages --- */

static char *page_of(u32 index)
{
	return (char *)kfence_pool.base + (2UL * index + 1) * pool.page;
}

/* Of pages: 0 is the first guard, 1 that of the first object. */
static size_t page_number(const void *p)
{
	return ((uintptr_t)p - kfence_pool.base) / pool.page;
}

/* The object that has this page, whatever its state, or NULL. */
static struct kfence_object *object_at(const void *p)
{
	size_t page = page_number(p);

	return page % 2 ? &pool.objects[page / 2] : NULL;
}

static u32 index_of(const struct kfence_object *o)
{
	return o - pool.objects;
}

static bool protect(char *page, size_t nr, int prot)
{
	return !mprotect(page, nr * pool.page, prot);
}

/* --- the queue of those that are free --- */

static void queue_add(u32 index)
{
	pool.objects[index].next = NO_INDEX;
	if (pool.head == NO_INDEX)
		pool.head = index;
	else
		pool.objects[pool.tail].next = index;
	pool.tail = index;
	WRITE_ONCE(pool.nr_free, pool.nr_free + 1);
}

/* The one that waited longest, or NULL; those that went bad are dropped. */
static struct kfence_object *queue_take(void)
{
	while (pool.head != NO_INDEX) {
		struct kfence_object *o = &pool.objects[pool.head];

		pool.head = o->next;
		WRITE_ONCE(pool.nr_free, pool.nr_free - 1);
		if (o->state != KFENCE_BAD)
			return o;
	}
	return NULL;
}

bool kfence_is_full(void)
{
	return !READ_ONCE(pool.nr_free);
}

/* --- what is around an object --- */

static void set_pattern(char *page)
{
	u64 *words = (u64 *)page;

	for (size_t i = 0; i < pool.page / sizeof(*words); i++)
		words[i] = KFENCE_PATTERN;
}

/* The first byte that is not as it should be, or @to. */
static const char *find_wrong(const char *from, const char *to)
{
	while (from < to) {
		size_t step = 1;

		if ((uintptr_t)from % sizeof(u64) == 0 &&
		    (size_t)(to - from) >= sizeof(u64) &&
		    *(const u64 *)from == KFENCE_PATTERN)
			step = sizeof(u64);
		else if ((u8)*from != kfence_pattern(from))
			break;
		from += step;
	}
	return from;
}

/* Is it still there? Else @f has what is. */
static bool has_pattern(struct kfence_fault *f, const char *from,
			const char *to)
{
	from = find_wrong(from, to);
	if (from == to)
		return true;
	f->error = KFENCE_CORRUPTION;
	f->at = from;
	f->nr_bytes = min((size_t)(to - from), (size_t)KFENCE_BYTES);
	memcpy(f->bytes, from, f->nr_bytes);
	return false;
}

static bool is_intact(struct kfence_fault *f, const struct kfence_object *o)
{
	const char *page = page_of(index_of(o));

	return has_pattern(f, page, o->start) &&
	       has_pattern(f, o->start + o->size, page + pool.page);
}

/* --- allocation --- */

bool kfence_may_sample(const struct rn_cache *c)
{
	return !c->debug && !c->counter && !c->gfp &&
	       READ_ONCE(c->refcount) && c->usable <= pool.page &&
	       c->align <= pool.page;
}

/* One gets through. */
static bool pass_gate(u32 row)
{
	return __atomic_compare_exchange_n(&kfence_gate, &row, 0, false,
					   __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

static u32 hash_of(const struct track *t)
{
	u64 hash = t->nr;

	for (unsigned int i = 0; i < t->nr; i++)
		hash = (hash ^ (uintptr_t)t->frames[i]) * 0x9e3779b97f4a7c15;
	return hash >> 32;
}

/* While few are free, one for each stack must do. */
static bool is_covered(u32 hash)
{
	if (pool.nr_free > pool.nr / 4)
		return false;
	for (u32 i = 0; i < pool.nr; i++)
		if (pool.objects[i].state == KFENCE_USED &&
		    pool.objects[i].hash == hash)
			return true;
	return false;
}

/* At either end of its page. */
static void place(struct kfence_object *o, const struct rn_cache *c,
		  size_t size)
{
	char *page = page_of(index_of(o));

	o->start = page;
	if (kfence_random(&pool.random) >> 39)
		o->start += ALIGN_DOWN(pool.page - size, (size_t)c->align);
	o->size = size;
	o->c = c;
	set_pattern(page);
}

/* A page that is accessible, or NULL. */
static struct kfence_object *take(const struct track *t)
{
	u32 hash = hash_of(t);
	struct kfence_object *o;

	if (is_covered(hash)) {
		stat_inc(&pool.covered);
		return NULL;
	}
	o = queue_take();
	if (!o) {
		stat_inc(&pool.full);
		return NULL;
	}
	if (!protect(page_of(index_of(o)), 1, PROT_READ | PROT_WRITE)) {
		queue_add(index_of(o));
		stat_inc(&pool.covered);
		return NULL;
	}
	o->hash = hash;
	o->tracks[TRACK_ALLOC] = *t;
	o->tracks[TRACK_FREE].when = 0;
	return o;
}

static struct kfence_object *new_object(const struct rn_cache *c, size_t size,
					const struct track *t)
{
	struct kfence_object *o;

	lock(&pool.lock);
	o = take(t);
	if (o) {
		place(o, c, size);
		WRITE_ONCE(o->state, KFENCE_USED);
		stat_inc(&pool.current);
		stat_inc(&pool.allocs);
	}
	unlock(&pool.lock);
	return o;
}

noinline void *kfence_alloc(struct rn_cache *c, size_t size, rn_gfp_t flags,
			    int node, const void *caller)
{
	struct kfence_object *o;
	unsigned int ticket;
	int saved = errno;
	struct track t;

	if (node != RN_NO_NODE || flags & (RN_HUGETLB | RN_THISNODE) ||
	    !kfence_may_sample(c) || !pass_gate(c->row))
		return NULL;
	/* Of a cache, what rn_cache_size() says; of a class, what was asked. */
	if (size == READ_ONCE(c->object_size))
		size = c->usable;
	track_make(&t, caller);
	ticket = gate_enter();
	o = new_object(c, size, &t);
	if (o && c->ctor)
		c->ctor(o->start);
	gate_exit(ticket);
	errno = saved;
	if (!o)
		return NULL;
	return flags & RN_ZERO ? memset(o->start, 0, size) : o->start;
}

/* --- free --- */

static void copy_object(struct kfence_fault *f, const struct kfence_object *o)
{
	f->index = (int)index_of(o);
	f->object = *o;
}

/* Its page is protected, and its turn comes after all others. */
static void retire(struct kfence_object *o, const struct track *t)
{
	char *page = page_of(index_of(o));

	o->tracks[TRACK_FREE] = *t;
	WRITE_ONCE(o->state, KFENCE_FREED);
	if (o->opened)
		protect(page - pool.page, 3, PROT_NONE);
	else
		protect(page, 1, PROT_NONE);
	o->opened = false;
	queue_add(index_of(o));
	stat_add(&pool.current, -1UL);
	stat_inc(&pool.frees);
}

/* Under the lock. What is found is in @f. */
static void try_free(struct kfence_fault *f, const char *p,
		     const struct track *t)
{
	struct kfence_object *o = object_at(p);

	if (!o || o->state != KFENCE_USED || o->start != p) {
		f->error = KFENCE_INVALID_FREE;
		if (o && o->state != KFENCE_UNUSED)
			copy_object(f, o);
		return;
	}
	if (!is_intact(f, o))
		copy_object(f, o);
	retire(o, t);
}

noinline void kfence_free(const void *p, const void *caller)
{
	struct kfence_fault f = { .index = -1, .at = p };
	unsigned int ticket;
	int saved = errno;
	struct track t;

	track_make(&t, caller);
	ticket = gate_enter();
	lock(&pool.lock);
	try_free(&f, p, &t);
	stat_add(&pool.bugs, f.error != KFENCE_NO_ERROR);
	unlock(&pool.lock);
	gate_exit(ticket);
	if (f.error) {
		f.nr = t.nr;
		memcpy(f.stack, t.frames, sizeof(f.stack));
		kfence_report(&f);
	}
	errno = saved;
}

/* --- faults --- */

/* Bytes from the object to @at, or a page and more where there is none. */
static size_t distance(const struct kfence_object *o, const char *at)
{
	if (o->state != KFENCE_USED)
		return SIZE_MAX;
	return at < o->start ? (size_t)(o->start - at)
			     : (size_t)(at - (o->start + o->size)) + 1;
}

/* The nearer one of those on either side of a guard, or NULL. */
static struct kfence_object *neighbour(const char *at)
{
	u32 right = page_number(at) / 2;
	struct kfence_object *o = NULL;
	size_t least = SIZE_MAX;

	for (u32 i = right ? right - 1 : 0; i <= right && i < pool.nr; i++) {
		size_t far = distance(&pool.objects[i], at);

		if (far >= least)
			continue;
		least = far;
		o = &pool.objects[i];
	}
	return o;
}

static void find_fault(struct kfence_fault *f)
{
	struct kfence_object *o = object_at(f->at);

	f->error = KFENCE_INVALID;
	if (!o) {
		o = neighbour(f->at);
		if (!o)
			return;
		f->error = KFENCE_OOB;
		o->opened = true;
		copy_object(f, o);
	} else if (o->state == KFENCE_FREED) {
		f->error = KFENCE_UAF;
		copy_object(f, o);
		o->state = KFENCE_BAD;
	} else if (o->state == KFENCE_UNUSED) {
		o->state = KFENCE_BAD;
	}
}

/* The access may be of a signal handler that interrupted the lock's owner. */
void kfence_find_fault(struct kfence_fault *f)
{
	bool held = lock_is_mine(&pool.lock);

	if (!held)
		lock(&pool.lock);
	find_fault(f);
	stat_inc(&pool.bugs);
	if (options.slab_debug_continue &&
	    !protect((char *)ALIGN_DOWN((uintptr_t)f->at, pool.page), 1,
		     PROT_READ | PROT_WRITE))
		bug("kfence: %p cannot be made accessible: %s", f->at,
		    error_text(errno));
	if (!held)
		unlock(&pool.lock);
}

/* --- questions --- */

bool kfence_find(const void *p, const char **start, size_t *size,
		 const struct rn_cache **c)
{
	const struct kfence_object *o = kfence_has(p) ? object_at(p) : NULL;

	if (!o || READ_ONCE(o->state) != KFENCE_USED ||
	    (const char *)p < o->start ||
	    (const char *)p >= o->start + o->size)
		return false;
	*start = o->start;
	*size = o->size;
	*c = o->c;
	return true;
}

bool kfence_copy(struct kfence_fault *f, const void *p)
{
	const struct kfence_object *o = object_at(p);
	unsigned int ticket = gate_enter();

	lock(&pool.lock);
	if (o && o->state != KFENCE_UNUSED && o->start)
		copy_object(f, o);
	unlock(&pool.lock);
	gate_exit(ticket);
	return f->index >= 0;
}

unsigned int kfence_left(const struct rn_cache *c)
{
	unsigned int left = 0;

	lock(&pool.lock);
	for (u32 i = 0; i < pool.nr; i++)
		left += pool.objects[i].state == KFENCE_USED &&
			pool.objects[i].c == c;
	unlock(&pool.lock);
	return left;
}

void kfence_forget(const struct rn_cache *c)
{
	lock(&pool.lock);
	for (u32 i = 0; i < pool.nr; i++)
		if (pool.objects[i].c == c)
			pool.objects[i].c = NULL;
	unlock(&pool.lock);
}

static void line(struct seq *s, const char *name, const u64 *n)
{
	seq_printf(s, "kfence_%s %lu\n", name, (unsigned long)READ_ONCE(*n));
}

void vmstat_kfence(struct seq *s)
{
	if (!kfence_pool.bytes)
		return;
	line(s, "current", &pool.current);
	line(s, "allocs", &pool.allocs);
	line(s, "frees", &pool.frees);
	line(s, "bugs", &pool.bugs);
	line(s, "skipped_full", &pool.full);
	line(s, "skipped_covered", &pool.covered);
}

/* --- the start --- */

static bool make_pool(void)
{
	size_t bytes = (2UL * pool.nr + 1) * pool.page;
	char *p;

	pool.objects = meta_alloc(pool.nr * sizeof(*pool.objects));
	if (!pool.objects)
		return false;
	p = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS |
		 MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return false;
	vma_name(p, bytes, "libslab-kfence");
	kfence_pool.base = (uintptr_t)p;
	kfence_pool.bytes = bytes;
	return true;
}

void kfence_init(void)
{
	if (!options.kfence)
		return;
	pool.nr = options.kfence_objects;
	pool.page = max((size_t)getauxval(AT_PAGESZ), PAGE_BYTES);
	if (!make_pool()) {
		report("RN_KFENCE: no memory for %u objects; going on without",
		       pool.nr);
		options.kfence = false;
		return;
	}
	pool.head = NO_INDEX;
	for (u32 i = 0; i < pool.nr; i++)
		queue_add(i);
	kfence_due = 0;
	kfence_fault_init();
}

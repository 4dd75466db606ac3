// SPDX-License-Identifier: MIT
/*
 * Sheaves and barns.
 *
 * Locks: barn.lock covers one barn; pool.lock the pool. Both are leaves, held
 * for a few instructions; whole sheaves change hands by pointer, no object is
 * touched under either.
 */
#include "sheaf.h"

#define NR_SHEAF_SIZES	6

/* As many as fit begin a stretch of the pool. */
#define STRETCH_SHEAVES	64

/* A part of the pool that sheaves are carved from, one behind the other. */
struct stretch {
	size_t at, end;
};

/*
 * The pool: one table of address space, so that a sheaf has a 32-bit number
 * (its distance from the start in units of 64 bytes). Number 0 is nobody's.
 */
static struct {
	struct lock lock;
	char *base;
	size_t bytes;		/* of address space */
	size_t cut;		/* into stretches so far */
	size_t carved;		/* into sheaves so far */
	size_t free_bytes;
	struct stretch small, whole;
	u32 free[NR_SHEAF_SIZES];
} pool;

/*
 * An exchange at the barn costs some 60 ns; with 254 objects it adds a quarter
 * of a nanosecond to each of them, and larger sheaves gain nothing that can be
 * measured (Documentation/mm/sheaves.rst). For larger objects it is the bytes
 * in a sheaf that are bounded.
 */
unsigned int sheaf_capacity(size_t size)
{
	if (size <= 1024)
		return 254;
	if (size <= 2048)
		return 62;
	if (size <= 4096)
		return 30;
	if (size <= 8192)
		return 14;
	if (size <= 16384)
		return 6;
	return size <= 32768 ? 3 : 2;
}

static struct sheaf *sheaf_by_number(u32 number)
{
	return (struct sheaf *)(pool.base + (size_t)number * SHEAF_UNIT);
}

static u32 sheaf_number(const struct sheaf *s)
{
	return ((const char *)s - pool.base) / SHEAF_UNIT;
}

static unsigned int size_class_of(unsigned int capacity)
{
	size_t bytes = sizeof(struct sheaf) + capacity * sizeof(void *);

	return order_base_2(DIV_ROUND_UP(bytes, SHEAF_UNIT));
}

static void pool_push(struct sheaf *s)
{
	WRITE_ONCE(s->next, pool.free[s->size_class]);
	pool.free[s->size_class] = sheaf_number(s);
	pool.free_bytes += SHEAF_UNIT << s->size_class;
}

static bool pool_reserve(void)
{
	if (pool.base)
		return true;
	pool.bytes = min(max(mem.bytes >> 4, (size_t)1 << 20), (size_t)1 << 38);
	pool.base = meta_reserve(pool.bytes, 0);
	pool.cut = SHEAF_UNIT;
	return pool.base;
}

/*
 * One sheaf behind the other, with a cache line between them: headers that lie
 * a multiple of 4 KiB apart would be taken for one another by the CPU, which
 * compares the low bits of a load with those of the stores before it. Among
 * smaller ones whole sheaves would lie anyhow; by themselves, 64 of them have
 * 64 places in a page.
 */
static struct sheaf *pool_carve(unsigned int size_class)
{
	bool whole = size_class == NR_SHEAF_SIZES - 1;
	struct stretch *from = whole ? &pool.whole : &pool.small;
	size_t bytes = (SHEAF_UNIT << size_class) + SHEAF_UNIT;
	struct sheaf *s;

	if (!pool_reserve())
		return NULL;
	if (from->at + bytes > from->end) {
		size_t length = min(STRETCH_SHEAVES * bytes,
				    pool.bytes - pool.cut);

		if (length < bytes)
			return NULL;
		*from = (struct stretch){ pool.cut, pool.cut + length };
		pool.cut += length;
	}
	s = (struct sheaf *)(pool.base + from->at);
	if (meta_open(s, bytes))
		return NULL;
	from->at += bytes;
	pool.carved += bytes;
	s->size_class = size_class;
	return s;
}

struct sheaf *sheaf_alloc(unsigned int capacity)
{
	unsigned int size_class = size_class_of(capacity);
	struct sheaf *s;

	lock(&pool.lock);
	if (pool.free[size_class]) {
		s = sheaf_by_number(pool.free[size_class]);
		pool.free[size_class] = s->next;
		pool.free_bytes -= SHEAF_UNIT << size_class;
	} else {
		s = pool_carve(size_class);
	}
	unlock(&pool.lock);
	if (s) {
		WRITE_ONCE(s->word, 0);
		WRITE_ONCE(s->capacity, capacity);
	}
	return s;
}

void sheaf_free(struct sheaf *s)
{
	lock(&pool.lock);
	pool_push(s);
	unlock(&pool.lock);
}

void sheaf_pool_stats(u64 *bytes, u64 *bytes_free)
{
	lock(&pool.lock);
	*bytes = pool.carved;
	*bytes_free = pool.free_bytes;
	unlock(&pool.lock);
}

/* @s leaves @list, which has one. */
static struct sheaf *pop(u32 *list, u32 *nr)
{
	struct sheaf *s = sheaf_by_number(*list);

	*list = s->next;
	--*nr;
	WRITE_ONCE(s->next, 0);
	return s;
}

static void push(u32 *list, u32 *nr, struct sheaf *s)
{
	WRITE_ONCE(s->next, *list);
	*list = sheaf_number(s);
	++*nr;
}

/*
 * With p pushes and q pops, p + q is what the word counted and p - q the
 * change in objects since the sheaf was put into its slot with @held of them.
 */
static void harvest(struct barn *b, struct sheaf *s)
{
	u64 n = sheaf_count(s), operations = sheaf_operations(s);

	if (!operations)
		return;
	WRITE_ONCE(b->frees, b->frees + (operations + n - s->held) / 2);
	WRITE_ONCE(b->allocs, b->allocs + (operations + s->held - n) / 2);
	WRITE_ONCE(s->word, n);
}

/* Empty sheaves kept ready; the rest go back to the pool. */
#define MAX_EMPTY 16

/* Under the lock. Keeps the sheaf, or false. */
static bool put(struct barn *b, struct sheaf *s)
{
	harvest(b, s);
	if (sheaf_count(s)) {
		if (b->nr_full >= READ_ONCE(b->max_full))
			return false;
		WRITE_ONCE(b->objects, b->objects + sheaf_count(s));
		push(&b->full, &b->nr_full, s);
	} else if (b->nr_empty < MAX_EMPTY &&
		   sheaf_room(s) >= READ_ONCE(b->room)) {
		push(&b->empty, &b->nr_empty, s);
	} else {
		sheaf_free(s);
	}
	return true;
}

/* Under the lock. */
static struct sheaf *get_full(struct barn *b)
{
	struct sheaf *s;

	if (!b->full)
		return NULL;
	s = pop(&b->full, &b->nr_full);
	WRITE_ONCE(b->objects, b->objects - sheaf_count(s));
	return s;
}

struct sheaf *barn_exchange_empty(struct barn *b, struct sheaf *empty)
{
	struct sheaf *s;

	lock(&b->lock);
	WRITE_ONCE(b->alloc_slow, b->alloc_slow + 1);
	s = get_full(b);
	if (empty) {
		if (s)
			put(b, empty);
		else
			harvest(b, empty);
	}
	unlock(&b->lock);
	return s;
}

struct sheaf *barn_exchange_full(struct barn *b, struct sheaf *full,
				 bool *kept)
{
	struct sheaf *s = NULL;

	lock(&b->lock);
	WRITE_ONCE(b->free_slow, b->free_slow + 1);
	*kept = !full || put(b, full);
	if (*kept && b->empty)
		s = pop(&b->empty, &b->nr_empty);
	unlock(&b->lock);
	return s;
}

bool barn_put(struct barn *b, struct sheaf *s)
{
	bool kept;

	lock(&b->lock);
	kept = put(b, s);
	unlock(&b->lock);
	return kept;
}

struct sheaf *barn_take(struct barn *b)
{
	struct sheaf *s;

	lock(&b->lock);
	s = get_full(b);
	if (!s && b->empty)
		s = pop(&b->empty, &b->nr_empty);
	unlock(&b->lock);
	return s;
}

void barn_count(struct barn *b, struct sheaf *s)
{
	lock(&b->lock);
	harvest(b, s);
	unlock(&b->lock);
}

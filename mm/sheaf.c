// SPDX-License-Identifier: MIT
/*
 * Barns.
 *
 * Locks: barn.lock covers one barn, held for a few instructions; whole sheaves
 * change hands by pointer, no object is touched under it. The pool's lock is
 * taken inside (mm/sheaf_pool.c).
 */
#include "sheaf.h"

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

/* @s leaves @list, which has one. */
static struct sheaf *pop(u32 *list, u32 *nr)
{
	struct sheaf *s = sheaf_by_number(*list);

	*list = s->next;
	WRITE_ONCE(*nr, *nr - 1);
	WRITE_ONCE(s->next, 0);
	return s;
}

static void push(u32 *list, u32 *nr, struct sheaf *s)
{
	WRITE_ONCE(s->next, *list);
	*list = sheaf_number(s);
	WRITE_ONCE(*nr, *nr + 1);
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

/* Under the lock. Has it more with objects than it is to keep? */
static bool put(struct barn *b, struct sheaf *s)
{
	harvest(b, s);
	if (sheaf_count(s)) {
		WRITE_ONCE(b->objects, b->objects + sheaf_count(s));
		push(&b->full, &b->nr_full, s);
		return b->nr_full > READ_ONCE(b->max_full);
	}
	if (b->nr_empty < MAX_EMPTY &&
	    sheaf_room(s) >= READ_ONCE(b->room)) {
		push(&b->empty, &b->nr_empty, s);
	} else {
		sheaf_free(s);
	}
	return false;
}

/* Under the lock. */
static struct sheaf *get_full(struct barn *b)
{
	struct sheaf *s;

	if (!b->full)
		return NULL;
	s = pop(&b->full, &b->nr_full);
	b->low = min(b->low, b->nr_full);
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
				 bool *excess)
{
	struct sheaf *s = NULL;

	lock(&b->lock);
	WRITE_ONCE(b->free_slow, b->free_slow + 1);
	*excess = full && put(b, full);
	if (b->empty)
		s = pop(&b->empty, &b->nr_empty);
	unlock(&b->lock);
	return s;
}

struct sheaf *barn_take_excess(struct barn *b, u32 keep)
{
	struct sheaf *s = NULL;

	lock(&b->lock);
	if (b->nr_full > keep)
		s = get_full(b);
	unlock(&b->lock);
	return s;
}

u32 barn_age(struct barn *b, u32 part)
{
	u32 nr;

	lock(&b->lock);
	nr = DIV_ROUND_UP(b->low, part);
	b->low = b->nr_full;
	unlock(&b->lock);
	return nr;
}

void barn_drop_empty(struct barn *b)
{
	lock(&b->lock);
	while (b->empty)
		sheaf_free(pop(&b->empty, &b->nr_empty));
	unlock(&b->lock);
}

bool barn_put(struct barn *b, struct sheaf *s)
{
	bool excess;

	lock(&b->lock);
	excess = put(b, s);
	unlock(&b->lock);
	return excess;
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

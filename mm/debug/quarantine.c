// SPDX-License-Identifier: MIT
/*
 * What is freed waits here, first in, first out, before anybody else may have
 * it: who still uses it is found by the sanitizer as long.
 *
 * Lock: quarantine.lock, between slab_mutex and all other locks. It is held
 * while the oldest go, so that whoever has emptied it knows that nothing is on
 * its way.
 */
#include "sanitizer.h"

/* So many wait at most; all are small then. */
#define NR_PLACES	(1U << 17)

static struct {
	struct lock lock;
	void **ring;		/* NULL in it: gone meanwhile */
	u64 head, tail;		/* modulo NR_PLACES */
	size_t bytes;
} quarantine;

int quarantine_init(void)
{
	quarantine.ring = meta_alloc(NR_PLACES * sizeof(*quarantine.ring));
	return quarantine.ring ? 0 : -ENOMEM;
}

static void **place(u64 i)
{
	return &quarantine.ring[i % NR_PLACES];
}

static size_t bytes_of(const void *p)
{
	unsigned int row = ptr_to_row(p);

	return row ? row_to_cache(row)->size : run_bytes(ptr_to_page(p));
}

static void release(u64 i)
{
	void *p = *place(i);

	if (!p)
		return;
	*place(i) = NULL;
	quarantine.bytes -= bytes_of(p);
	if (ptr_to_row(p))
		debug_release(p);
	else
		large_release(p);
}

void quarantine_put(void *p, size_t bytes)
{
	lock(&quarantine.lock);
	*place(quarantine.head++) = p;
	quarantine.bytes += bytes;
	while (quarantine.bytes > options.quarantine ||
	       quarantine.head - quarantine.tail == NR_PLACES)
		release(quarantine.tail++);
	unlock(&quarantine.lock);
}

static bool is_of(const void *p, const struct rn_cache *c)
{
	unsigned int row = p ? ptr_to_row(p) : 0;

	return !c || (row && row_to_cache(row) == c);
}

void quarantine_empty(const struct rn_cache *c)
{
	if (likely(!sanitizer))
		return;
	lock(&quarantine.lock);
	for (u64 i = quarantine.tail; i < quarantine.head; i++)
		if (is_of(*place(i), c))
			release(i);
	if (!c)
		quarantine.tail = quarantine.head;
	unlock(&quarantine.lock);
}

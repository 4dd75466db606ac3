// SPDX-License-Identifier: MIT
/*
 * Stacks by number.
 *
 * Lock: depot_lock covers the lists and what is added; meta_lock is taken
 * within.
 * Who has a number reads without it.
 */
#include "stackdepot.h"

#include <string.h>

#define HASH_SHIFT	12

static struct lock depot_lock;
static struct depot_stack *stacks[DEPOT_MAX + 1];
static u32 first_of[1 << HASH_SHIFT];
static u32 last;

/* FNV-1a, by words; the product's upper half is the better one. */
static u32 hash_of(const void *const *frames, u32 nr)
{
	u64 hash = 0xcbf29ce484222325;

	for (u32 i = 0; i < nr; i++)
		hash = (hash ^ (uintptr_t)frames[i]) * 0x100000001b3;
	return hash >> 32 ^ hash;
}

/* Under depot_lock. */
static u32 find(u32 hash, const void *const *frames, u32 nr)
{
	u32 id = first_of[hash >> (32 - HASH_SHIFT)];

	while (id) {
		const struct depot_stack *s = stacks[id];

		if (s->hash == hash && s->nr == nr &&
		    !memcmp(s->frames, frames, nr * sizeof(*frames)))
			break;
		id = s->next;
	}
	return id;
}

/* Likewise. */
static u32 add(u32 hash, const void *const *frames, u32 nr)
{
	u32 *first = &first_of[hash >> (32 - HASH_SHIFT)];
	struct depot_stack *s = NULL;

	if (last < DEPOT_MAX)
		s = meta_alloc(sizeof(*s) + nr * sizeof(*frames));
	if (!s)
		return 0;
	s->next = *first;
	s->hash = hash;
	s->nr = nr;
	memcpy(s->frames, frames, nr * sizeof(*frames));
	stacks[last + 1] = s;
	/* Pairs with depot_last(). */
	smp_store_release(&last, last + 1);
	*first = last;
	return last;
}

u32 depot_save(const void *const *frames, u32 nr)
{
	u32 hash = hash_of(frames, nr), id;
	int saved = errno;

	if (!nr)
		return 0;
	lock(&depot_lock);
	id = find(hash, frames, nr);
	if (!id)
		id = add(hash, frames, nr);
	unlock(&depot_lock);
	errno = saved;
	return id;
}

const struct depot_stack *depot_fetch(u32 id)
{
	return stacks[id];
}

u32 depot_last(void)
{
	return smp_load_acquire(&last);
}

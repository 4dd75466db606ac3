/* SPDX-License-Identifier: MIT */
/*
 * Sheaves, arrays of object pointers, and the barns that keep them.
 */
#ifndef MM_SHEAF_H
#define MM_SHEAF_H

#include "internal.h"

#pragma GCC visibility push(hidden)

/**
 * struct sheaf - a stack of free objects
 * @word: fast-path operations << 16 | objects. Both in one word, so that one
 *	store commits a pop or a push and its count
 * @capacity: objects that fit
 * @size_class: of the pool it belongs to
 * @next: on a list: sheaf number of the next one, 0 for none; in a slot: the
 *	objects it held when it was put there
 * @objects: the top is the last one
 *
 * Invariant: (@word & 0xffff) <= @capacity. Lies within one page, aligned to
 * its size; the memory is a sheaf's for ever (slow paths read @word of a
 * sheaf that may have moved on).
 */
struct sheaf {
	u64 word;
	u16 capacity;
	u16 size_class;
	u32 next;
	void *objects[];
};
static_assert(offsetof(struct sheaf, objects) == 16, "known to the sequences");

#define SHEAF_COUNT_BITS 16

static inline unsigned int sheaf_count(const struct sheaf *s)
{
	return READ_ONCE(s->word) & 0xffff;
}

static inline u64 sheaf_operations(const struct sheaf *s)
{
	return READ_ONCE(s->word) >> SHEAF_COUNT_BITS;
}

/* The two below are for sheaves in the caller's hands. */
static inline void *sheaf_take(struct sheaf *s)
{
	WRITE_ONCE(s->word, s->word - 1);
	return s->objects[s->word & 0xffff];
}

static inline void sheaf_add(struct sheaf *s, const void *object)
{
	s->objects[s->word & 0xffff] = (void *)object;
	WRITE_ONCE(s->word, s->word + 1);
}

/* Capacity for objects of @size bytes. */
unsigned int sheaf_capacity(size_t size);
struct sheaf *sheaf_alloc(unsigned int capacity);	/* empty, or NULL */
void sheaf_free(struct sheaf *s);
void sheaf_pool_stats(u64 *bytes, u64 *bytes_free);

/**
 * struct barn - the sheaves of a cache on a node that are in no slot
 * @lock: covers all; held for a few instructions
 * @full: list of sheaves with objects, the last one put first
 * @empty: list of those without
 * @nr_full: length of @full
 * @nr_empty: length of @empty
 * @objects: sum of the objects in @full
 * @allocs: fast-path allocations of all sheaves that were here
 * @frees: likewise frees
 */
struct barn {
	struct lock lock;
	u32 full, empty;
	u32 nr_full, nr_empty;
	u64 objects;
	u64 allocs, frees;
};

struct sheaf *barn_get_full(struct barn *b);
struct sheaf *barn_get_empty(struct barn *b);
/*
 * Keeps @s, unless @b then had more than @max_full sheaves with objects:
 * false, and @s stays the caller's. What the fast paths did with it is counted.
 */
bool barn_put(struct barn *b, struct sheaf *s, unsigned int max_full);

#pragma GCC visibility pop

#endif /* MM_SHEAF_H */

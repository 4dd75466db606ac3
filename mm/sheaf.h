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
 * @capacity: objects that it may have: all that fit, or fewer in a slot that
 *	was granted less (mm/budget.c)
 * @size_class: of the pool it belongs to
 * @held: objects in it when it was put into a slot, for the count of pops and
 *	pushes since
 * @next: on a list: sheaf number of the next one, 0 for none; in a slot: how
 *	what is taken from it counts, NUMA_*
 * @objects: the top is the last one
 *
 * Invariant: (@word & 0xffff) <= @capacity. The place is a sheaf's for ever
 * (slow paths read @word of a sheaf that may have moved on), and zero where its
 * memory was given back.
 */
struct sheaf {
	u64 word;
	u16 capacity;
	u8 size_class;
	u8 held;
	u32 next;
	void *objects[];
};
static_assert(offsetof(struct sheaf, objects) == 16, "known to the sequences");

#define SHEAF_COUNT_BITS 16

/* The size of a sheaf is this << size_class: 6, 14, 30, 62, 126, 254 objects. */
#define SHEAF_UNIT	64

static inline unsigned int sheaf_count(const struct sheaf *s)
{
	return READ_ONCE(s->word) & 0xffff;
}

static inline u64 sheaf_operations(const struct sheaf *s)
{
	return READ_ONCE(s->word) >> SHEAF_COUNT_BITS;
}

/* Pops and pushes since the sheaf was put into its slot. */
static inline void sheaf_counts(const struct sheaf *s, u64 *allocs,
				u64 *frees)
{
	u64 n = sheaf_count(s), held = READ_ONCE(s->held);
	u64 operations = sheaf_operations(s);

	*allocs = *frees = 0;
	/* Of a sheaf on the move these are from different stays. */
	if (operations < max(n, held) - min(n, held))
		return;
	*allocs = (operations + held - n) / 2;
	*frees = (operations + n - held) / 2;
}

/* Those below are for sheaves in the caller's hands. */
static inline void *sheaf_take(struct sheaf *s)
{
	WRITE_ONCE(s->word, s->word - 1);
	return s->objects[s->word & 0xffff];
}

/* Objects that fit. */
static inline unsigned int sheaf_room(const struct sheaf *s)
{
	return ((SHEAF_UNIT << s->size_class) - sizeof(*s)) / sizeof(void *);
}

static inline void sheaf_add(struct sheaf *s, const void *object)
{
	s->objects[s->word & 0xffff] = (void *)object;
	WRITE_ONCE(s->word, s->word + 1);
}

/* The @nr top objects of @from, which has them, go on top of @to. */
static inline void sheaf_move(struct sheaf *to, struct sheaf *from,
			      unsigned int nr)
{
	WRITE_ONCE(from->word, from->word - nr);
	__builtin_memcpy(&to->objects[sheaf_count(to)],
			 &from->objects[sheaf_count(from)],
			 nr * sizeof(to->objects[0]));
	WRITE_ONCE(to->word, to->word + nr);
}

/* Capacity for objects of @size bytes. */
unsigned int sheaf_capacity(size_t size);

/* --- sheaf_pool.c --- */

extern char *sheaf_base;	/* numbers count from here, in SHEAF_UNIT */

static inline struct sheaf *sheaf_by_number(u32 number)
{
	return (struct sheaf *)(sheaf_base + (size_t)number * SHEAF_UNIT);
}

static inline u32 sheaf_number(const struct sheaf *s)
{
	return ((const char *)s - sheaf_base) / SHEAF_UNIT;
}

struct sheaf *sheaf_alloc(unsigned int capacity);	/* empty, or NULL */
void sheaf_free(struct sheaf *s);
void sheaf_pool_stats(u64 *bytes, u64 *bytes_free);
/*
 * A tick: 1/@part of the sheaves that were free ever since the last one are to
 * give their memory back.
 */
void sheaf_pool_age(u32 part);
bool sheaf_pool_give(enum reclaim_why why);	/* some do; false: none are to */
void sheaf_pool_trim(enum reclaim_why why);	/* all that are free do */

/* --- sheaf.c --- */

/**
 * struct barn - the sheaves of a cache on a node that are in no slot
 * @lock: covers all but @max_full and @room; held for a few instructions
 * @full: list of sheaves with objects, the last one put first
 * @empty: list of those without
 * @nr_full: length of @full
 * @nr_empty: length of @empty
 * @max_full: sheaves with objects that are to be kept (mm/waste.c)
 * @room: objects that an empty sheaf fits, to be kept; grows with the refills
 * @low: the least that @nr_full was since the last tick
 * @objects: sum of the objects in @full
 * @allocs: fast-path allocations of all sheaves that were here
 * @frees: likewise frees
 * @alloc_slow: allocations that came here, on the slow path
 * @free_slow: frees that did
 */
struct barn {
	struct lock lock;
	u32 full, empty;
	u32 nr_full, nr_empty;
	u32 max_full;
	u32 room;
	u32 low;
	u64 objects;
	u64 allocs, frees;
	u64 alloc_slow, free_slow;
};

/*
 * For an allocation: a sheaf with objects, against @empty (which may be NULL).
 * NULL when there is none; then @empty stays the caller's.
 */
struct sheaf *barn_exchange_empty(struct barn *b, struct sheaf *empty);
/*
 * For a free: keeps @full (which may be NULL) and returns an empty sheaf if
 * there is one. *@excess: it has more with objects now than it is to keep.
 */
struct sheaf *barn_exchange_full(struct barn *b, struct sheaf *full,
				 bool *excess);
/* Keeps a sheaf, with objects or without; true: it has more than it is to keep. */
bool barn_put(struct barn *b, struct sheaf *s);
/* One with objects, if there are more than @keep; or NULL. */
struct sheaf *barn_take_excess(struct barn *b, u32 keep);
/*
 * A tick: so many with objects are to go, 1/@part of those that nobody needed
 * since the last one.
 */
u32 barn_age(struct barn *b, u32 part);
void barn_drop_empty(struct barn *b);	/* into the pool */
/* Any sheaf, one with objects first; NULL when there is none. */
struct sheaf *barn_take(struct barn *b);
/* Counts what the fast paths did with a sheaf that came out of a slot. */
void barn_count(struct barn *b, struct sheaf *s);

#pragma GCC visibility pop

#endif /* MM_SHEAF_H */

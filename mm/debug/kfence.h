/* SPDX-License-Identifier: MIT */
/*
 * Objects that lie by themselves between guard pages, now and then one.
 * Documentation/mm/kfence.rst is the design.
 */
#ifndef MM_KFENCE_H
#define MM_KFENCE_H

#include "slab_debug.h"

#pragma GCC visibility push(hidden)

#define KFENCE_INTERVAL		100	/* ms, unless said otherwise */
#define KFENCE_OBJECTS		255
#define KFENCE_OBJECTS_MAX	16383	/* half of the mappings one may have */

/* --- what the slow paths ask; all 0 where it is off --- */

/* The row of the cache whose next allocation is a sample, or 0. */
extern u32 kfence_gate;

/**
 * struct kfence_pool - where its pages are: guards, and between each two of
 *	them the page of an object
 * @base: of the first guard
 * @bytes: of all of them
 */
struct kfence_pool {
	uintptr_t base;
	size_t bytes;
};

extern struct kfence_pool kfence_pool;

static inline bool kfence_has(const void *p)
{
	return (uintptr_t)p - kfence_pool.base < kfence_pool.bytes;
}

/* May the next allocation from this row be a sample? */
static inline bool kfence_wants(unsigned int row)
{
	return unlikely(READ_ONCE(kfence_gate) == row);
}

/* 40 bits. */
static inline u64 kfence_random(u64 *state)
{
	*state = *state * 6364136223846793005 + (slab_secret | 1);
	return *state >> 24;
}

/* --- kfence.c: the pool --- */

void kfence_init(void);
/* Are objects of this cache sampled at all? */
bool kfence_may_sample(const struct rn_cache *c);
bool kfence_is_full(void);
/* As slab_alloc(), for who finds kfence_wants(); NULL: it must go elsewhere. */
void *kfence_alloc(struct rn_cache *c, size_t size, rn_gfp_t flags, int node,
		   const void *caller);
/* Frees what kfence_has(), or reports why that cannot be. */
void kfence_free(const void *p, const void *caller);
/* The object that @p points into, if there is one; it must not be freed. */
bool kfence_find(const void *p, const char **start, size_t *size,
		 const struct rn_cache **c);
/* Objects of a cache that are out. */
unsigned int kfence_left(const struct rn_cache *c);
/* It is about to end, and none is. */
void kfence_forget(const struct rn_cache *c);
void vmstat_kfence(struct seq *s);

/* --- kfence_sample.c: what opens the gate --- */

/* Under vmscan.lock, inside the gate of fork(): is the program allocating? */
bool kfence_sample(void);
/* In ms; never, where it is off. */
extern u64 kfence_due;
/* A free of a row that kfence_wants(): is it to leave the slots empty? */
bool kfence_leave_empty(unsigned int row);

/* --- kfence_report.c --- */

enum kfence_error {
	KFENCE_NO_ERROR,
	KFENCE_OOB,
	KFENCE_UAF,
	KFENCE_INVALID,
	KFENCE_CORRUPTION,
	KFENCE_INVALID_FREE,
};

enum kfence_state {
	KFENCE_UNUSED,
	KFENCE_USED,
	KFENCE_FREED,
	KFENCE_BAD,		/* misused, and not given out again */
};

/**
 * struct kfence_object - the object of a page, or what it last was
 * @state: enum kfence_state
 * @size: bytes
 * @start: its first one
 * @c: the cache, or NULL when that is gone
 * @hash: of the stack that allocated it
 * @next: in the queue
 * @opened: a guard beside it was made accessible
 * @tracks: who allocated and freed it
 */
struct kfence_object {
	u32 state;
	u32 size;
	char *start;
	const struct rn_cache *c;
	u32 hash;
	u32 next;
	bool opened;
	struct track tracks[NR_TRACKS];
};

enum fault_access { FAULT_UNKNOWN, FAULT_READ, FAULT_WRITE };

#define KFENCE_BYTES	16

/**
 * struct kfence_fault - something that is not as it should be, as it was seen
 * @error: what
 * @access: of a fault: what was tried
 * @at: the address
 * @index: of the object, or -1
 * @object: as it was
 * @bytes: from @at on, where the pattern is wrong
 * @nr_bytes: so many
 * @stack: who did it
 * @nr: of these
 */
struct kfence_fault {
	enum kfence_error error;
	enum fault_access access;
	const char *at;
	int index;
	struct kfence_object object;
	u8 bytes[KFENCE_BYTES];
	unsigned int nr_bytes;
	const void *stack[STACK_DEPTH];
	unsigned int nr;
};

/* What a page is filled with: each byte is 0xaa ^ (its address & 7). */
#define KFENCE_PATTERN	0xadacafaea9a8abaaUL

static inline u8 kfence_pattern(const void *at)
{
	return KFENCE_PATTERN >> ((uintptr_t)at & 7) * 8;
}

/* No lock is held. The end, unless RN_SLAB_DEBUG_ACTION=continue. */
void kfence_report(const struct kfence_fault *f);
/* rn_dump_obj() of what kfence_has(). */
int kfence_dump(const void *p);

/* --- kfence.c, for these two --- */

/* Fills f->index and f->object; false: @p is a guard, or of no object yet. */
bool kfence_copy(struct kfence_fault *f, const void *p);

/* Fills @f for an access to f->at, which is let through if that is wanted. */
void kfence_find_fault(struct kfence_fault *f);

/* --- kfence_fault.c --- */

void kfence_fault_init(void);	/* the handler of SIGSEGV */

#pragma GCC visibility pop

#endif /* MM_KFENCE_H */

/* SPDX-License-Identifier: MIT */
/*
 * Debugged caches: what their objects have around them, and what is checked.
 * Documentation/mm/slab-debug.rst is the design.
 *
 *   stride = left red zone | object | right red zone | link | meta | padding
 *
 * A pointer to an object is always the user's: the left red zone is known to
 * slab_object() and slab_index() alone, as rn_cache.red_left.
 */
#ifndef MM_SLAB_DEBUG_H
#define MM_SLAB_DEBUG_H

#include "slab.h"

#include <rn/debug.h>

#pragma GCC visibility push(hidden)

#define RN_DEBUG_FLAGS	(RN_CONSISTENCY_CHECKS | RN_RED_ZONE | RN_POISON | \
			 RN_STORE_USER | RN_TRACE)

/* What the bytes are that are nobody's to write. */
#define RED_INACTIVE	0xbb	/* red zones of a free object */
#define RED_ACTIVE	0xcc	/* of one in use */
#define POISON_INUSE	0x5a	/* in use and not written yet; padding */
#define POISON_FREE	0x6b	/* free */
#define POISON_END	0xa5	/* the last byte of a free one */

/* No two are alike by chance, nor any of them like a byte repeated. */
enum object_state {
	OBJECT_FREE = 0x46524545,
	OBJECT_USED = 0x55534544,
	OBJECT_BAD = 0x42414421,	/* quarantined */
	OBJECT_HELD = 0x48454c44,	/* free, and held back (quarantine.c) */
};

/* --- stacktrace.c: who called --- */

#define STACK_DEPTH	16
#define SYMBOL_LEN	192

/* Outside of locks, and once the program has started: it may load a library. */
void stack_prepare(void);
/* The frames from that one on which @caller returns to; only it, until then. */
unsigned int stack_save(const void **frames, const void *caller);
/* "function+0x10 [program+0x1234]", or less where less is known. */
const char *stack_symbol(char buf[SYMBOL_LEN], const void *address);

/**
 * struct track - who allocated an object, or freed it
 * @when: clock_ms(); 0: nobody
 * @tid: the thread
 * @cpu: where it ran
 * @nr: of @frames
 * @frames: the stack, who called the library first
 */
struct track {
	u64 when;
	u32 tid;
	u16 cpu;
	u16 nr;
	const void *frames[STACK_DEPTH];
};

enum track_of { TRACK_ALLOC, TRACK_FREE, NR_TRACKS };

/**
 * struct object_meta - behind the link of each object of a debugged cache
 * @state: enum object_state; free from and to, under list_lock
 * @size: bytes that were asked for
 * @tracks: with RN_STORE_USER
 */
struct object_meta {
	u32 state;
	u32 size;
	struct track tracks[];
};

static inline struct object_meta *meta_of(const struct rn_cache *c,
					  const void *object)
{
	return (void *)((char *)object + c->free_offset + sizeof(u64));
}

/* --- slab_debug.c: which caches, and their layout --- */

extern bool slab_debug_on;	/* some cache is debugged, or will be */

/* What a cache of this name is to have, that asks for @flags itself. */
unsigned int slab_debug_flags(const char *name, unsigned int flags);
/* Is that more than one wants, by the letter O? */
bool slab_debug_avoids(const struct rn_cache *c);
/* Sets what is around an object; bytes from one object to the next. */
size_t slab_debug_layout(struct rn_cache *c, size_t object, size_t align);
size_t slab_debug_end(const struct rn_cache *c);  /* padding is from there on */

/* --- slab_report.c --- */

/**
 * struct fault - something that is not as it should be, as it was seen
 * @what: it is; "" for nothing
 * @c: the cache
 * @slab: where, or NULL
 * @object: likewise
 * @zone: which part of it, if bytes are wrong
 * @from: the first wrong one, or NULL
 * @to: behind the last one
 * @first: what the first one was
 * @wanted: what they should be
 * @used: objects of the slab that are out
 * @free: the first free object of the slab, or NULL
 * @state: of the object
 * @size: likewise
 * @tracks: likewise
 * @caller: who called the library, or NULL
 */
struct fault {
	char what[80];
	const struct rn_cache *c;
	const struct page *slab;
	const char *object;
	const char *zone;
	const u8 *from, *to;
	u8 first, wanted;
	unsigned int used;
	const void *free;
	u32 state, size;
	struct track tracks[NR_TRACKS];
	const void *caller;
};

/* No lock is held; with @fix, what was done about it. */
void fault_report(const struct fault *f, const char *fix);
/* As that, and the end, unless RN_SLAB_DEBUG_ACTION=continue. */
void fault_handle(const struct fault *f, const char *fix);
/* An object, and who allocated and freed it. */
void report_object(const struct rn_cache *c, const struct page *slab,
		   const void *object);

/* --- slab_check.c --- */

/* A new slab, which is the caller's. */
void debug_init_slab(struct rn_cache *c, struct page *slab);
/* One that is about to end; it is on no list any more. */
void debug_end_slab(struct rn_cache *c, struct page *slab);
/* A free object of the node that is as it should be; NULL: there is none. */
void *debug_alloc(struct rn_cache *c, struct cache_node *n);
void debug_free(struct rn_cache *c, struct cache_node *n, void *object,
		const void *caller);
/* An object that was held back is free now. */
void debug_release(void *object);
/* So much was asked for, by @caller; before anybody else has the object. */
void debug_account(struct rn_cache *c, void *object, size_t size,
		   const void *caller);
/* Likewise of any object that stays where it is, and may be no slab's. */
void debug_resize(void *p, size_t size, const void *caller);
/* rn_free_sized(): is it what was asked for? Else it is reported. */
void debug_check_size(struct rn_cache *c, void *object, size_t size,
		      const void *caller);

/*
 * Under list_lock, both: is something wrong? Then it is mended, as debug_fix_of()
 * says; of caches that are not debugged it stays.
 */
bool debug_freelist_fault(struct fault *f, struct rn_cache *c,
			  struct cache_node *n, struct page *slab);
bool debug_object_fault(struct fault *f, struct page *slab,
			const void *object);
const char *debug_fix_of(const struct fault *f);

static inline size_t debug_size(const struct rn_cache *c, const void *object)
{
	return READ_ONCE(meta_of(c, object)->size);
}

/* --- slab_validate.c --- */

/* Lists the objects that are out; how many these are, less the quarantined. */
unsigned int debug_left(struct rn_cache *c);

#pragma GCC visibility pop

#endif /* MM_SLAB_DEBUG_H */

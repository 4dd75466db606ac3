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
	OBJECT_KEPT = 0x4b455054,	/* likewise, and not freed yet */
	OBJECT_HELD = 0x48454c44,	/* free, and held back (quarantine.c) */
};

/* --- stacktrace.c: who called --- */

#define STACK_DEPTH	16
#define STACK_DEPTH_MOST 64
#define STACK_MAX	32		/* with frames of our own before these */
#define SYMBOL_LEN	192

/* Outside of locks, and once the program has started: it may load a library. */
void stack_prepare(void);
/* All frames, our own first; 0 until then. */
unsigned int stack_unwind(const void *frames[STACK_MAX]);
/* The frames from that one on which @caller returns to; only it, until then. */
unsigned int stack_save(const void **frames, const void *caller);
/* Likewise, at most @most, which is at most STACK_DEPTH_MOST. */
unsigned int stack_save_deep(const void **frames, unsigned int most,
			     const void *caller);
/*
 * The function that @address returns to and the file it is in, as the loader
 * has them; each NULL where it is not known.
 */
void stack_lookup(const void *address, const char **function,
		  const char **file);
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

/* Frames that can be read: it lies behind an object, and may be overwritten. */
static inline unsigned int track_frames(const struct track *t)
{
	unsigned int nr = READ_ONCE(t->nr);

	return nr <= STACK_DEPTH ? nr : 0;
}

/* Of this thread, now. */
void track_make(struct track *t, const void *caller);

/**
 * struct symbol - what an address is
 * @address: behind a call
 * @file: the program or library, or NULL where nothing is known
 * @function: or NULL
 * @offset: from the start of @function
 * @place: in @file, as addr2line wants it
 */
struct symbol {
	const void *address;
	const char *file, *function;
	unsigned long offset, place;
};

/*
 * Asks the loader, whose lock somebody may hold who allocates: inside of the
 * gate it does not, and with a lock nobody may ask.
 */
struct symbol stack_symbol(const void *address);
/* "function+0x10 [program+0x1234]", or less where less is known. */
const char *symbol_text(char buf[SYMBOL_LEN], const struct symbol *s);

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

/* Up to a '*' in the first @len bytes of @glob, if there is one. */
bool slab_name_matches(const char *glob, size_t len, const char *name);
/*
 * What a cache of this name is to have, that asks for @flags itself:
 * RN_DEBUG_FLAGS, and RN_FAILSLAB.
 */
unsigned int slab_debug_flags(const char *name, unsigned int flags);
/* Is that more than one wants, by the letter O? */
bool slab_debug_avoids(const struct rn_cache *c);
/* Sets what is around an object; bytes from one object to the next. */
size_t slab_debug_layout(struct rn_cache *c, size_t object, size_t align);
size_t slab_debug_end(const struct rn_cache *c);  /* padding is from there on */

/* --- slab_report.c --- */

#define NR_SEEN		512
#define BYTES_BEFORE	16	/* of what comes before an object */

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
 * @at: @nr of the bytes, from there on, are @seen
 * @seen: likewise
 * @nr: likewise
 * @caller: who called the library, or NULL
 * @finder: the thread that found it
 * @comm: its name
 * @mend: the program goes on, so the wrong bytes are to be restored
 * @fatal: it does not
 * @fix: what was done about it, or NULL
 */
struct fault {
	char what[96];
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
	const u8 *at;
	u8 seen[NR_SEEN];
	u16 nr;
	const void *caller;
	struct track finder;
	char comm[16];
	bool mend, fatal;
	const char *fix;
};

extern unsigned int faults_waiting;

/*
 * Reports it, and ends the program if it is @fatal. Not under list_lock; inside
 * of the gate, where others may be locked too, it waits for the end of that.
 */
void fault_handle(struct fault *f);
/*
 * For reports of another format, one at a time: what the loader says of @nr
 * frames is asked first, with no lock held.
 */
void report_look_up(struct symbol *names, const void *const *frames,
		    unsigned int nr);
void report_begin(struct seq *s);
/* Without @names: addresses. */
void report_frames(struct seq *s, const void *const *frames,
		   const struct symbol *names, unsigned int nr);
void report_end(struct seq *s);
/* Who calls: the stack from the frame that @caller returns to on. */
void report_trace(const void *caller);
/* By gate_exit(): those that wait. */
void faults_report(void);
/* An object, and who allocated and freed it. No lock is held. */
void report_object(const struct fault *f);

/* --- slab_check.c --- */

/* Who has called for an object last, in this thread. */
extern __thread const void *debug_caller;

/* Before an allocation, for what it may find. */
static inline void debug_called(const struct rn_cache *c, const void *caller)
{
	if (unlikely(c->debug))
		debug_caller = caller;
}

/* A new slab, which is the caller's. */
void debug_init_slab(struct rn_cache *c, struct page *slab);
/* A free object of the node that is as it should be; NULL: there is none. */
void *debug_alloc(struct rn_cache *c, struct cache_node *n);
/* Of a new slab, which is the caller's. */
void *debug_take_first(struct rn_cache *c, struct page *slab);
/* These enter the gate by themselves, and are best called outside of it. */
void debug_free(struct rn_cache *c, struct cache_node *n, void *object,
		const void *caller);
/* An object that was held back is free now. */
void debug_release(void *object);
/* So much was asked for, by @caller; before anybody else has the object. */
void debug_account(struct rn_cache *c, void *object, size_t size,
		   const void *caller);
/* Of an object that stays where it is, unless it is wrong; or of any other. */
void debug_resize(void *p, size_t size, const void *caller);
/*
 * rn_cache_free() to @c of what is @of another cache: the end, unless one of
 * the two is debugged and RN_SLAB_DEBUG_ACTION=continue.
 */
void debug_wrong_cache(const struct rn_cache *c, const struct rn_cache *of,
		       const void *object, const void *caller);
/* rn_free_sized(): is it what was asked for? Else it is reported. */
void debug_check_size(const void *p, size_t size, const void *caller);

/* --- slab_fault.c --- */

/* A constructed object keeps its contents. */
static inline bool debug_has_poison(const struct rn_cache *c)
{
	return c->debug & RN_POISON && !c->ctor;
}

/* It was reported, and nobody is to have it. */
static inline bool object_is_condemned(const struct rn_cache *c,
				       const void *object)
{
	u32 state = meta_of(c, object)->state;

	return state == OBJECT_BAD || state == OBJECT_KEPT;
}

/* Nothing is wrong yet. What will be is fatal as RN_SLAB_DEBUG_ACTION says. */
void fault_begin(struct fault *f, const struct rn_cache *c,
		 const void *caller);
/* Under list_lock: the slab as it is, and of f->object, if any, its history. */
void fault_copy(struct fault *f, const struct page *slab);

/* Likewise: it becomes that @state, bad or kept. */
void object_condemn(struct fault *f, struct page *slab,
		    enum object_state state);
/* Of an object that is to be @used, or free; the nearest to it comes first. */
bool object_has_fault(struct fault *f, const u8 *object, bool used);

/*
 * Under list_lock, all: is something wrong? Then it is mended; of caches that
 * are not debugged it stays.
 */
bool debug_freelist_fault(struct fault *f, struct rn_cache *c,
			  struct cache_node *n, struct page *slab);
bool debug_object_fault(struct fault *f, struct page *slab,
			const void *object);
/* Of what belongs to no object. */
bool debug_padding_fault(struct fault *f, const struct page *slab);
/* One that is about to end; it is on no list any more. */
void debug_end_slab(struct rn_cache *c, struct page *slab);

static inline size_t debug_size(const struct rn_cache *c, const void *object)
{
	/* It may be overwritten. */
	return min(READ_ONCE(meta_of(c, object)->size), c->object_size);
}

/* --- leaks.c --- */

/* Who allocated what is out of it, where it has that. No lock is held. */
void leaks_of_cache(struct rn_cache *c);

/* --- slab_validate.c --- */

/* How many objects are out, less the quarantined. Under slab_mutex. */
unsigned int debug_left(struct rn_cache *c);
/* Lists them. No lock is held. */
void debug_report_left(struct rn_cache *c);

#pragma GCC visibility pop

#endif /* MM_SLAB_DEBUG_H */

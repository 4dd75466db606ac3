/* SPDX-License-Identifier: MIT */
/*
 * The types of floor 2: caches, and what they keep on each node.
 */
#ifndef MM_SLAB_H
#define MM_SLAB_H

#include "internal.h"
#include "page_counter.h"
#include "percpu.h"
#include "sheaf.h"

#include <rn/slab.h>

#pragma GCC visibility push(hidden)

/*
 * Partial slabs by the number of objects out, fewest first and fullest last, in
 * quarters: those with free pages that were looked at, those that were not, and
 * all others. The last bucket has those whose free objects all lie on hollow
 * pages that could not be had again.
 */
#define QUARTERS	4
#define DRAINED_BUCKETS	QUARTERS
#define HIGH_BUCKETS	(2 * QUARTERS)
#define STARVED_BUCKET	(3 * QUARTERS)
#define NR_BUCKETS	(STARVED_BUCKET + 1)

/* Of objects from here on, a few sheaves or slabs are a megabyte. */
#define BIG_OBJECT	(16UL << 10)

/* Objects that the first refill on a node asks for. */
#define FILL_LEAST	6U

/* Bytes of a name, with its end. */
#define CACHE_NAME_LEN	64

/* An index into a slab that names no object. */
#define NO_OBJECT	((u16)-1)

/**
 * struct cache_node - a cache on one node
 * @barn: sheaves that are in no slot (under barn.lock)
 * @list_lock: covers all below but the counters, and the slabs as struct page
 *	says
 * @partial: by bucket, the first slab's pfn or NO_PFN
 * @empty: likewise of slabs with no object out
 * @nr_empty: length of @empty
 * @nr_slabs: slabs of this cache on this node, whatever their state
 * @nr_free: objects on the shared freelists of all slabs, plus the fresh ones
 *	of slabs that are not active
 * @waste: free bytes with memory, in slabs and in the barn, as last added up
 * @nr_hollow: hollow pages in all slabs (mm/hollow.c)
 * @low_empty: the least that @nr_empty was since the last tick
 * @fill: objects that the next refill asks for: 6, 14, 30 and so on up to a
 *	sheaf, so that a cache used once does not take a slab's worth
 * @visits: to the barn, by the last tick (sheaves_shrink())
 * @refilling: threads that fill a sheaf from slabs right now
 * @refills: sheaves filled from slabs
 * @flushes: sheaves emptied into slabs
 * @miss: objects that were wanted on another node
 * @foreign: objects that were wanted here and had to come from another node
 * @samples: objects that lie on pages of their own (mm/debug/profile.c)
 * @sampled: how many ever did
 * @interleave: objects taken by threads that interleave; with those that
 *	slots count still (cache_usage_on())
 * @other: likewise by CPUs of other nodes
 */
struct cache_node {
	struct barn barn;
	struct lock list_lock __aligned(64);
	u32 partial[NR_BUCKETS];
	u32 empty;
	u32 nr_empty;
	u32 nr_slabs;
	u64 nr_free;
	u64 waste;
	u64 nr_hollow;
	u32 low_empty;
	u32 fill;
	u64 visits;
	u32 refilling __aligned(64);
	u64 refills;
	u64 flushes;
	u64 miss, foreign;
	u64 samples, sampled;
	u64 interleave, other;
} __aligned(64);

/**
 * struct rn_cache - objects of one size
 * @row: its row on node 0; on node n, row + (n << row_node_shift)
 * @fast_at: its slot, or 0 where there is no rseq or several nodes, and while
 *	objects are traced
 * @order: of a slab, which is aligned to it
 * @pages: of a slab; what no object begins or ends in is left to others
 * @objects: in a slab
 * @per_page: of them in each page, where none is to lie in two; else 0
 * @page_rest: bytes at the end of each page that are no object's then
 * @sheaf_capacity: objects in a sheaf
 * @size: bytes from one object to the next
 * @reciprocal: 2^40 / @size, rounded up (slab_index())
 * @free_offset: where a free object keeps its link
 * @red_left: bytes before the first object, and within @size before each
 * @debug: RN_RED_ZONE and the like; not 0: all goes by list_lock, and nothing
 *	of it lies in sheaves (mm/debug/slab_check.c)
 * @object_size: bytes the user asked for
 * @usable: bytes the user may write, at least @object_size; of classes with
 *	canaries less
 * @canary: behind that, where the word is by which a write beyond the object
 *	is found (mm/debug/canary.c), or 0
 * @align: of each object
 * @gfp: added to the flags of page allocations
 * @flags: RN_NOMERGE and the like
 * @refcount: users of it; more than one where caches were merged, none where
 *	the group is over that it was of
 * @ctor: constructor or NULL
 * @useroffset: see rn_check_object()
 * @usersize: likewise
 * @counter: what objects that leave a slab are charged to, or NULL
 * @name: as shown in slabinfo
 * @next: in the list of all caches (under slab_mutex); kept when the cache is
 *	destroyed, for who stands on it without the lock
 * @next_spare: in the list of destroyed ones
 * @sampled_at: allocations by the last sample (mm/debug/kfence_sample.c)
 * @node: by node number; NULL until the cache was used there
 */
struct rn_cache {
	u16 row;
	u8 order;
	u16 pages;
	u32 fast_at;
	u16 objects;
	u16 per_page;
	u16 page_rest;
	u16 sheaf_capacity;
	u32 size;
	u32 free_offset;
	u32 red_left;
	unsigned int debug;
	u64 reciprocal;
	u32 object_size;
	u32 usable;
	u32 canary;
	u32 align;
	rn_gfp_t gfp;
	unsigned int flags;
	unsigned int refcount;
	void (*ctor)(void *object);
	size_t useroffset, usersize;
	struct page_counter *counter;
	char name[CACHE_NAME_LEN];
	struct rn_cache *next;
	struct rn_cache *next_spare;
	u64 sampled_at;
	struct cache_node **node;
};

/* A flag of cache_new(): no object lies in two pages. At most a page each. */
#define CACHE_IN_PAGES	(1U << 31)
/* The objects of a class have their canary within its size, a group's none. */
#define CACHE_CANARY_IN	(1U << 30)
#define CACHE_NO_CANARY	(1U << 29)

/* --- slab_common.c --- */

extern struct lock slab_mutex;
extern struct rn_cache *slab_caches;	/* the list; oldest first */
extern struct rn_cache **cache_of_row;	/* by row on node 0 */
unsigned int nr_rows(void);		/* rows in use there: below this */

int slab_init(void);
/*
 * Under slab_mutex, and neither merged nor counted: the library's own. @row is
 * the class whose cache it is, or 0.
 */
struct rn_cache *cache_new(const char *name, const struct rn_cache_args *args,
			   unsigned int row);
/* Under slab_mutex, both. */
void cache_set_fast_path(struct rn_cache *c);
void cache_set_name(struct rn_cache *c, const char *name);
/* As slabinfo has it. */
void cache_name_of(char to[CACHE_NAME_LEN], const char *name);
struct cache_node *cache_node_get(struct rn_cache *c, int node);

static inline void cache_uncharge(const struct rn_cache *c, unsigned int nr)
{
	if (unlikely(c->counter) && nr)
		counter_uncharge(c->counter, (u64)nr * c->size);
}

static inline unsigned int row_on(const struct rn_cache *c, int node)
{
	return c->row + ((unsigned int)node << row_node_shift);
}

/* @row of the row map, not 0. */
static inline struct rn_cache *row_to_cache(unsigned int row)
{
	return cache_of_row[row & ((1U << row_node_shift) - 1)];
}

static inline int row_to_node(unsigned int row)
{
	return row >> row_node_shift;
}

static inline struct cache_node *row_to_cache_node(unsigned int row)
{
	return smp_load_acquire(&row_to_cache(row)->node[row_to_node(row)]);
}

/* --- slab.c: slabs of a cache_node, their freelists and lists --- */

extern u64 slab_secret;		/* in the key of every slab */

/* Head page of the slab that @p lies in; its row is not 0. */
static inline struct page *ptr_to_slab(const struct rn_cache *c, const void *p)
{
	return pfn_to_page(ALIGN_DOWN(ptr_to_pfn(p), 1U << c->order));
}

static inline char *slab_address(const struct page *slab)
{
	return pfn_to_ptr(page_to_pfn(slab));
}

/*
 * Of the rest of a page: the first object of the next one.
 *
 * Exact: offset < 2^18 and size <= 2^16, so the error stays below 2^-6.
 */
static inline unsigned int slab_index(const struct rn_cache *c, size_t offset)
{
	offset -= offset / PAGE_BYTES * c->page_rest;
	return offset * c->reciprocal >> 40;
}

static inline void *slab_object(const struct rn_cache *c,
				const struct page *slab, unsigned int index)
{
	size_t offset = (size_t)index * c->size;

	if (unlikely(c->per_page))
		offset += (size_t)(index / c->per_page) * c->page_rest;
	return slab_address(slab) + c->red_left + offset;
}

/* The object behind that of @index, which begins at @object. */
static inline char *slab_next(const struct rn_cache *c, char *object,
			      unsigned int index)
{
	object += c->size;
	if (unlikely(c->per_page) && (index + 1) % c->per_page == 0)
		object += c->page_rest;
	return object;
}

/* Objects that were never handed out. */
static inline unsigned int fresh_objects(const struct rn_cache *c,
					 const struct page *slab)
{
	return c->objects - slab->fresh;
}

/* The object that starts at @p; NO_OBJECT if none does. */
unsigned int slab_find(const struct rn_cache *c, const struct page *slab,
		       const void *p);

/* --- slab_new.c --- */

/* From new pages, SLAB_ACTIVE and the caller's; *@node where they had to lie. */
struct page *slab_new(struct rn_cache *c, int *node, rn_gfp_t flags);
/* Pages of a chain of empty slabs that are on no list any more; how many. */
unsigned int slab_discard(struct rn_cache *c, u32 first);
/*
 * Every slab goes back to the pages, whatever objects are out; nothing may be in
 * slots and barns, and nobody may use the cache.
 */
void slab_discard_all(struct rn_cache *c);
/*
 * Calls @look with each slab of a cache, or of all where that is NULL, and its
 * row; those of others' may have become another one's meanwhile.
 */
typedef void (*slab_look_t)(void *arg, unsigned int row, struct page *slab);
void slab_for_each(const struct rn_cache *c, slab_look_t look, void *arg);

/* More than a slab has objects. */
#define NOT_SEEN	((u16)-1)

/* --- hollow.c: free pages of slabs that are not empty --- */

/* The descriptor that says which they are. */
static inline struct page *slab_hollow(const struct page *slab)
{
	return (struct page *)slab + 1;
}

/*
 * All three by the owner: gives back what memory it can of the slabs in a chain;
 * makes objects of hollow pages free again, at least one, or is false where
 * their node has no memory; is the object on one? That anybody may ask of an
 * object that is out.
 */
void hollow_make(struct rn_cache *c, struct cache_node *n, u32 chain,
		 enum reclaim_why why);
bool hollow_fill(struct rn_cache *c, struct cache_node *n, struct page *slab);
bool hollow_has(const struct rn_cache *c, const struct page *slab,
		unsigned int index);

/* --- Owner's side: the slab is SLAB_ACTIVE and in the caller's hands --- */

/* A slab with objects for the owner, or NULL; *@node where it had to lie. */
struct page *slab_get(struct rn_cache *c, int *node, rn_gfp_t flags);
/* Moves objects into @s, until it has @want or the slab has no more. */
void slab_fill(struct rn_cache *c, struct page *slab, struct sheaf *s,
	       unsigned int want);
/* Takes what was freed meanwhile; false: nothing, the slab is anybody's now. */
bool slab_reload(struct rn_cache *c, struct cache_node *n, struct page *slab);
/* Back onto its node's lists. */
void slab_put(struct rn_cache *c, struct page *slab);

/* --- Everyone's side --- */

/* Frees objects into their slabs. All must lie on the node of @n. */
void slab_free_objects(struct rn_cache *c, struct cache_node *n,
		       void *const *objects, unsigned int nr);
/* What list_lock is released with: slabs that are empty go back to the pages. */
void slab_unlock(struct rn_cache *c, struct cache_node *n);
/* Free pages of slabs that have drained since they were looked at. */
void slab_give_pages(struct rn_cache *c, struct cache_node *n,
		     enum reclaim_why why);
/* Under list_lock: one slab more or less. */
void slab_count(struct rn_cache *c, struct cache_node *n, int more);
/* Gives empty slabs back to the pages, but @keep of them. Returns how many. */
unsigned int slab_trim(struct rn_cache *c, struct cache_node *n,
		       unsigned int keep);
/* A tick: a part of the empty slabs, and free pages of others (decay). */
void slab_age(struct rn_cache *c, struct cache_node *n, u32 part);

/* --- Under list_lock, of slabs that nobody owns --- */

/* The slab that the next object is to come from, or NULL. */
struct page *slab_pick(struct cache_node *n);
/* Its first free object, the link of which is one, or a fresh one. */
void *slab_pop(struct rn_cache *c, struct cache_node *n, struct page *slab);
/* The object with that index is free; the owner may be somebody, too. */
void slab_push(struct rn_cache *c, struct cache_node *n, struct page *slab,
	       unsigned int index);
/* Its freelist is not to be trusted: what was on it is out for good. */
void slab_lose_freelist(struct rn_cache *c, struct cache_node *n,
			struct page *slab);

/* --- waste.c --- */

/* Is more free than may be, in the slabs and barns of all caches? */
bool slabs_are_wasteful(void);
void count_waste(const struct rn_cache *c, struct cache_node *n);
void forget_waste(struct cache_node *n);	/* its slabs are gone */
/* What the barn is to keep. */
void barn_set_most(const struct rn_cache *c, struct cache_node *n);
/* It has so many more than that. */
void count_excess(const struct rn_cache *c, struct cache_node *n,
		  unsigned int objects);
/* Gives that back, of all caches, when it is much. No lock is held. */
void give_if_excessive(void);

/* --- sheaf_size.c --- */

/* Objects that the next refill asks for. */
unsigned int refill_size(const struct rn_cache *c, const struct cache_node *n);
/* For each visit to the barn. */
void sheaves_grow(const struct rn_cache *c, struct cache_node *n);
/* @s, if there is one and it is as large as it should be, or a new one; or NULL. */
struct sheaf *sheaf_or_new(const struct rn_cache *c,
			   const struct cache_node *n, struct sheaf *s);

/*
 * At a tick: a cache that has hardly come to its barns since the last one has
 * sheaves that are too large for it.
 */
void sheaves_shrink(struct rn_cache *c);

/* --- slots.c: what slots may hold, and who uses them (see internal.h) --- */

/* May a slab be active in this slot? */
bool slot_may_have_slab(const struct rn_cache *c, unsigned int row, u32 index);
/* Objects that a sheaf may have in this slot, perhaps 0. */
unsigned int slot_capacity(const struct rn_cache *c, unsigned int row,
			   u32 index);

/* --- slub.c: the slow paths --- */

/*
 * NULL with errno ENOMEM; or EDQUOT, of a cache with a counter, for want of room
 * there: then only @flags with GFP_CHARGED are of use.
 */
void *slab_alloc_slow(struct rn_cache *c, rn_gfp_t flags, int node);
/* @caller: who called the library, for the tracks of debugged caches. */
void slab_free_slow(unsigned int row, const void *object, const void *caller);

/* --- flush.c: from slots and barns into the slabs --- */

/* Counts @allocs of a slot whose sheaves have @tag. */
void count_tagged(struct cache_node *n, unsigned int tag, u64 allocs);
/* @s came out of its slot; comes before the barn counts it. */
void sheaf_left_slot(struct cache_node *n, const struct sheaf *s);
/* Into the slabs with what is in @s. */
void sheaf_flush(struct rn_cache *c, struct cache_node *n, struct sheaf *s);
/* Likewise with all that was in the slot of a row. */
void slot_flush(unsigned int row, struct sheaf *s[2], struct page *active);
/* Sheaves with objects, but @keep of them. */
void barn_flush(struct rn_cache *c, struct cache_node *n, u32 keep);
/*
 * A tick: 1/@part of what barns and slabs have had to spare since the last one
 * goes down, and at least one of each. Under slab_mutex.
 */
void cache_age(struct rn_cache *c, u32 part);
/* Everything in slots goes into slabs; false as the next one. */
bool cache_flush_slots(struct rn_cache *c);
/*
 * Everything in slots and barns goes into slabs, empty slabs to the pages. False
 * if the slots could not be emptied (percpu_drain()).
 */
bool cache_flush(struct rn_cache *c);

/**
 * struct cache_usage - figures of a cache, on one node or over all
 * @objects: in all slabs
 * @active: of those, in users' hands
 * @cached: of those, in sheaves
 * @slabs: number of slabs
 * @samples: of @active, those in no slab (mm/debug/profile.c)
 * @allocs: allocations by fast and slow path together
 * @miss: as in struct cache_node, and those that follow
 */
struct cache_usage {
	u64 objects, active, cached, slabs, samples;
	u64 fast_allocs, fast_frees, slow_allocs, slow_frees;
	u64 refills, flushes;
	u64 miss, foreign, interleave, other;
};

/* --- usage.c --- */

/* Adds what there is on @node to @u. */
void cache_usage_on(struct rn_cache *c, int node, struct cache_usage *u);
void cache_usage(struct rn_cache *c, struct cache_usage *u);

/* --- kmalloc.c --- */

extern const u16 at_of_small[];		/* slot by (size - 1) / 8 */
extern const u8 class_of_large[];	/* class by (size - 1) / 128 */
extern u32 class_bytes[];		/* size by class */

/* As rn_alloc(@fit), of which only @size bytes are to be used. */
void *kmalloc_fit(size_t fit, size_t size);
/* As rn_realloc() of an object, likewise; to @fit bytes if that is not 0. */
void *realloc_fit(void *p, size_t fit, size_t size, rn_gfp_t flags,
		  const void *caller);
/*
 * The bytes of the least class of @size or more with objects on the boundary,
 * or what is too much for one.
 */
size_t class_on(size_t size, size_t align);

/* Of each object: the largest power of two that divides the size of its class. */
static inline size_t class_align(size_t bytes)
{
	return bytes & -bytes;
}

/* Classes are the first caches, so that class and row are one number. */
static inline unsigned int size_to_row(size_t size)
{
	if (size <= SMALL_MAX)
		return at_of_small[(size - 1) / 8] >> SLOT_SHIFT;
	return class_of_large[(size - 1) / 128];
}

/* NULL with errno @error; for RN_NOFAIL a report and the end. */
void *alloc_fail(int error, rn_gfp_t flags, size_t size);
/* 0, or the errno of a request that is refused whatever memory there is. */
int alloc_check(rn_gfp_t flags, int node);
/* The slow path of rn_free(). */
void free_checked(const void *p, const void *caller);
void kmalloc_init(void);
/* Makes the caches of all classes that are not there yet. 0 or -ENOMEM. */
int kmalloc_complete(void);

#pragma GCC visibility pop

#endif /* MM_SLAB_H */

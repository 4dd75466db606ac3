/* SPDX-License-Identifier: MIT */
/*
 * Groups: what the files that make, use, show and end them share.
 */
#ifndef MM_MEMCONTROL_H
#define MM_MEMCONTROL_H

#include "page_counter.h"
#include "shrinker.h"
#include "slab.h"

#include <rn/slab-inline.h>

#undef rn_alloc
#undef rn_zalloc

#pragma GCC visibility push(hidden)

/* A request is held for so long, unless rn_memcg_set_timeout() says otherwise. */
#define HOLD_MS		5000

/**
 * struct rn_memcg - a group
 * @counter: what is charged to it and to its children
 * @at: by size class, the slot of its cache on node 0; 0 before it was used, and
 *	where there is no rseq
 * @caches: by size class, NULL before it was used (under slab_mutex)
 * @id: of its counter
 * @nr_children: groups right below, those that were reparented too
 * @reparented: what is left of a group that was destroyed
 * @in_pages: no object of up to a page lies in two of them
 * @timeout: ms that a request is held at most
 * @name: as given
 * @next_spare: in the list of those that are nobody's
 *
 * Never unmapped: who frees one of its objects may stand on it.
 */
struct rn_memcg {
	struct page_counter counter;
	u32 at[RN_NR_CLASSES + 1];
	struct rn_cache *caches[RN_NR_CLASSES + 1];
	u16 id;
	u32 nr_children;
	bool reparented;
	bool in_pages;
	u32 timeout;
	char name[64];
	struct rn_memcg *next_spare;
};
static_assert(offsetof(struct rn_memcg, counter) == 0, "one is the other");

/* The fast path; NULL: there is none now. @size is at least 1. */
static __always_inline void *memcg_pop(const struct rn_memcg *m, size_t size)
{
	u32 at;

	if (unlikely(size > smp_load_acquire(&hot.medium_max)))
		return NULL;
	at = smp_load_acquire(&m->at[size_to_row(size)]);
	if (unlikely(at && hot.node_rows))
		at = slot_at(local_row(at >> SLOT_SHIFT));
	return likely(at) ? fast_pop(at) : NULL;
}

extern u32 memcg_nr_ids;		/* all ids in use are below */

/* NULL for none; written under slab_mutex. */
static inline struct rn_memcg *memcg_by_id(u32 id)
{
	return (struct rn_memcg *)smp_load_acquire(&counters[id]);
}

static inline struct rn_memcg *counter_to_memcg(struct page_counter *c)
{
	return (struct rn_memcg *)c;
}

/* Is it @m, or below it? */
static inline bool memcg_is_below(const struct rn_memcg *m,
				  const struct rn_memcg *above)
{
	return counter_is_below(&m->counter, &above->counter);
}

/* --- memcontrol.c --- */

/* As rn_memcg_create(), with or without @in_pages of struct rn_memcg. */
struct rn_memcg *memcg_create(struct rn_memcg *parent, const char *name,
			      bool in_pages);

/* --- memcg_room.c --- */

/* From here on no sheaf below @full keeps objects. */
void memcg_tighten(struct page_counter *full);
/* Bytes that lie in sheaves of the group itself. */
u64 memcg_stock(struct rn_memcg *m);
/*
 * Under slab_mutex: slots and barns are emptied, their objects uncharged. False
 * if other CPUs could not be fenced.
 */
bool memcg_flush(struct rn_memcg *m);
/*
 * Who is above its high with @bytes more, or within one that is, has others
 * shrink first; unless @flags say not to.
 */
void memcg_shrink_high(struct rn_memcg *m, u64 bytes, rn_gfp_t flags);
/*
 * Charges @bytes as @flags say, perhaps after a wait. 0, inside of the gate, so
 * that no child of a fork() has bytes that no memory stands for; or an errno,
 * outside.
 */
int memcg_charge_enter(struct rn_memcg *m, u64 bytes, rn_gfp_t flags,
		       unsigned int *ticket);

/* --- memcg_end.c --- */

/* Under slab_mutex: gives up reparented groups that are empty by now. */
void memcg_reap(void);
/* Under slab_mutex: perhaps with caches, of a group that is over; or NULL. */
struct rn_memcg *memcg_struct(bool in_pages);

#pragma GCC visibility pop

#endif /* MM_MEMCONTROL_H */

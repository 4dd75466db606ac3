/* SPDX-License-Identifier: MIT */
/*
 * Heap profiles: what the files share that take samples and that write them.
 */
#ifndef MM_PROFILE_H
#define MM_PROFILE_H

#include "maps.h"
#include "percpu.h"
#include "slab.h"
#include "slab_debug.h"
#include "stackdepot.h"

#pragma GCC visibility push(hidden)

#define PROFILE_DEPTH	STACK_DEPTH_MOST

/* --- exponential.c --- */

/* At random; @state is any number but 0. */
double exponential_draw(u64 *state, double mean);
/* The probability that what has a mean of 1 is below @x. */
double exponential_below(double x);

/* --- profile.c --- */

/**
 * struct profile_sums - what became of one stack's samples
 * @objects: how many
 * @bytes: that were asked for
 * @all_objects: how many they stand for, in units of 1 / PROFILE_UNIT
 * @all_bytes: likewise of bytes, in whole ones
 */
struct profile_sums {
	u64 objects, bytes;
	u64 all_objects, all_bytes;
};

#define PROFILE_UNIT	1024

/* Written under profile.lock, read without. */
struct profile_site {
	struct profile_sums live, total;
};

/**
 * struct profile_state - the profile
 * @lock: over the figures of the sites, and a start; a leaf
 * @generation: how often one was started; what is of another one is no sample
 * @interval: bytes
 * @sites: by number of the stack; 0: of those that have none. NULL before the
 *	first start
 */
struct profile_state {
	struct lock lock;
	u32 generation;
	size_t interval;
	struct profile_site *sites;
};

extern struct profile_state profile;

/**
 * struct profile_thread - when this thread takes its next sample
 * @left: bytes until then
 * @generation: that was so in
 * @random: the state of its generator
 */
struct profile_thread {
	int64_t left;
	u32 generation;
	u64 random;
};

extern __thread struct profile_thread profile_thread;

bool profile_is_due_slow(size_t size);

/* Is what somebody allocates with this size to be a sample? */
static inline bool profile_is_due(size_t size)
{
	struct profile_thread *t = &profile_thread;

	t->left -= (int64_t)size;
	if (likely(t->left >= 0 &&
		   t->generation == READ_ONCE(profile.generation)))
		return false;
	return profile_is_due_slow(size);
}

/* An object of @c as slab_alloc() has it, a sample; NULL: there can be none. */
void *profile_alloc(struct rn_cache *c, size_t size, rn_gfp_t flags, int node,
		    const void *caller);
/* A run of pages, or NULL: it may become a sample. Returns it. */
void *profile_run(void *p, size_t size, const void *caller);
/* So much is asked for of it from now on. */
void profile_resize(struct page *head, size_t size);
/* It is about to be freed, or to be another one's: inside of the gate. */
void profile_forget(struct page *head);

/* The number of the stack that a sample has this mark for; or 0. */
u32 profile_site_of(u32 mark);

/* The cache of a sample, NULL for any other run. */
static inline struct rn_cache *profile_cache(const struct page *head)
{
	return unlikely(head->owner) ? cache_of_row[head->owner] : NULL;
}

/* Likewise of any address; its object is in no slab. */
struct rn_cache *profile_cache_of(const void *p);

void profile_init(void);	/* RN_PROFILE; in profile_write.c */

/* --- profile_write.c, profile_proto.c --- */

/* Text, and what pprof reads; the second with names, which are the loader's. */
void profile_text(struct seq *s, struct maps *maps);
void profile_proto(struct seq *s, struct maps *maps, bool names);

#pragma GCC visibility pop

#endif /* MM_PROFILE_H */

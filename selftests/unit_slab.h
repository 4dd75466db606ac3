/* SPDX-License-Identifier: MIT */
/*
 * Steps on the slabs of a cache on a node, without slots and barns, and what is
 * out of them: objects with contents that say whose they are.
 */
#ifndef SELFTESTS_UNIT_SLAB_H
#define SELFTESTS_UNIT_SLAB_H

#include "given.h"
#include "helpers.h"

#include "slab.h"

#define MAX_OUT		6000

static struct rn_cache *c;
static struct cache_node *n;
static int node;
static uint64_t random_state;

static void *out[MAX_OUT];
static unsigned int nr_out;

static inline struct rn_cache *make_cache(size_t size, unsigned int flags,
					  void (*ctor)(void *))
{
	struct rn_cache_args args = {
		.sz = sizeof(args), .size = size, .ctor = ctor,
		.flags = RN_NOMERGE | flags,
	};
	struct rn_cache *new;

	init_given();
	lock(&slab_mutex);
	new = cache_new("unit", &args, 0);
	unlock(&slab_mutex);
	ck_assert_ptr_nonnull(new);
	return new;
}

static inline void use_cache(struct rn_cache *cache)
{
	c = cache;
	node = numa_local_node();
	n = cache_node_get(c, node);
	ck_assert_ptr_nonnull(n);
	nr_out = 0;
	random_state = c->size;
}

static inline unsigned int below(unsigned int limit)
{
	return xorshift(&random_state) % limit;
}

/* --- steps --- */

static inline void take_out(void *p)
{
	out[nr_out++] = p;
	pattern_set(p, c->usable, (uint64_t)p);
}

/* What the sheaf has; it goes. */
static inline void take_out_all(struct sheaf *s)
{
	while (sheaf_count(s))
		take_out(sheaf_take(s));
	sheaf_free(s);
}

/* Who got one twice would have overwritten it. */
static inline void free_these(void **objects, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++)
		ck_assert(pattern_ok(objects[i], c->usable,
				     (uint64_t)objects[i]));
	slab_free_objects(c, n, objects, nr);
}

/* Chooses @nr of those out at random and frees them in one go. */
static inline void free_some(unsigned int nr)
{
	static void *batch[MAX_OUT];

	for (unsigned int i = 0; i < nr; i++) {
		unsigned int k = below(nr_out);

		batch[i] = out[k];
		out[k] = out[--nr_out];
	}
	free_these(batch, nr);
}

static inline struct page *get(void)
{
	struct page *slab = slab_given(c, node);

	ck_assert_uint_eq(slab->state, SLAB_ACTIVE);
	return slab;
}

#endif /* SELFTESTS_UNIT_SLAB_H */

/* SPDX-License-Identifier: MIT */
/*
 * What tests of groups share: groups and objects that must be there, and what a
 * group says of itself as numbers.
 */
#ifndef SELFTESTS_MEMCG_H
#define SELFTESTS_MEMCG_H

#include <rn/memcg.h>
#include <rn/slab.h>
#include <stdbool.h>
#include <stddef.h>

/* Never NULL. */
struct rn_memcg *group(struct rn_memcg *parent, const char *name);
/* The same with a max. */
struct rn_memcg *group_of(struct rn_memcg *parent, const char *name,
			  size_t max);
void set_limit(struct rn_memcg *m, enum rn_memcg_limit limit, size_t bytes);
/* It has nothing charged to it and goes. */
void group_end(struct rn_memcg *m);

/* Granted, and charged to @m. */
void *granted(struct rn_memcg *m, size_t size, rn_gfp_t flags);
/* NULL, with this errno, and nothing charged. */
void declined(struct rn_memcg *m, size_t size, rn_gfp_t flags, int error);

/* A line of rn_memcg_stat(), or -1 when it has no such line. */
long memcg_figure(struct rn_memcg *m, const char *name);

/* What is charged is what is in use and what lies in sheaves. */
size_t charged(struct rn_memcg *m);

/* By the monotonic clock, in seconds. */
double seconds(void);
/* Waits, for 10 s at most, until so many requests of @m were held. */
void until_held(struct rn_memcg *m, unsigned long times);

/* Sizes for all classes, one each, and for some runs; 0 at the end. */
size_t size_after(size_t size);

#endif /* SELFTESTS_MEMCG_H */

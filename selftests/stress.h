/* SPDX-License-Identifier: MIT */
/*
 * Threads that allocate, hand objects to one another, and free what others
 * allocated, each object's contents checked on the way.
 */
#ifndef SELFTESTS_STRESS_H
#define SELFTESTS_STRESS_H

#include <rn/slab.h>
#include <stdint.h>

#define STRESS_THREADS	8
#define STRESS_CACHES	3

/* The caches that the threads use besides rn_alloc(); never merged. */
extern struct rn_cache *stress_caches[STRESS_CACHES];

/* One object of random size and kind, with contents; never NULL. */
void *stress_new(uint64_t *random);
/* Checks its contents and frees it; NULL is nothing. */
void stress_end(void *object);

/* Starts the threads; each ends after @ops operations, or never if 0. */
void stress_start(unsigned int threads, unsigned long ops);
/* The thread id of the i-th, for sched_setaffinity(). */
int stress_tid(unsigned int i);
/* Stops and joins them; what they left behind stays where it is. */
void stress_join(void);
/* Objects of the i-th of stress_caches that are left behind. */
unsigned long stress_held(unsigned int i);
/* Frees what was left behind. */
void stress_clear(void);
/* Makes the caches, once in a process; the end reports what is left. */
void stress_make_caches(void);
void stress_destroy_caches(void);

#endif /* SELFTESTS_STRESS_H */

/* SPDX-License-Identifier: MIT */
/*
 * What tests of <rn/pools.h> share: pools that must be there, requests that
 * must be granted or declined, and threads with a request that is held.
 */
#ifndef SELFTESTS_UNIFIED_H
#define SELFTESTS_UNIFIED_H

#include <pthread.h>
#include <rn/memcg.h>
#include <rn/pages.h>
#include <rn/pools.h>
#include <rn/slab.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KIB	1024UL
#define MIB	(1024 * KIB)

/* Options with these fields. */
#define OPTIONS(...) \
	(&(struct rn_pools_options){ .sz = sizeof(struct rn_pools_options), \
				     __VA_ARGS__ })

/* Without an end: a test that waits for nothing is stopped by its timeout. */
#define PATIENT(...)	OPTIONS(.timeout = RN_MEMCG_FOREVER, __VA_ARGS__)

void pools_start(size_t total, const struct rn_pools_options *options);
/* The same, with memory for all of it: what is declined is for the limits. */
void pools_start_up(size_t total, const struct rn_pools_options *options);
/* Nothing is charged to either, and they go. */
void pools_end(void);

/* Of the groups, what users have. */
size_t total_usage(void);
size_t exec_usage(void);
size_t storage_usage(void);
/* The most that there ever was in both. */
size_t total_peak(void);
/* What each pool owns of @total. */
size_t half_of(size_t total);
/* What storage leaves free when it borrows. */
size_t margin_of(size_t total);

/* What execution memory of @bytes takes: no object lies in two pages. */
size_t exec_size(size_t bytes);

/* --- requests --- */

void *exec_granted(size_t bytes, rn_gfp_t flags);
void *exec_acquired(uint64_t id, size_t bytes);
void *storage_granted(size_t bytes, rn_gfp_t flags);
/* An entry, pinned. */
void *entry_acquired(uint64_t id, size_t bytes);
/* The same, unpinned: it may be evicted. */
void *entry_cached(uint64_t id, size_t bytes);

/* NULL with this errno; nothing is charged, and nothing evicted. */
void exec_declined(size_t bytes, rn_gfp_t flags, int error);
void exec_not_acquired(uint64_t id, size_t bytes, int error);
void storage_declined(size_t bytes, rn_gfp_t flags, int error);
void entry_declined(uint64_t id, size_t bytes, int error);

void exec_release(uint64_t id);
void entry_release(uint64_t id);
void entry_unpin(uint64_t id);
/* It is there; it has a pin more. */
void *entry_pinned(uint64_t id);
bool is_cached(uint64_t id);
/* How many of the ids from @first up to @end, without it. */
unsigned int nr_cached(uint64_t first, uint64_t end);

/* --- threads --- */

enum pool_request { ASK_EXEC, ASK_EXEC_ID, ASK_STORAGE, ASK_ENTRY };
#define NR_POOL_REQUESTS	4

/**
 * struct pool_asker - a thread with one request
 * @got: what it got, or NULL with @error
 * @order: among all that came back, from 1
 * @at: when it came back, in seconds
 * @tid: of the thread, once it runs
 */
struct pool_asker {
	pthread_t thread;
	enum pool_request what;
	uint64_t id;
	size_t bytes;
	void *got;
	int error;
	unsigned int order;
	double at;
	int tid;
};

/* One request, by this thread. */
void *pool_ask(enum pool_request what, uint64_t id, size_t bytes);
/* Gives back what it got. */
void pool_give(enum pool_request what, uint64_t id, void *p);
void start_asking(struct pool_asker *a, enum pool_request what, uint64_t id,
		  size_t bytes);
/* The same; it is held when this returns. */
void ask_beside(struct pool_asker *a, enum pool_request what, uint64_t id,
		size_t bytes);
/* It comes back with what it asked for. */
void expect_served(struct pool_asker *a);
/* So many came back by now, and no more. */
void expect_nr_served(unsigned int nr);
/* Until the thread has been asleep for a while. */
void until_asleep(const int *tid);

void sleep_ms(unsigned int ms);

#endif /* SELFTESTS_UNIFIED_H */

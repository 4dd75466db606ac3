/* SPDX-License-Identifier: MIT */
/*
 * Execution and storage memory: two pools that share a total. Execution is what
 * work needs while it runs; storage is what is kept since it may be needed
 * again. Each owns half of the total and may borrow what the other does not
 * use.
 *
 * See Documentation/core-api/pools.rst.
 */
#ifndef RN_POOLS_H
#define RN_POOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rn/gfp.h>

#ifdef __cplusplus
extern "C" {
#endif

struct rn_memcg;

/* Execution waits for what storage has borrowed; it does not make it evict. */
#define RN_POOLS_EXEC_WAITS	0x1u
/* Storage does not borrow: it stays within its half. */
#define RN_POOLS_STORAGE_HALF	0x2u

/**
 * enum rn_pools_victim - who is given up when memory is short
 * @RN_POOLS_RANDOM: any that may be, each as likely as the other
 * @RN_POOLS_LRU: what was unpinned the longest time ago
 * @RN_POOLS_PICK: whom @pick of the options names
 */
enum rn_pools_victim {
	RN_POOLS_RANDOM,
	RN_POOLS_LRU,
	RN_POOLS_PICK,
};

/**
 * struct rn_pools_options - how the pools are to be
 * @sz: sizeof(struct rn_pools_options)
 * @exec_least: bytes of the smallest request for execution memory; 0: 1
 * @exec_most: of the largest; 0: 8 MiB
 * @storage_least: of the smallest request for storage; 0: 4 KiB
 * @storage_most: of the largest; 0: 64 MiB
 * @timeout: milliseconds that a request is held at most, RN_MEMCG_FOREVER for
 *	ever; 0: 5,000
 * @flags: RN_POOLS_*
 * @victim: how victims are chosen
 * @evict: told before an entry goes, with its id, memory and bytes as asked
 *	for; false: it does not, this time. NULL: they go without
 * @pick: for RN_POOLS_PICK: names a victim by its id; false: there is none. One
 *	that is pinned or not there, or is named again when it has just stayed,
 *	is none, too: who asked tries once more if others went before that
 * @arg: for the two
 *
 * Both functions may be called by any thread that allocates, by several at a
 * time, and with whatever locks the program holds there; see struct rn_shrinker
 * for what they may do. An entry that is being evicted is nobody else's: nobody
 * has it pinned, and who asks for it waits until that is over.
 */
struct rn_pools_options {
	size_t sz;
	size_t exec_least, exec_most;
	size_t storage_least, storage_most;
	unsigned int timeout;
	unsigned int flags;
	enum rn_pools_victim victim;
	bool (*evict)(uint64_t page_id, void *p, size_t bytes, void *arg);
	bool (*pick)(uint64_t *page_id, void *arg);
	void *arg;
};

int rn_pools_init(size_t total_bytes);
int rn_pools_init_options(size_t total_bytes,
			  const struct rn_pools_options *options);
int rn_pools_destroy(void);

/* Execution memory: word-aligned; up to a page, an object lies in one page. */
void *rn_exec_alloc(size_t bytes, rn_gfp_t flags);
void rn_exec_free(void *p);

/* The same under the id of a piece of work, which may have any number. */
void *rn_exec_acquire(uint64_t exec_id, size_t bytes);
int rn_exec_release(uint64_t exec_id);
/* Bytes that @exec_id holds. */
size_t rn_exec_held(uint64_t exec_id);

/* Storage memory: page-aligned, never evicted. */
void *rn_storage_alloc(size_t bytes, rn_gfp_t flags);
void rn_storage_free(void *p);

/*
 * An entry: storage memory with an id of its own, which may be evicted when
 * nobody has it pinned. Who acquires it has, until rn_storage_unpin().
 */
void *rn_storage_acquire(uint64_t page_id, size_t bytes);
int rn_storage_release(uint64_t page_id);
/* Look it up; @bytes, unless NULL, is given its size. NULL: there is none. */
void *rn_storage_pin(uint64_t page_id, size_t *bytes);
int rn_storage_unpin(uint64_t page_id);
/* The same without a pin: for as long as it is known that it stays. */
void *rn_storage_lookup(uint64_t page_id, size_t *bytes);

/**
 * enum rn_pools_part - the groups that the pools are made of
 * @RN_POOLS_TOTAL: both together
 * @RN_POOLS_EXEC: execution
 * @RN_POOLS_STORAGE: storage
 */
enum rn_pools_part {
	RN_POOLS_TOTAL,
	RN_POOLS_EXEC,
	RN_POOLS_STORAGE,
};

/* To read their figures, see <rn/memcg.h>; NULL: there are no pools. */
struct rn_memcg *rn_pools_memcg(enum rn_pools_part part);

#ifdef __cplusplus
}
#endif

#endif /* RN_POOLS_H */

/* SPDX-License-Identifier: MIT */
/*
 * Execution and storage memory: what the files of the pools share.
 * Documentation/mm/pools.rst is the design.
 */
#ifndef MM_POOLS_H
#define MM_POOLS_H

#include "memcontrol.h"

#include <rn/pools.h>

#pragma GCC visibility push(hidden)

/* --- pools_id.c: what is found by a number --- */

/**
 * struct id_node - begins what is found
 * @next: in the same bucket
 * @id: the number
 */
struct id_node {
	struct id_node *next;
	u64 id;
};

/**
 * struct id_table - a hash table with a fixed number of buckets
 * @buckets: 2^(64 - @shift)
 * @shift: of the hash
 */
struct id_table {
	struct id_node **buckets;
	unsigned int shift;
};

/* With a bucket for each of about @nr. 0 or -ENOMEM. */
int id_table_init(struct id_table *t, size_t nr);
struct id_node *id_find(const struct id_table *t, u64 id);
void id_insert(struct id_table *t, struct id_node *node);
void id_remove(struct id_table *t, struct id_node *node);
/* Calls @fn, which may free it, for each node. */
void id_for_each(const struct id_table *t, void (*fn)(struct id_node *node));
/* All nodes are freed, as objects of their own, and the table. */
void id_table_end(struct id_table *t);

/* --- pools.c --- */

/**
 * struct entry - storage with an id
 * @node: by its id; in no table once it was released
 * @p: the memory
 * @bytes: as asked for
 * @charged: and as they are charged
 * @pins: of those who use it
 * @evictor: the thread that asks whether it may go, or 0
 * @released: meanwhile
 * @at: its place among the victims, while @pins and @evictor are 0
 * @older: likewise, the one unpinned before
 * @newer: and the one after
 */
struct entry {
	struct id_node node;
	void *p;
	size_t bytes, charged;
	u64 pins;
	u32 evictor;
	bool released;
	size_t at;
	struct entry *older, *newer;
};

/**
 * struct pools - the pools of this process
 * @lock: covers the tables and all in them, and the victims. A leaf
 * @options: with defaults filled in
 * @total: the group above all
 * @exec: execution
 * @exec_ids: below it, what has an id
 * @storage: storage; entries are charged here
 * @kept: below it, what has no id
 * @entries: of storage, by id
 * @ids: of execution
 * @objects: of execution with an id, by address
 * @shrinker: asked for entries
 * @is_asked: it is registered
 */
struct pools {
	struct lock lock;
	struct rn_pools_options options;
	struct rn_memcg *total, *exec, *exec_ids, *storage, *kept;
	struct id_table entries, ids, objects;
	struct rn_shrinker shrinker;
	bool is_asked;
};

extern struct pools pools;

static inline unsigned int pools_lock(void)
{
	unsigned int ticket = gate_enter();

	lock(&pools.lock);
	return ticket;
}

static inline void pools_unlock(unsigned int ticket)
{
	unlock(&pools.lock);
	gate_exit(ticket);
}

/* NULL with an errno. */
static inline void *pools_error(int error)
{
	errno = error;
	return NULL;
}

/* --- pools_storage.c --- */

/* Under the lock: @id was not released, and perhaps is being evicted. */
struct entry *entry_find(u64 id);
/* It is in no table and nobody's. */
void entry_free(struct entry *e);

/* --- pools_evict.c --- */

/* For at most @nr entries. 0 or -ENOMEM. */
int victims_init(size_t nr);
void victims_end(void);
/* Under the lock. */
void victim_add(struct entry *e);
void victim_remove(struct entry *e);
/*
 * Under the lock, which is let go of meanwhile: until it is known whether @e
 * stays. False where nothing may be waited for.
 */
bool eviction_wait(const struct entry *e, unsigned int *ticket);

unsigned long storage_count(struct rn_shrinker *shrinker,
			    struct rn_shrink_control *sc);
unsigned long storage_scan(struct rn_shrinker *shrinker,
			   struct rn_shrink_control *sc);

#pragma GCC visibility pop

#endif /* MM_POOLS_H */

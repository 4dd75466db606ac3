/* SPDX-License-Identifier: MIT */
/*
 * The page by which others find the statistics of a process (stats_shm.c), as
 * tools/slabinfo reads it too: so this includes nothing of mm/.
 */
#ifndef MM_STATS_SHM_H
#define MM_STATS_SHM_H

#include <stdint.h>

/* The mapping is called "/memfd:" and this in /proc/PID/maps. */
#define STATS_NAME	"libslab-stats"
#define STATS_MAGIC	"libslab stats\n"

/*
 * One more whenever what is said here changes, or what a field means; not when
 * one moves or grows.
 */
#define STATS_VERSION	3

/* No structure is larger, so that a reader has room for any. */
#define STATS_STRUCT_MOST	1024

/* Structures that a reader copies. */
enum stats_struct {
	STATS_CACHE,		/* struct rn_cache */
	STATS_NODE,		/* struct cache_node */
	STATS_SLOT,		/* struct slot */
	STATS_SHEAF,		/* struct sheaf, without the objects */
	STATS_SLAB,		/* the first two struct page of a slab */
	STATS_ZONE,		/* struct zone, up to what is read of it */
	STATS_RUNS,		/* struct numa_runs */
	NR_STATS_STRUCTS
};

/* What it wants of them, by the structures in turn. */
enum stats_field {
	CACHE_NEXT, CACHE_NODE, CACHE_NAME, CACHE_REFCOUNT, CACHE_ROW,
	CACHE_SIZE, CACHE_OBJECTS, CACHE_PAGES,
	NODE_SLABS, NODE_FREE, NODE_BARN_OBJECTS, NODE_BARN_ALLOCS,
	NODE_BARN_FREES, NODE_ALLOC_SLOW, NODE_FREE_SLOW,
	NODE_MISS, NODE_FOREIGN, NODE_INTERLEAVE, NODE_OTHER,
	SLOT_MAIN, SLOT_SPARE, SLOT_ACTIVE,
	SHEAF_WORD, SHEAF_HELD, SHEAF_TAG,
	SLAB_PRIVATE, SLAB_FRESH, SLAB_HOLLOW,
	ZONE_HUGETLB, ZONE_THP, ZONE_SMALL,
	RUNS_ALLOCS, RUNS_MISS, RUNS_FOREIGN, RUNS_INTERLEAVE, RUNS_OTHER,
	NR_STATS_FIELDS
};

/* What SHEAF_TAG says of the objects taken from a sheaf: bits. */
#define STATS_TAG_OTHER		1U	/* by CPUs of other nodes */
#define STATS_TAG_INTERLEAVE	2U	/* by threads that interleave */

/**
 * struct stats_shrink - rn_shrink_all(), asked for from outside
 * @asked: number of the last request; written by who asks, and no more than
 *	@begun where nothing is asked for
 * @begun: of the last one that a thread of the process has begun with
 * @done: of the last one that is done
 *
 * Numbers count up and wrap.
 */
struct stats_shrink {
	uint32_t asked, begun, done;
};

/**
 * struct stats_page - where the statistics are; constant once it is there
 * @magic: STATS_MAGIC
 * @version: STATS_VERSION
 * @caches: address of the pointer to the first cache
 * @slots: address of the first slot of the first CPU
 * @nr_cpus: CPUs that have slots
 * @zones: address of the zone of the first node
 * @runs: likewise of its struct numa_runs
 * @shrink: address of the struct stats_shrink
 * @nr_nodes: length of the array at CACHE_NODE, and of these two
 * @zone_stride: bytes from one zone to the next
 * @runs_stride: likewise of struct numa_runs
 * @slot_shift: log2 of the bytes from one row's slot to the next
 * @slots_shift: likewise from one CPU's slots to the next
 * @row_node_shift: likewise of the rows from one node to the next
 * @sheaf_count_bits: of SHEAF_WORD, the low ones that are the objects in it
 * @bytes: size of each structure
 * @field: where each field is in its structure, and its bytes: little endian,
 *	but CACHE_NAME, which is text
 */
struct stats_page {
	char magic[16];
	uint32_t version;
	uint32_t nr_cpus, nr_nodes;
	uint32_t slot_shift, slots_shift, row_node_shift;
	uint32_t sheaf_count_bits;
	uint32_t zone_stride, runs_stride;
	uint32_t bytes[NR_STATS_STRUCTS];
	uint64_t caches, slots, zones, runs, shrink;
	struct {
		uint16_t at, bytes;
	} field[NR_STATS_FIELDS];
};

#endif /* MM_STATS_SHM_H */

/* SPDX-License-Identifier: MIT */
/*
 * Shrinkers: what a program can give up when memory is short. It says how much
 * that is, and gives up some of it when asked, as the kernel's caches do.
 *
 * See Documentation/mm/shrinker.rst.
 */
#ifndef RN_SHRINKER_H
#define RN_SHRINKER_H

#include <stddef.h>

#include <rn/gfp.h>

#ifdef __cplusplus
extern "C" {
#endif

struct rn_memcg;
struct rn_shrinker;

/* From count: there is nothing. From scan: nothing more can be done now. */
#define RN_SHRINK_EMPTY		(~0UL - 1)
#define RN_SHRINK_STOP		(~0UL)

/* The cost of making again what is given up, relative to others. */
#define RN_DEFAULT_SEEKS	2

/* Of the first request; each further one is for twice as much, 0 for all. */
#define RN_DEF_PRIORITY		12

/* It frees no more than sc->bytes, so it may be asked for all it has. */
#define RN_SHRINKER_EXACT	0x1u

/**
 * struct rn_shrink_control - one request to shrink
 * @flags: of the allocation that is short of memory
 * @nr_to_scan: how much to look at, in the shrinker's own units
 * @nr_scanned: how much was; scan may lower or raise it
 * @bytes: that are lacking; no more is asked for when scan, which may lower it
 *	by what it frees, has brought it to 0. SIZE_MAX where nobody knows
 * @memcg: the group that is to shrink, or NULL for the whole program
 * @floor: bytes that @memcg may keep, whatever others ask for
 * @priority: RN_DEF_PRIORITY at first, down to 0 for the last resort
 */
struct rn_shrink_control {
	rn_gfp_t flags;
	unsigned long nr_to_scan;
	unsigned long nr_scanned;
	size_t bytes;
	struct rn_memcg *memcg;
	size_t floor;
	unsigned int priority;
};

/**
 * struct rn_shrinker - a source of memory
 * @sz: sizeof(struct rn_shrinker)
 * @name: for rn_vmstat()
 * @count: how much could be given up, in units of its own; 0 or RN_SHRINK_EMPTY
 *	for nothing. Cheap
 * @scan: looks at up to sc->nr_to_scan of it and frees what it may; returns
 *	how much was freed, or RN_SHRINK_STOP
 * @seeks: RN_DEFAULT_SEEKS, or more for what is dearer to make again; 0: it is
 *	free, half of it goes each time
 * @flags: RN_SHRINKER_EXACT or 0
 * @memcg: the group whose memory it gives up, or NULL
 * @private_data: the program's
 *
 * Both functions may be called by any thread that allocates, by several at the
 * same time, and with whatever locks the program holds there: of those they
 * may only try to take one. They may free, and allocate, which is declined
 * rather than that anything is shrunk for it; not unregister a shrinker, not
 * throw or jump out, and not wait for what another thread does after an
 * allocation.
 */
struct rn_shrinker {
	size_t sz;
	const char *name;
	unsigned long (*count)(struct rn_shrinker *shrinker,
			       struct rn_shrink_control *sc);
	unsigned long (*scan)(struct rn_shrinker *shrinker,
			      struct rn_shrink_control *sc);
	unsigned int seeks;
	unsigned int flags;
	struct rn_memcg *memcg;
	void *private_data;
};

int rn_shrinker_register(struct rn_shrinker *shrinker);
int rn_shrinker_unregister(struct rn_shrinker *shrinker);

#ifdef __cplusplus
}
#endif

#endif /* RN_SHRINKER_H */

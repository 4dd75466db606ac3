/* SPDX-License-Identifier: MIT */
/*
 * Groups of memory with limits, as memory cgroups are, within a program: a tree
 * of them, each with a min, low, high and max. What is allocated in a group is
 * charged to it and to all above it, by the size really taken, and uncharged
 * when it is freed, by rn_free() or any other function that frees.
 *
 * See Documentation/mm/memcontrol.rst for what is assumed and guaranteed.
 */
#ifndef RN_MEMCG_H
#define RN_MEMCG_H

#include <stddef.h>

#include <rn/gfp.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A group: made by rn_memcg_create(). */
struct rn_memcg;

/* No limit, and no end to waiting. */
#define RN_MEMCG_NO_LIMIT	((size_t)-1)
#define RN_MEMCG_FOREVER	(~0U)

/**
 * enum rn_memcg_limit - the limits of a group, in bytes
 * @RN_MEMCG_MIN: up to here nobody outside of the group makes it give up
 *	memory; 0 at first
 * @RN_MEMCG_LOW: up to here only when nothing else is left; 0 at first
 * @RN_MEMCG_HIGH: above, who allocates makes the group shrink first; no limit
 *	at first
 * @RN_MEMCG_MAX: never exceeded; no limit at first
 */
enum rn_memcg_limit {
	RN_MEMCG_MIN,
	RN_MEMCG_LOW,
	RN_MEMCG_HIGH,
	RN_MEMCG_MAX,
};

/**
 * enum rn_memcg_end - what becomes of the memory of a group that is destroyed
 * @RN_MEMCG_REFUSE: with memory still charged the group stays: -EBUSY
 * @RN_MEMCG_REPARENT: it is the parent's from then on
 * @RN_MEMCG_FREE: all of it is freed; nobody may use any of it any more
 */
enum rn_memcg_end {
	RN_MEMCG_REFUSE,
	RN_MEMCG_REPARENT,
	RN_MEMCG_FREE,
};

/**
 * enum rn_memcg_event - what is counted of a group
 * @RN_MEMCG_EVENT_LOW: it was made to shrink below its low
 * @RN_MEMCG_EVENT_HIGH: it was to go above its high, and was made to shrink
 * @RN_MEMCG_EVENT_MAX: a charge did not fit below a max, its own or one above
 * @RN_MEMCG_EVENT_FAIL: a request was declined for that
 * @RN_MEMCG_EVENT_EVICTED: bytes that shrinkers gave up for a charge
 * @RN_MEMCG_EVENT_HELD: a request had to wait
 * @RN_MEMCG_EVENT_BORROWED: it went above its min while it had one
 */
enum rn_memcg_event {
	RN_MEMCG_EVENT_LOW,
	RN_MEMCG_EVENT_HIGH,
	RN_MEMCG_EVENT_MAX,
	RN_MEMCG_EVENT_FAIL,
	RN_MEMCG_EVENT_EVICTED,
	RN_MEMCG_EVENT_HELD,
	RN_MEMCG_EVENT_BORROWED,
	RN_MEMCG_NR_EVENTS
};

struct rn_memcg *rn_memcg_create(struct rn_memcg *parent, const char *name);
int rn_memcg_destroy(struct rn_memcg *memcg, enum rn_memcg_end how);

int rn_memcg_set(struct rn_memcg *memcg, enum rn_memcg_limit limit,
		 size_t bytes);
size_t rn_memcg_get(const struct rn_memcg *memcg, enum rn_memcg_limit limit);
int rn_memcg_set_timeout(struct rn_memcg *memcg, unsigned int ms);

/*
 * Of @flags, RN_NOWAIT declines at once, RN_RETRIES(n) after n rounds of
 * shrinking and trying again, and RN_NOFAIL never; else the request is held
 * until there is room, at most for the group's timeout.
 */
void *rn_memcg_alloc(struct rn_memcg *memcg, size_t size, rn_gfp_t flags);

/* The group that an object is charged to, or NULL. */
struct rn_memcg *rn_memcg_of(const void *p);

size_t rn_memcg_usage(struct rn_memcg *memcg);
size_t rn_memcg_peak(const struct rn_memcg *memcg);
unsigned long rn_memcg_event(const struct rn_memcg *memcg,
			     enum rn_memcg_event event);
const char *rn_memcg_name(const struct rn_memcg *memcg);

/* "name value" lines as the files of a control group have, or a JSON object. */
int rn_memcg_stat(struct rn_memcg *memcg, int fd);
int rn_memcg_json(struct rn_memcg *memcg, int fd);

#ifdef __cplusplus
}
#endif

#endif /* RN_MEMCG_H */

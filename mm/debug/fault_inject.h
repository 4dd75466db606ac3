/* SPDX-License-Identifier: MIT */
/*
 * Failures on purpose. Documentation/dev-tools/fault-injection.rst.
 */
#ifndef MM_FAULT_INJECT_H
#define MM_FAULT_INJECT_H

#include "mm_types.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#pragma GCC visibility push(hidden)

struct rn_cache;

enum fault_kind {
	FAULT_SLAB,
	FAULT_PAGES,
	FAULT_META,
	FAULT_MMAP,
	FAULT_MBIND,
	FAULT_POPULATE,
	FAULT_THREAD,
	NR_FAULT_KINDS
};

#define FAULT_NAME_LEN	64
#define FAULT_PATH_LEN	256

/**
 * struct fault_stack - the code of a function
 * @name: as it was said, "" for none
 * @from: where it begins
 * @to: where it ends; 0: not found, or not yet
 */
struct fault_stack {
	char name[FAULT_NAME_LEN];
	uintptr_t from, to;
};

/**
 * struct fault_attr - which calls fail
 * @probability: percent
 * @interval: only each so manieth
 * @times: so many at most, -1 for any number
 * @space: so much first
 * @nth: only that one, unless 0
 * @seed: of chance
 * @verbose: 1 a line, 2 and the stack
 * @cache_filter: only caches with RN_FAILSLAB
 * @task_filter: only threads that want it
 * @cache: only caches of that name, "" for all
 * @require: only below that function
 * @reject: not below that one
 * @once: a file of places, "" for none; only where they are not in it
 * @places: the file, or NULL
 * @calls: that no filter kept out
 * @tried: of these, those behind @space
 * @failed: of these, those that failed
 */
struct fault_attr {
	long probability, interval, times, space, nth, seed;
	long verbose, cache_filter, task_filter;
	char cache[FAULT_NAME_LEN];
	struct fault_stack require, reject;
	char once[FAULT_PATH_LEN];
	u64 *places;
	u64 calls, tried, failed;
};

/* --- fault_attr.c: what a text says --- */

/* NULL, or the part of @text that cannot be understood. */
const char *fault_attr_parse(struct fault_attr *attr, const char *text);
/* Where the functions are that are named; false: there is none. */
bool fault_stack_find(struct fault_stack *stack);

/* --- fault_inject.c --- */

extern const char *const fault_names[NR_FAULT_KINDS];
extern const char *const fault_options[NR_FAULT_KINDS];

extern unsigned int faults_armed;	/* a bit for each kind */

void fault_inject_init(void);	/* what the options say */
/* Does this call fail, of @size as the kind counts it? Then with errno. */
bool fault_is_due(enum fault_kind kind, size_t size);
bool failslab_is_due(const struct rn_cache *c, size_t size, rn_gfp_t flags,
		     const void *caller);
void fault_say_counts(void);	/* a line for each kind, unless verbose=0 */

static inline bool fault_inject(enum fault_kind kind, size_t size)
{
	return unlikely(READ_ONCE(faults_armed) & 1U << kind) &&
		fault_is_due(kind, size);
}

/* An object of @c, or a large one where that is NULL. */
static inline bool failslab(const struct rn_cache *c, size_t size,
			    rn_gfp_t flags, const void *caller)
{
	return unlikely(READ_ONCE(faults_armed) & 1U << FAULT_SLAB) &&
		failslab_is_due(c, size, flags, caller);
}

static inline bool fail_page_alloc(u32 nr, rn_gfp_t flags)
{
	return !(flags & RN_NOFAIL) && fault_inject(FAULT_PAGES, nr);
}

/* The mixing of splitmix64 (Steele, Lea, Flood): all bits depend on all. */
static inline u64 fault_hash(u64 x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

/* --- fault_places.c: which have failed --- */

int fault_places_open(struct fault_attr *attr);	/* 0 or -errno */
void fault_places_close(const struct fault_attr *attr);
/* Is that place not in the file yet? Then it is now. */
bool fault_place_add(const struct fault_attr *attr, enum fault_kind kind,
		     const void *const *frames, unsigned int nr);

/* --- fault_check.c: RN_FAULT_CHECK --- */

void fault_check_init(void);

/* --- memmap.c --- */

/* Pages in use that are of no slab and no run; on their way, too. */
u32 pages_unowned(void);

#pragma GCC visibility pop

#endif /* MM_FAULT_INJECT_H */

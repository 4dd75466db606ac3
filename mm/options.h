/* SPDX-License-Identifier: MIT */
/*
 * The RN_* environment variables, read once by init (mm/options.c). Those that
 * are for debugging are read in mm/debug/options.c.
 */
#ifndef MM_OPTIONS_H
#define MM_OPTIONS_H

#include "mm_types.h"

#include <stdbool.h>
#include <stddef.h>

#pragma GCC visibility push(hidden)

enum percpu_option { PERCPU_CPU, PERCPU_CID, PERCPU_FALLBACK };

#define MAX_RUNGS 4

/* A rung of the ladder as written in RN_LADDER. */
enum rung { RUNG_END, RUNG_HUGETLB, RUNG_THP, RUNG_OTHER_NODE, RUNG_SMALL };

enum fault_check {
	FAULT_CHECK_OFF,
	FAULT_CHECK_ALL,
	FAULT_CHECK_UNOWNED,	/* all but whose a page is */
};

enum sanitize {
	SANITIZE_OFF,
	SANITIZE_DEFAULT,
	SANITIZE_SLAB,		/* objects lie in slabs */
	SANITIZE_MALLOC,	/* or are chunks of AddressSanitizer's malloc() */
};

/**
 * struct options - what the RN_* variables say
 * @ladder: the rungs in the order to be tried, ended by RUNG_END
 * @reserve: RN_RESERVE, bytes to bring up at the start
 * @reservation: RN_RESERVATION, bytes of address space, 0 for the default
 * @huge_shift: RN_HUGEPAGESIZE as log2; 21 unless said otherwise
 * @small_first: bytes of a node that come up in base pages, before the ladder
 * @percpu: RN_PERCPU
 * @percpu_budget: RN_PERCPU_BUDGET, bytes, 0 for the default
 * @fork_copy: RN_FORK=copy: a child gets a copy of what lies in hugetlb pages
 * @slabinfo: RN_SLABINFO: where the dump goes at exit, NULL for nowhere
 * @slabinfo_signal: RN_SLABINFO_SIGNAL: the signal that also asks for it, or 0
 * @vmstat: RN_VMSTAT: where rn_vmstat() goes at exit, NULL for nowhere
 * @memmap: RN_MEMMAP: likewise rn_memmap()
 * @stats_shm: RN_STATS_SHM
 * @decay_ms: RN_DECAY_MS, -1 for never
 * @background: RN_BACKGROUND
 * @limit_soft: RN_LIMIT, bytes, 0 for none
 * @limit_hard: likewise
 * @slab_debug: RN_SLAB_DEBUG, NULL for none
 * @slab_debug_continue: RN_SLAB_DEBUG_ACTION=continue
 * @kfence: RN_KFENCE; off where its pool cannot be had
 * @kfence_interval: RN_KFENCE_INTERVAL, ms
 * @kfence_objects: RN_KFENCE_OBJECTS
 * @hardened: RN_HARDENED
 * @freelist_random: RN_FREELIST_RANDOM, or implied by @hardened
 * @init_on_alloc: RN_INIT_ON_ALLOC
 * @init_on_free: RN_INIT_ON_FREE
 * @random_caches: RN_RANDOM_KMALLOC_CACHES
 * @profile: RN_PROFILE: where the heap profile goes at exit, or NULL
 * @profile_signal: RN_PROFILE_SIGNAL: the signal that also asks for it, or 0
 * @profile_interval: RN_PROFILE_INTERVAL, bytes, 0 for the default
 * @leaks: RN_LEAKS
 * @leaks_ignore: RN_LEAKS_IGNORE, or NULL
 * @leaks_exitcode: RN_LEAKS_EXITCODE, or 0
 * @fault_check: RN_FAULT_CHECK
 * @sanitizer: RN_SANITIZER
 * @quarantine: RN_QUARANTINE, bytes
 */
struct options {
	enum rung ladder[MAX_RUNGS + 1];
	size_t reserve;
	size_t reservation;
	unsigned int huge_shift;
	size_t small_first;
	enum percpu_option percpu;
	size_t percpu_budget;
	bool fork_copy;
	const char *slabinfo;
	int slabinfo_signal;
	const char *vmstat;
	const char *memmap;
	bool stats_shm;
	int decay_ms;
	bool background;
	size_t limit_soft;
	size_t limit_hard;
	const char *slab_debug;
	bool slab_debug_continue;
	bool kfence;
	unsigned int kfence_interval;
	unsigned int kfence_objects;
	bool hardened;
	bool freelist_random;
	bool init_on_alloc;
	bool init_on_free;
	bool random_caches;
	const char *profile;
	int profile_signal;
	size_t profile_interval;
	bool leaks;
	const char *leaks_ignore;
	int leaks_exitcode;
	enum fault_check fault_check;
	enum sanitize sanitizer;
	size_t quarantine;
};

/* Unless said otherwise. */
#define DECAY_MS	10000
#define QUARANTINE	(16UL << 20)

extern struct options options;

void options_read(void);

/* For who reads them: nothing changes where the variable is not there. */
void read_switch(const char *name, bool *where);	/* 0 or 1 */
void read_size(const char *name, size_t *where);	/* 512M, not 0 */
void read_signal(const char *name, int *where);		/* USR2 or a number */
void read_text(const char *name, const char **where);	/* a copy */
void read_debug_options(void);

#pragma GCC visibility pop

#endif /* MM_OPTIONS_H */

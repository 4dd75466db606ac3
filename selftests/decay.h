/* SPDX-License-Identifier: MIT */
/*
 * Memory that is used and freed, and what is left of it.
 */
#ifndef SELFTESTS_DECAY_H
#define SELFTESTS_DECAY_H

#include "helpers.h"

#include <rn/slab.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIECE	1000
#define PIECES	20000

static void *pieces[PIECES];

static inline void take_pieces(void)
{
	for (int i = 0; i < PIECES; i++) {
		pieces[i] = rn_alloc(PIECE, 0);
		ck_assert_ptr_nonnull(pieces[i]);
		memset(pieces[i], i, PIECE);
	}
}

static inline void free_pieces(void)
{
	for (int i = 0; i < PIECES; i++)
		rn_free(pieces[i]);
}

/* One that goes beyond the slot. */
static inline void slow_path(void)
{
	rn_free(rn_alloc(200000, 0));
}

/* Pages of 4 KiB, so that what is resident is what was touched. */
static inline void set_options(const char *decay_ms)
{
	setenv("RN_LADDER", "small", 1);
	if (decay_ms)
		setenv("RN_DECAY_MS", decay_ms, 1);
	alarm(60);
}

/*
 * KiB of the heap: as the kernel counts them, or where a sanitizer's shadow is
 * memory as well, as the library does.
 */
static inline long resident(void)
{
	if (!SANITIZED)
		return status_value("RssAnon");
	return vmstat_nodes("pageblocks_small") * 2048 -
		vmstat_nodes("released_kbytes") - vmstat_nodes("hollow_kbytes");
}

static long before_use;

/* KiB that are resident above what there was at first. */
static inline long left(void)
{
	return resident() - before_use;
}

/* What the frees have left of a peak of 20 MB. */
static inline long use_some(void)
{
	slow_path();
	before_use = resident();
	take_pieces();
	free_pieces();
	return left();
}

#endif /* SELFTESTS_DECAY_H */

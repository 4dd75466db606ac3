/* SPDX-License-Identifier: MIT */
/*
 * What tests of khugepaged share: blocks that came up in base pages, since no
 * huge page was to be had, which is arranged by prctl().
 */
#ifndef SELFTESTS_KHUGEPAGED_H
#define SELFTESTS_KHUGEPAGED_H

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "helpers.h"
#include "zone_census.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

#define BLOCKS	4U
#define PART	64U		/* pages of a run */
#define PARTS	(PAGEBLOCK_PAGES / PART)

static u32 part[BLOCKS * PARTS];

static inline void allow_thp(bool allow)
{
	ck_assert_int_eq(prctl(PR_SET_THP_DISABLE, !allow, 0, 0, 0), 0);
}

/* Where this holds a block that is dense can be collapsed here. */
static inline const char *cannot_collapse(void)
{
	char *p = aligned_alloc(PAGEBLOCK_BYTES, PAGEBLOCK_BYTES);
	bool can;

	memset(p, 1, PAGEBLOCK_BYTES);
	can = !emulator() && thp_enabled() &&
		!madvise(p, PAGEBLOCK_BYTES, MADV_HUGEPAGE) &&
		!madvise(p, PAGEBLOCK_BYTES, MADV_COLLAPSE);
	free(p);
	return can ? NULL : "no MADV_COLLAPSE, or no huge page";
}

#define NEED_COLLAPSE() do {						\
	const char *why = cannot_collapse();				\
									\
	if (why) {							\
		skip_part(__func__, why);				\
		return;							\
	}								\
} while (0)

/* Blocks that came up in base pages, all in use, and touched if @touch. */
static inline struct zone *dense_blocks(bool touch)
{
	struct zone *z;

	allow_thp(false);
	start("thp,small");
	z = my_zone();
	for (u32 i = 0; i < BLOCKS * PARTS; i++) {
		part[i] = pages_alloc(PART, 0, 0, NULL);
		ck_assert_uint_ne(part[i], NO_PFN);
		if (touch)
			memset(pfn_to_ptr(part[i]), i + 1, PART * PAGE_BYTES);
	}
	ck_assert_uint_eq(z->nr_up[BACKING_SMALL], BLOCKS);
	ck_assert_uint_eq(thp_bytes_in(z->first, z->high), 0);
	allow_thp(true);
	return z;
}

static inline void check_contents(void)
{
	for (u32 i = 0; i < BLOCKS * PARTS; i++) {
		const unsigned char *p = pfn_to_ptr(part[i]);

		for (size_t at = 0; at < PART * PAGE_BYTES; at += 1024)
			ck_assert_uint_eq(p[at], (i + 1) % 256);
	}
}

#endif /* SELFTESTS_KHUGEPAGED_H */

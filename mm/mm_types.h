/* SPDX-License-Identifier: MIT */
/*
 * The types of floor 1, pages, and the page descriptor that floor 2 shares.
 *
 *   address = hot.base + (pfn << PAGE_SHIFT)
 *   node    = pfn >> mem.stripe_order
 *   block   = pfn >> PAGEBLOCK_ORDER
 */
#ifndef MM_TYPES_H
#define MM_TYPES_H

#include <linux/compiler.h>
#include <rn/gfp.h>
#include <rn/pages.h>
#include <assert.h>

#define PAGE_SHIFT		RN_PAGE_SHIFT
#define PAGE_BYTES		(1UL << PAGE_SHIFT)
#define PAGEBLOCK_ORDER		9
#define PAGEBLOCK_PAGES		(1U << PAGEBLOCK_ORDER)
#define PAGEBLOCK_SHIFT		(PAGE_SHIFT + PAGEBLOCK_ORDER)
#define PAGEBLOCK_BYTES		(1UL << PAGEBLOCK_SHIFT)

/* 32 bits of page number: a reservation of at most 16 TiB. */
#define MEM_SHIFT_MAX		(32 + PAGE_SHIFT)
#define MAX_NODES		64
#define NO_PFN			((u32)-1)

enum page_type {
	PAGE_NONE,		/* free, or not the head of anything */
	PAGE_SLAB,		/* head page of a slab */
	PAGE_LARGE,		/* head page of a run given to a user */
	PAGE_HELD,		/* of one that is freed and held back */
};

/* Where a slab is; who may change its fields follows from it (mm/slub.c). */
enum slab_state {
	SLAB_FULL,		/* on no list, all objects are out */
	SLAB_PARTIAL,		/* on a partial list of its node */
	SLAB_EMPTY,		/* on the list of empty slabs of its node */
	SLAB_ACTIVE,		/* attached to a CPU, or in a refill's hands */
};

/**
 * struct page - descriptor of a 4 KiB page, out of line
 *
 * Only the head page of a run has meaning. For a slab:
 *   objects out = objects - nr_free - nr_private - (objects - fresh)
 * and, unless it is SLAB_ACTIVE, nr_private == 0.
 *
 * @type: enum page_type
 * @next: pfn of the next slab on the list, or NO_PFN; under list_lock
 * @prev: the one before
 * @freelist: index of the first object on the shared freelist; under list_lock
 * @nr_free: objects on it; under list_lock
 * @private: index of the first object on the freelist of the slab's owner;
 *	written by the owner
 * @nr_private: objects on it; written by the owner
 * @fresh: objects from here on were never handed out; written by the owner
 * @row: of the cache and node, as in the row map
 * @state: enum slab_state; under list_lock
 * @bucket: the partial list it is on; under list_lock
 * @nr_pages: length of a PAGE_LARGE run, without what a sanitizer forbids
 * @counter: id of what it is charged to, or 0
 * @owner: row of the cache whose object it is, a sample, or 0
 *	(mm/debug/profile.c)
 * @mark: where the sample is counted; 0: it is none
 * @asked: bytes that were asked for, of a sample or under a sanitizer
 * @nr_hollow: of the second page of a slab: objects that lie on hollow pages, and
 *	on no freelist; written by the slab's owner
 * @seen: likewise, the objects that were out when it was looked at for pages to
 *	be hollow, or NOT_SEEN; under list_lock
 * @key: in every link of the slab; outlives it, so that the next one differs
 * @hollow: of the second page of a slab: bit i: its page i is hollow, that is,
 *	has no memory, and all that lies on it is free; likewise
 */
struct page {
	u8 type;
	u8 state;
	u8 bucket;
	u8 order;
	union {
		struct {
			u16 freelist, nr_free;
			u16 private, nr_private;
			u16 fresh, row;
			u32 next, prev;
		};
		struct {
			u32 nr_pages;
			u16 counter, owner;
			u32 mark;
			u64 asked __attribute__((packed, aligned(4)));
		};
		struct {
			u16 nr_hollow, seen;
		};
	};
	union {
		u64 key;
		u64 hollow;
	};
};
static_assert(sizeof(struct page) == 32, "a page descriptor is 32 bytes");

/* The rungs of the ladder: what a pageblock is backed by. */
enum backing {
	BACKING_NONE,		/* address space only */
	BACKING_HUGETLB,
	BACKING_THP,
	BACKING_SMALL,		/* base pages */
	NR_BACKINGS
};

/**
 * struct pageblock - 2 MiB of address space
 * @free: bit i set: page i is free. A free block of order k is 2^k set bits,
 *	aligned; so neighbours merge by themselves
 * @released: bit i set: page i is free, and the system has its memory; the next
 *	touch finds zeroes
 * @next: block number of the next one on the same list, or NO_PFN; under
 *	the zone's lock, as all that follows
 * @prev: the one before
 * @nr_free: bits set in @free
 * @nr_released: bits set in @released
 * @list: list that it is on, or -1
 * @report: list of those with something to release that it is on, or -1
 * @backing: enum backing
 * @huge_shift: log2 of the size of the huge page under it (hugetlb only)
 * @dirty: some page of it was freed since the block came up, so that its free
 *	pages may not be zero
 * @first: it begins a mapping; those of a run that is not are one mapping
 * @lazy: nothing of it was touched when it came up
 * @advice: enum advice: what the kernel was told of huge pages in it
 * @early: came up in base pages by options.small_first, and was never full
 * @broken: pages of it were released, so that no huge page is under it
 * @whole: its memory goes back to the system as a whole only
 * @unit_idle: of the first one of a hugetlb page, how many of its blocks are
 *	idle
 * @report_next: the next one on its list of @report, which is a ring
 * @report_prev: the one before
 * @nr_blank: of the first one of a blank run, its length
 * @newer: of the first one of a warm run, that of the next by age, or NO_PFN
 * @older: likewise
 * @warmth: likewise, what each block of it counts for; 0: nothing is resident
 * @up: it is one of those that nr_up of the zone counts, and not lazy
 * @looked: what mm/khugepaged.c found when it looked last
 * @collapsing: it is being collapsed; cleared by what makes that void
 * @backoff: the kernel would not, so many times in a row
 * @skip: so many looks until it is tried again
 * @nr_hollow: pages in use that have no memory
 * @absent: released pages of it were taken, and who took them has not seen it
 *	yet (mm/repopulate.c)
 */
struct pageblock {
	u64 free[PAGEBLOCK_PAGES / 64];
	u64 released[PAGEBLOCK_PAGES / 64];
	u32 next, prev;
	u16 nr_free, nr_released;
	signed char list, report;
	u8 backing;
	u8 huge_shift;
	u8 dirty;
	u8 first;
	u8 lazy;
	u8 advice;
	u8 early;
	u8 broken;
	u8 whole;
	u16 unit_idle;
	u32 report_next, report_prev;
	u32 nr_blank;
	u32 newer, older;
	u8 warmth;
	u8 up;
	u8 looked;
	u8 collapsing;
	u8 backoff;
	u16 skip;
	u16 nr_hollow;
	u8 absent;
	u8 spare;
};
static_assert(sizeof(struct pageblock) == 192, "three cache lines");

#endif /* MM_TYPES_H */

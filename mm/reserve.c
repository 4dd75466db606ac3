// SPDX-License-Identifier: MIT
/*
 * Memory brought up beforehand, whole: a program that reserves what it needs
 * fails at its start or not at all.
 *
 * Nothing is published before all of it is there. Until then the extents that
 * have come up hang together by the next field of their first pageblock.
 *
 * Locks: zone.lock to publish and to count.
 */
#include "internal.h"
#include "zone.h"

#include <stdlib.h>
#include <string.h>

#define VALID_FLAGS (RN_RESERVE_HUGETLB | RN_RESERVE_THISNODE | 0xffff0000U)

/**
 * struct reserve - a reservation on its way
 * @flags: RN_RESERVE_*
 * @shift: log2 of the hugetlb page to use; 0 for none
 * @left: pageblocks still to come
 * @down: pageblocks that came from a lower rung than hugetlb
 * @why: what kept hugetlb from giving them
 * @extents: first pageblock of the extent that came last, or NO_BLOCK
 */
struct reserve {
	unsigned int flags;
	unsigned int shift;
	u32 left;
	u32 down;
	enum step why;
	u32 extents;
};

/* The length of an extent is kept in its second link. */
static void extent_push(struct reserve *r, u32 block, u32 nr)
{
	mem.blocks[block].next = r->extents;
	mem.blocks[block].prev = nr;
	r->extents = block;
	r->left -= min(r->left, nr);
}

static u32 extent_pop(struct reserve *r, u32 *nr)
{
	u32 block = r->extents;
	struct pageblock *b;

	if (block == NO_BLOCK)
		return NO_BLOCK;
	b = &mem.blocks[block];
	r->extents = b->next;
	*nr = b->prev;
	b->next = b->prev = NO_BLOCK;
	return block;
}

static struct zone *block_zone(u32 block)
{
	return pfn_zone(block << PAGEBLOCK_ORDER);
}

/* As much as @z has of one rung, in as few extents as it takes. */
static enum step reserve_rung(struct reserve *r, struct zone *z,
			      enum backing backing)
{
	struct bringup how = { .backing = backing, .populate = true };
	u32 block, nr;

	if (backing == BACKING_HUGETLB)
		how.huge_shift = r->shift;
	while (r->left) {
		block = blocks_bring_up(z, &how, 1, r->left, &nr);
		if (block == NO_BLOCK)
			return how.step;
		if (backing != BACKING_HUGETLB)
			r->down += nr;
		extent_push(r, block, nr);
	}
	return STEP_OK;
}

static u64 available_bytes(void)
{
	char buf[2048], *at;

	if (!read_small_file("/proc/meminfo", buf, sizeof(buf)))
		return UINT64_MAX;
	at = strstr(buf, "MemAvailable:");
	return at ? strtoull(at + strlen("MemAvailable:"), NULL, 10) << 10 :
		UINT64_MAX;
}

/*
 * Populating what is not there would not fail but wake the OOM killer, so what
 * the system does not claim to have is not tried.
 */
static void reserve_plain(struct reserve *r, struct zone *z)
{
	if ((u64)r->left << PAGEBLOCK_SHIFT > available_bytes()) {
		step_count(z, BACKING_SMALL, STEP_NO_MEMORY);
		return;
	}
	for (const enum rung *rung = options.ladder; *rung != RUNG_END; rung++) {
		if (*rung == RUNG_THP)
			reserve_rung(r, z, BACKING_THP);
		else if (*rung == RUNG_SMALL)
			reserve_rung(r, z, BACKING_SMALL);
	}
}

static void reserve_hugetlb(struct reserve *r, struct zone *z)
{
	enum step step = STEP_UNSUPPORTED;

	if (r->shift)
		step = reserve_rung(r, z, BACKING_HUGETLB);
	else
		step_count(z, BACKING_HUGETLB, step);
	if (step && !r->why)
		r->why = step;
}

/* Hugetlb wherever it may be, before anything else anywhere. */
static void reserve_all(struct reserve *r, int node)
{
	bool hugetlb = rung_in_ladder(RUNG_HUGETLB) ||
		r->flags & RN_RESERVE_HUGETLB;
	bool here = r->flags & RN_RESERVE_THISNODE;
	int n;

	for (unsigned int i = 0; hugetlb && r->left; i++) {
		n = node_fallback(node, i);
		if (n < 0 || (n != node && here))
			break;
		reserve_hugetlb(r, &zones[n]);
	}
	if (r->flags & RN_RESERVE_HUGETLB)
		return;
	for (unsigned int i = 0; r->left; i++) {
		n = node_fallback(node, i);
		if (n < 0 || (n != node && here))
			break;
		reserve_plain(r, &zones[n]);
	}
}

static void reserve_publish(struct reserve *r)
{
	u32 block, nr;

	while ((block = extent_pop(r, &nr)) != NO_BLOCK) {
		struct zone *z = block_zone(block);

		lock(&z->lock);
		blocks_publish(z, block, nr);
		z->reserved += nr;
		unlock(&z->lock);
	}
}

static void reserve_give_up(struct reserve *r)
{
	u32 block, nr;

	while ((block = extent_pop(r, &nr)) != NO_BLOCK)
		blocks_put_down(block_zone(block), block, nr);
}

/* As much as is to come; what is free goes first where it is in the way. */
static bool fits_in_limit(size_t blocks)
{
	u64 bytes = (u64)blocks << PAGEBLOCK_SHIFT;

	if (limit_left() < bytes)
		reclaim_idle(WHY_LIMIT);
	if (limit_left() >= bytes)
		return true;
	report("a reserve of %zu MiB is more than the limit (RN_LIMIT) leaves, "
	       "%zu MiB", blocks * 2, (size_t)(limit_left() >> 20));
	return false;
}

int pages_reserve(size_t bytes, int node, unsigned int flags)
{
	size_t blocks = (bytes >> PAGEBLOCK_SHIFT) +
		!!(bytes & (PAGEBLOCK_BYTES - 1));
	struct reserve r = { .flags = flags, .extents = NO_BLOCK };

	r.shift = flags >> 16 ? flags >> 16 : hugetlb_default_shift();
	if (flags & ~VALID_FLAGS || (flags >> 16 && !hugetlb_pool(r.shift)))
		return -EINVAL;
	if (node == RN_NO_NODE)
		node = numa_policy_node();
	if (node < 0 || node >= nr_node_ids())
		return -EINVAL;
	if (blocks > mem.bytes >> PAGEBLOCK_SHIFT)
		return -ENOMEM;
	if (!fits_in_limit(blocks))
		return -ENOMEM;
	r.left = blocks;
	reserve_all(&r, node);
	if (r.left) {
		reserve_give_up(&r);
		return -ENOMEM;
	}
	/* A reserve is for hugetlb where the ladder has it: say what is not. */
	if (r.down && r.why)
		report("reserved %zu MiB, but %zu MiB of it not in hugetlb "
		       "pages: %s", blocks * 2, (size_t)r.down * 2,
		       step_name(r.why));
	reserve_publish(&r);
	return 0;
}

/**
 * rn_reserve() - bring memory up beforehand, and whole
 * @bytes: how much; rounded up to 2 MiB, or to the hugetlb page's size
 * @node: NUMA node, or RN_NO_NODE for the local one
 * @flags: RN_RESERVE_*; 0 allows the whole ladder and all nodes
 *
 * All of it is populated when the call returns, whatever it is backed by, and
 * stays with the process, through rn_shrink_all() too. If some of it is not
 * backed by hugetlb although the ladder has it, one line on stderr says so, and
 * so it does where a limit (RN_LIMIT, rn_set_limit()) leaves less than that.
 *
 * Context: any thread, no lock of the library held; not from a signal handler.
 * Return: 0; -EINVAL for a bad node, flag, or size of page; -ENOMEM where not
 * all could be had: then nothing is kept.
 */
RN_API int rn_reserve(size_t bytes, int node, unsigned int flags)
{
	unsigned int ticket;
	int err;

	mm_init();
	if (mm_init_error())
		return -mm_init_error();
	ticket = gate_enter();
	err = pages_reserve(bytes, node, flags);
	gate_exit(ticket);
	return err;
}

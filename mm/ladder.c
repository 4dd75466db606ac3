// SPDX-License-Identifier: MIT
/*
 * The ladder: where new pageblocks come from. In the order of RN_LADDER, by
 * default
 *   hugetlb   hugetlb pages of the wanted node
 *   thp       transparent huge pages there
 *   other     hugetlb pages of the next nodes, nearest first
 *   small     base pages of the wanted node
 * and at last, unless RN_THISNODE, whatever the next nodes have or can bring
 * up by the rungs thp and small. RN_HUGETLB leaves hugetlb and other.
 *
 * Every rung that could not be taken is counted with the reason, in the zone
 * that was asked.
 */
#define _GNU_SOURCE
#include "internal.h"
#include "zone.h"

#include <sched.h>
#include <sys/mman.h>

/* One bring-up in 256th parts of what is up: few mappings, little overshoot. */
#define EXTENT_SHIFT	8
#define EXTENT_MAX	256U

static const char *const rung_names[NR_BACKINGS] = {
	[BACKING_HUGETLB] = "hugetlb",
	[BACKING_THP] = "thp",
	[BACKING_SMALL] = "small",
};

static const char *const step_names[NR_STEPS] = {
	[STEP_POOL_EMPTY] = "pool_empty",
	[STEP_UNSUPPORTED] = "unsupported",
	[STEP_POPULATE] = "populate_failed",
	[STEP_WRONG_NODE] = "wrong_node",
	[STEP_NOT_HUGE] = "not_huge",
	[STEP_NO_ADDRESS] = "no_address",
	[STEP_NO_MEMORY] = "no_memory",
	[STEP_FORK] = "kept_for_fork",
	[STEP_LOST] = "address_lost",
	[STEP_LIMIT] = "limit",
};

static u64 exhausted;	/* requests that no rung could meet */
static bool told;	/* that RN_HUGETLB could not be met */

void step_count(struct zone *z, enum backing backing, enum step step)
{
	stat_inc(&z->steps[backing][step]);
}

const char *step_name(enum step step)
{
	return step_names[step] ? step_names[step] : "ok";
}

bool rung_in_ladder(enum rung rung)
{
	for (const enum rung *r = options.ladder; *r != RUNG_END; r++)
		if (*r == rung)
			return true;
	return false;
}

static enum step try_bring_up(struct zone *z, const struct bringup *how,
			      u32 nr, u32 *block)
{
	struct bringup how_here = *how;
	enum step step;

	lock(&z->lock);
	*block = how->backing == BACKING_HUGETLB || how->lazy ? NO_BLOCK :
		blank_take(z, nr);
	how_here.mapped = *block != NO_BLOCK;
	if (*block == NO_BLOCK)
		*block = blocks_claim(z, nr, bringup_unit(how));
	unlock(&z->lock);
	if (*block == NO_BLOCK)
		return STEP_NO_ADDRESS;
	step = blocks_online(*block, nr, z->node, &how_here);
	if (step && step != STEP_LOST) {
		lock(&z->lock);
		/* Then nothing has been done to them. */
		if (how_here.mapped &&
		    (step == STEP_UNSUPPORTED || step == STEP_LIMIT))
			blank_put(z, *block, nr, 0);
		else
			blocks_unclaim(z, *block, nr);
		unlock(&z->lock);
	}
	return step;
}

/* Fewer might do: the pool, the stripe or the limit is nearly used up. */
static bool half_may_do(const struct bringup *how)
{
	return how->backing == BACKING_HUGETLB ||
		how->step == STEP_NO_ADDRESS || how->step == STEP_LIMIT;
}

u32 blocks_bring_up(struct zone *z, struct bringup *how, u32 least, u32 most,
		    u32 *nr)
{
	u32 unit = bringup_unit(how), block;

	least = ALIGN(least, unit);
	for (*nr = max(ALIGN(most, unit), least); ; ) {
		how->step = try_bring_up(z, how, *nr, &block);
		if (how->step == STEP_OK)
			return block;
		if (*nr == least || !half_may_do(how))
			break;
		*nr = max(least, ALIGN_DOWN(*nr / 2, unit));
	}
	step_count(z, how->backing, how->step);
	return NO_BLOCK;
}

void blocks_put_down(struct zone *z, u32 block, u32 nr)
{
	/* If it cannot be unmapped, the address stays claimed, and counts. */
	if (!blocks_offline(block, nr))
		return;
	limit_uncharge_blocks(nr);
	lock(&z->lock);
	blocks_unclaim(z, block, nr);
	unlock(&z->lock);
}

/* For a run of @nr pages. */
static struct bringup how_to(enum backing backing, u32 nr)
{
	bool hugetlb = backing == BACKING_HUGETLB;

	return (struct bringup){
		.backing = backing,
		.huge_shift = hugetlb ? hugetlb_default_shift() : 0,
		.lazy = !hugetlb && run_is_lazy(nr),
	};
}

static enum backing rung_backing(enum rung rung)
{
	switch (rung) {
	case RUNG_HUGETLB:	return BACKING_HUGETLB;
	case RUNG_THP:		return BACKING_THP;
	case RUNG_SMALL:	return BACKING_SMALL;
	default:		return BACKING_NONE;
	}
}

static const enum rung hugetlb_only[] = {
	RUNG_HUGETLB, RUNG_OTHER_NODE, RUNG_END
};

static const enum rung *ladder_for(rn_gfp_t flags)
{
	return flags & RN_HUGETLB ? hugetlb_only : options.ladder;
}

bool blocks_bring_up_at(struct zone *z, u32 block, u32 nr, u32 run,
			rn_gfp_t flags)
{
	for (const enum rung *r = ladder_for(flags); *r != RUNG_END; r++) {
		enum backing backing = rung_backing(*r);
		struct bringup how = how_to(backing, run);

		if (backing == BACKING_NONE || bringup_unit(&how) > 1)
			continue;
		how.step = blocks_online(block, nr, z->node, &how);
		if (how.step == STEP_OK)
			return true;
		step_count(z, backing, how.step);
		if (how.step == STEP_LOST)
			return false;
	}
	lock(&z->lock);
	blocks_unclaim(z, block, nr);
	unlock(&z->lock);
	return false;
}

/* How many blocks to bring up when @least are needed. */
static u32 extent(struct zone *z, u32 least, bool lazy)
{
	u32 most = least;

	lock(&z->lock);
	/* One thread brings up more than it needs; others then need less. */
	if (!z->bringing++ && !lazy)
		most = min(zone_nr_up(z) >> EXTENT_SHIFT, EXTENT_MAX);
	unlock(&z->lock);
	return max(most, least);
}

/* The pages wanted are taken as the new blocks are published. */
static u32 grow_by(struct zone *z, struct bringup *how, u32 nr, bool *zeroed)
{
	u32 least = DIV_ROUND_UP(nr, PAGEBLOCK_PAGES), got, block;
	u32 most = extent(z, least, how->lazy || how->early);
	u32 pfn = NO_PFN;
	bool full = false;

	block = blocks_bring_up(z, how, least, most, &got);
	lock(&z->lock);
	z->bringing--;
	if (block != NO_BLOCK) {
		if (how->lazy)
			warm_missed(z, got);
		else if (how->backing == BACKING_HUGETLB)
			workingset_refault(&z->huge_set,
					   got << PAGEBLOCK_ORDER);
		blocks_publish(z, block, got);
		pfn = pages_take_run(z, block, nr, zeroed);
		blocks_settle_charge(block, got);
		full = early_is_full(block);
	}
	unlock(&z->lock);
	if (full)
		early_collapse(z, block);
	return pfn;
}

/* New blocks of one rung. */
static u32 grow(struct zone *z, enum backing backing, u32 nr, bool *zeroed)
{
	struct bringup how = how_to(backing, nr);

	if (backing == BACKING_HUGETLB && !how.huge_shift) {
		step_count(z, backing, STEP_UNSUPPORTED);
		return NO_PFN;
	}
	return grow_by(z, &how, nr, zeroed);
}

/* Below options.small_first: a block of base pages, before any rung. */
static u32 grow_early(struct zone *z, u32 nr, rn_gfp_t flags, bool *zeroed)
{
	struct bringup how = { .backing = BACKING_SMALL, .early = true };

	if (!early_wanted(z, nr, flags))
		return NO_PFN;
	return grow_by(z, &how, nr, zeroed);
}

/*
 * Rungs of a node that gave nothing, while another node had memory then, are
 * not asked again for a while: each time costs up to a millisecond, and would be
 * lost for every object that comes from elsewhere. They are asked at once when
 * blocks of the node were given back, by who takes no other node, and before a
 * request fails. What is up there is looked at in any case.
 */
static struct full {
	u64 until;		/* ms */
	u64 offline;		/* blocks that it had given back by then */
	u32 rungs;		/* of the ladder, from its top */
} full[MAX_NODES][NR_CLASSES];

static struct full *full_for(int node, bool hugetlb)
{
	return &full[node][hugetlb ? CLASS_HUGETLB : CLASS_OTHER];
}

static void set_full(int node, bool hugetlb, u32 rungs)
{
	struct full *f = full_for(node, hugetlb);

	WRITE_ONCE(f->rungs, rungs);
	WRITE_ONCE(f->offline, READ_ONCE(zones[node].offline));
	WRITE_ONCE(f->until, clock_ms() + FULL_MS);
}

/* Rungs, from the top, that gave nothing there a moment ago. */
static u32 full_rungs(int node, rn_gfp_t flags)
{
	struct full *f = full_for(node, flags & RN_HUGETLB);
	u64 until = READ_ONCE(f->until);

	if (!until || until <= clock_ms() ||
	    READ_ONCE(f->offline) != READ_ONCE(zones[node].offline))
		return 0;
	return READ_ONCE(f->rungs);
}

/* Are there rungs of the node itself from the @n-th on? */
static bool rungs_left(rn_gfp_t flags, u32 n)
{
	const enum rung *r = ladder_for(flags) + n;

	while (*r == RUNG_OTHER_NODE)
		r++;
	return *r != RUNG_END;
}

bool node_was_full(int node, rn_gfp_t flags)
{
	u32 rungs = full_rungs(node, flags);

	return rungs && !rungs_left(flags, rungs);
}

/* What the next nodes have, or bring up by the rungs in @ladder. */
static u32 other_nodes(u32 nr, int node, const enum rung *ladder,
		       bool hugetlb, bool *zeroed)
{
	u32 pfn = NO_PFN;
	int n;

	for (unsigned int i = 1; pfn == NO_PFN; i++) {
		n = node_fallback(node, i);
		if (n < 0)
			break;
		pfn = zone_take(&zones[n], nr, hugetlb, zeroed);
		for (const enum rung *r = ladder;
		     pfn == NO_PFN && *r != RUNG_END; r++)
			if ((*r == RUNG_HUGETLB) == hugetlb &&
			    *r != RUNG_OTHER_NODE)
				pfn = grow(&zones[n], rung_backing(*r), nr,
					   zeroed);
	}
	return pfn;
}

/* A flag that cannot be honoured is said, once; the counters say it always. */
static void tell_no_hugetlb(u32 nr)
{
	if (__atomic_exchange_n(&told, true, __ATOMIC_RELAXED))
		return;
	report("RN_HUGETLB: no hugetlb pages of %lu KiB for %lu KiB; is "
	       "vm.nr_hugepages large enough? (said once)",
	       hugetlb_default_shift() ? 1UL << (hugetlb_default_shift() - 10) :
	       0, (unsigned long)nr << (PAGE_SHIFT - 10));
}

/* Without the first @skip rungs of the node itself; *@tried: up to which one. */
static u32 climb_past(u32 nr, int node, int wanted, rn_gfp_t flags,
		      bool *zeroed, u32 skip, u32 *tried)
{
	const enum rung *ladder = ladder_for(flags);
	bool elsewhere = !(flags & RN_THISNODE);
	u32 pfn = NO_PFN, i;

	if (!skip)
		pfn = grow_early(&zones[wanted], nr, flags, zeroed);
	for (i = 0; pfn == NO_PFN && ladder[i] != RUNG_END; i++) {
		if (ladder[i] != RUNG_OTHER_NODE && i >= skip)
			pfn = grow(&zones[wanted], rung_backing(ladder[i]), nr,
				   zeroed);
		else if (ladder[i] == RUNG_OTHER_NODE && elsewhere)
			pfn = other_nodes(nr, node, hugetlb_only, true, zeroed);
	}
	*tried = i;
	if (pfn == NO_PFN && elsewhere && !(flags & RN_HUGETLB))
		pfn = other_nodes(nr, node, options.ladder, false, zeroed);
	return pfn;
}

static u32 climb(u32 nr, int node, int wanted, rn_gfp_t flags, bool *zeroed)
{
	u32 skip = flags & RN_THISNODE ? 0 : full_rungs(wanted, flags);
	u32 tried, pfn;

	pfn = climb_past(nr, node, wanted, flags, zeroed, skip, &tried);
	if (pfn == NO_PFN && skip)
		return climb_past(nr, node, wanted, flags, zeroed, 0, &tried);
	/* Who skips tells nothing new, unless he went further down. */
	if (pfn != NO_PFN && tried > skip && pfn_to_node(pfn) != wanted)
		set_full(wanted, flags & RN_HUGETLB, tried);
	return pfn;
}

/*
 * Threads that find nothing free at the same time would each bring up a block
 * for a few pages of it. So they take turns, and look again when theirs comes:
 * one at a time until 128 MiB are up, then one more for each further 64 MiB, so
 * that what comes too early is a 32nd and large heaps grow on many CPUs.
 */
static struct lock *take_turn(struct zone *z)
{
	struct lock *turn;
	u32 turns;

	lock(&z->lock);
	turns = min(zone_nr_up(z) / 32, NR_TURNS);
	unlock(&z->lock);
	turn = &z->turn[(u32)sched_getcpu() % max(turns, 1U)];
	lock(turn);
	return turn;
}

static u32 climb_in_turn(u32 nr, int node, int wanted, rn_gfp_t flags,
			 bool *zeroed)
{
	struct zone *z = &zones[wanted];
	struct lock *turn = take_turn(z);
	u32 pfn = zone_take(z, nr, flags & RN_HUGETLB, zeroed);

	if (pfn == NO_PFN)
		pfn = climb(nr, node, wanted, flags, zeroed);
	unlock(turn);
	return pfn;
}

/*
 * @node itself where it has memory, else the nearest that has; then the zone's
 * own node is the wanted one.
 */
u32 ladder_climb(u32 nr, int node, rn_gfp_t flags, bool *zeroed)
{
	int wanted;
	u32 pfn;

	numa_ask_again();
	wanted = node_fallback(node, 0);
	if (wanted < 0 || (wanted != node && flags & RN_THISNODE))
		return NO_PFN;
	if (nr <= PAGEBLOCK_PAGES / 2)
		pfn = climb_in_turn(nr, node, wanted, flags, zeroed);
	else
		pfn = climb(nr, node, wanted, flags, zeroed);
	if (pfn == NO_PFN)
		stat_inc(&exhausted);
	if (pfn == NO_PFN && flags & RN_HUGETLB)
		tell_no_hugetlb(nr);
	return pfn;
}

/* --- statistics --- */

#define ULL(n)	((unsigned long long)(n))

static void zone_lines(struct seq *s, struct zone *z)
{
	u32 up[NR_BACKINGS], idle, blank, warm, reserved, high;
	u64 online[NR_BACKINGS], offline, lazy, huge;
	unsigned int ticket = gate_enter();
	int n = z->node;

	lock(&z->lock);
	for (int b = 0; b < NR_BACKINGS; b++) {
		up[b] = z->nr_up[b];
		online[b] = z->online[b];
	}
	idle = zone_nr_idle(z);
	warm = z->nr_warm;
	blank = z->nr_blank - warm;
	reserved = z->reserved;
	high = z->high;
	offline = z->offline;
	lazy = z->lazy;
	unlock(&z->lock);
	gate_exit(ticket);
	for (int b = BACKING_HUGETLB; b < NR_BACKINGS; b++)
		seq_printf(s, "node%d_pageblocks_%s %u\n", n, rung_names[b],
			   up[b]);
	for (int b = BACKING_HUGETLB; b < NR_BACKINGS; b++)
		seq_printf(s, "node%d_ladder_%s_taken %llu\n", n,
			   rung_names[b], ULL(online[b]));
	seq_printf(s, "node%d_pageblocks_idle %u\n", n, idle);
	seq_printf(s, "node%d_pageblocks_blank %u\n", n, blank);
	seq_printf(s, "node%d_pageblocks_warm %u\n", n, warm);
	seq_printf(s, "node%d_pageblocks_untouched_at_start %llu\n", n,
		   ULL(lazy));
	seq_printf(s, "node%d_pageblocks_reserved %u\n", n, reserved);
	seq_printf(s, "node%d_pageblocks_offlined %llu\n", n, ULL(offline));
	huge = thp_bytes_in(z->first, high);
	huge -= min(huge, (u64)up[BACKING_HUGETLB] << PAGEBLOCK_SHIFT);
	seq_printf(s, "node%d_thp_kb_present %llu\n", n, ULL(huge >> 10));
	vmstat_counts(s, z);
}

/* Reasons that never were are left out. */
static void ladder_lines(struct seq *s, struct zone *z)
{
	for (int b = BACKING_HUGETLB; b < NR_BACKINGS; b++) {
		for (int why = STEP_OK + 1; why < NR_STEPS; why++) {
			u64 n = READ_ONCE(z->steps[b][why]);

			if (n)
				seq_printf(s, "node%d_ladder_%s_%s %llu\n",
					   z->node, rung_names[b],
					   step_names[why], ULL(n));
		}
	}
}

/* Over all nodes: what a program asks first. */
static void step_down_lines(struct seq *s)
{
	for (int b = BACKING_HUGETLB; b < NR_BACKINGS; b++) {
		for (int why = STEP_OK + 1; why < NR_STEPS; why++) {
			u64 sum = 0;

			for (int n = 0; n < nr_node_ids(); n++)
				sum += READ_ONCE(zones[n].steps[b][why]);
			if (sum)
				seq_printf(s, "ladder_step_down_%s_%s %llu\n",
					   rung_names[b], step_names[why],
					   ULL(sum));
		}
	}
	seq_printf(s, "ladder_exhausted %llu\n", ULL(READ_ONCE(exhausted)));
}

void vmstat_pages(struct seq *s)
{
	seq_printf(s, "reservation_bytes %zu\n", mem.bytes);
	seq_printf(s, "reservation_stripes %u\n", mem.nr_stripes);
	seq_printf(s, "meta_bytes %llu\n", ULL(meta_bytes()));
	seq_printf(s, "meta_mapped_bytes %llu\n", ULL(meta_mapped()));
	for (int n = 0; n < nr_node_ids(); n++) {
		zone_lines(s, &zones[n]);
		ladder_lines(s, &zones[n]);
	}
	step_down_lines(s);
	vmstat_hugetlb(s);
	vmstat_fork(s);
}

/* SPDX-License-Identifier: MIT */
/*
 * What the files of floor 1 share among themselves.
 *
 *   page_alloc.c      zones: pages taken and given back
 *   zone.c            the lists and bitmaps of a zone
 *   page_counts.c     what is free in it, and what of that is resident
 *   blank.c           long runs that nobody has touched yet
 *   ladder.c          which rung new memory comes from
 *   early.c           the first blocks of a small heap
 *   khugepaged.c      base pages that become huge ones
 *   mremap.c          runs that grow in place or move
 *   page_reporting.c  memory of free pages back to the system
 *   repopulate.c      and from it, where there are several nodes
 *   memory_hotplug.c  pageblocks up and down
 *   hugetlb.c         sizes and pools
 *   huge_memory.c     transparent huge pages: are they there?
 *   mempolicy.c       nodes
 */
#ifndef MM_ZONE_H
#define MM_ZONE_H

#include "pressure.h"
#include "workingset.h"

#define META_UNIT	(64UL << 10)
#define NO_BLOCK	NO_PFN

/* Why a rung of the ladder could not be taken. */
enum step {
	STEP_OK,
	STEP_POOL_EMPTY,	/* the hugetlb pool has not that many pages */
	STEP_UNSUPPORTED,	/* no such page size, or THP is switched off */
	STEP_POPULATE,		/* mapped, but the pages did not come */
	STEP_WRONG_NODE,	/* they came from another node */
	STEP_NOT_HUGE,		/* THP asked for, small pages came */
	STEP_NO_ADDRESS,	/* the node's stripe is full */
	STEP_NO_MEMORY,		/* mmap or a table failed: limits, maps */
	STEP_FORK,		/* the pages are left for copies after fork */
	STEP_LOST,		/* as NO_MEMORY, and the address is not ours */
	STEP_LIMIT,		/* it would be more than RN_LIMIT */
	NR_STEPS
};

/*
 * Lists of partly free pageblocks, by order of the largest free block and by
 * fill, fullest first: the lowest set bit of the mask, from the wanted order
 * up, is the shortest sufficient free range in the fullest block.
 */
#define NR_FILLS	6
#define NR_LISTS	((PAGEBLOCK_ORDER + 1) * NR_FILLS)
static_assert(NR_LISTS <= 64, "one word must hold the mask of lists");

/* At most so many small requests bring up blocks of a node at a time. */
#define NR_TURNS	16U

/* A run from here on is offlined or blank as soon as it is freed. */
#define HUGE_RUN_BLOCKS	32U	/* 64 MiB */

/* Lists of blank runs, by length. */
#define NR_BLANK_LISTS	HUGE_RUN_BLOCKS

/**
 * struct run_lists - blank runs by length
 * @mask: bit i: @first[i] is not empty
 * @first: first blocks of runs of i + 1 blocks; the last list has all that are
 *	longer, too
 */
struct run_lists {
	u32 mask;
	u32 first[NR_BLANK_LISTS];
};

/*
 * Blocks are kept apart by what RN_HUGETLB asks for, and those of which pages
 * were released, so that they drain.
 */
enum class { CLASS_HUGETLB, CLASS_OTHER, CLASS_BROKEN, NR_CLASSES };

/*
 * Lists of blocks with pages that could be released, by fill; of two that are
 * equally empty the broken one is the higher, since nothing more breaks.
 */
#define NR_REPORTS	(2 * NR_FILLS)

/* How what is free in a block may go back to the system. */
enum kind {
	KIND_PLAIN,		/* by pages */
	KIND_LAZY,		/* likewise; what is in use may not be resident */
	KIND_WHOLE,		/* the block as a whole, with its huge page */
	NR_KINDS
};

/**
 * struct page_counts - pages of the blocks that are up
 * @free: on no account in use
 * @released: of these, what the system has the memory of
 * @isolated: neither: being released
 * @hollow: in use, and released
 */
struct page_counts {
	u32 free;
	u32 released;
	u32 isolated;
	u32 hollow;
};

/*
 * Bitmaps of pageblocks: the address is taken; mapped, and nobody's; up and
 * wholly free, by class.
 */
enum map { MAP_USED, MAP_BLANK, MAP_IDLE, NR_MAPS = MAP_IDLE + NR_CLASSES };

/**
 * struct zone - the pageblocks of one node's stripe
 *
 * Of every block below @high exactly one holds:
 *   unused: its bit in MAP_USED is clear;
 *   idle: its bits in MAP_USED and in one MAP_IDLE are set, nr_free == 512;
 *   partly free: on one of @list, 0 < nr_free < 512;
 *   blank: its bits in MAP_USED and MAP_BLANK are set, nr_free == 0; if the run
 *	that it is in is not warm, nothing of it is resident;
 *   full: nr_free == 0; so are blocks on their way up or down.
 * nr_up[HUGETLB] + nr_up[THP] + nr_up[SMALL] = blocks idle, partly free and
 * full, without those on their way.
 *
 * A released bit of a block implies the free bit, unless the block is blank or
 * on its way: then it says what the page will be once it is free. The sums of
 * free and of released pages over the blocks that are up are in @pages.
 *
 * @lock: covers all but the statistics, and the pageblocks of the stripe
 * @node: its number
 * @first: its first pageblock
 * @nr_blocks: pageblocks in the stripe
 * @high: no block from here on was ever used
 * @unused_from: no block below is unused
 * @maps: the bitmaps, with a word of each for every 64 blocks from @first on
 * @nr_blank: bits set in MAP_BLANK; these blocks are not up
 * @nr_warm: those among them whose run is warm
 * @blank_runs: blank runs that are not
 * @warm_runs: those that are
 * @warm_weight: sum of their warmth
 * @warm_share: that of a block that is freed now, see mm/warm.c
 * @warm_unseen: what was freed since a page was last looked at, likewise
 * @warm_oldest: the run that has been warm for longest, or NO_BLOCK
 * @warm_newest: the last one
 * @peak: the most blocks up and not idle so far, seen when long runs are freed
 * @mask: bit i: @list[i] is not empty; by class
 * @list: first block of each list; by class
 * @nr_up: blocks that are up, by backing
 * @nr_idle: bits set in MAP_IDLE
 * @report_mask: bit i: @report[i] is not empty
 * @report: first blocks of the rings of partly free blocks, not whole ones,
 *	that have free pages that are not released
 * @pages: pages by kind of block
 * @whole_idle: idle blocks of KIND_WHOLE, of huge pages that are idle as a whole
 * @most_used: the most pages in use so far, but for those of lazy blocks, whose
 *	users touch what they like; seen when pages are freed
 * @keep_min: pages that may stay free however little was in use
 * @huge_set: pages on hugetlb that should have stayed
 * @warm_set: weight of warm runs that should have
 * @low: the least surplus since the last tick
 * @warm_low: likewise of @warm_weight
 * @stuck: at so much surplus it is worth another try, after some could not be
 *	given back; or 0
 * @short_until: when released pages may come back again (ms), after some could
 *	not be had from this node; or 0
 * @reserved: so many blocks stay up, whatever becomes idle
 * @bringing: threads that bring blocks up right now
 * @turn: one of these is held, and @lock not, by who brings up a block of which
 *	others could take a part
 * @online: blocks brought up, by backing; statistics from here on
 * @offline: blocks given back
 * @lazy: blocks that are up and were not touched when they came
 * @refused: times that the system did not take memory back
 * @nr_broken: broken blocks that are up; under @lock again
 * @steps: rungs that could not be taken, by backing asked for and reason
 */
struct zone {
	struct lock lock;
	int node;
	u32 first;
	u32 nr_blocks;
	u32 high;
	u32 unused_from;
	u32 reserved;
	u32 bringing;
	struct lock turn[NR_TURNS];
	u32 nr_idle[NR_CLASSES];
	u32 nr_up[NR_BACKINGS];
	u64 (*maps)[NR_MAPS];
	u32 nr_blank;
	u32 nr_warm;
	struct run_lists blank_runs;
	struct run_lists warm_runs;
	u32 warm_weight;
	u32 warm_share;
	u32 warm_unseen;
	u32 warm_oldest;
	u32 warm_newest;
	u32 peak;
	u64 mask[NR_CLASSES];
	u32 list[NR_CLASSES][NR_LISTS];
	u32 report_mask;
	u32 report[NR_REPORTS];
	struct page_counts pages[NR_KINDS];
	u32 whole_idle;
	u32 most_used;
	u32 keep_min;
	struct workingset huge_set, warm_set;
	u32 low;
	u32 warm_low;
	u32 stuck;
	u64 short_until;
	u32 nr_broken;
	u64 online[NR_BACKINGS];
	u64 offline;
	u64 lazy;
	u64 refused;
	u64 steps[NR_BACKINGS][NR_STEPS];
} __aligned(64);

extern struct zone *zones;	/* by node number */

static inline struct zone *pfn_zone(u32 pfn)
{
	return &zones[pfn_to_node(pfn)];
}

static inline enum class class_of(const struct pageblock *b)
{
	if (b->backing == BACKING_HUGETLB)
		return CLASS_HUGETLB;
	return b->broken ? CLASS_BROKEN : CLASS_OTHER;
}

/* --- zone.c; all under zone.lock --- */

enum run_kind {
	RUN_UNUSED, RUN_IDLE, RUN_IDLE_HUGETLB, RUN_IDLE_BROKEN, RUN_BLANK
};

int zone_init(struct zone *z, int node);
u32 run_find(const struct zone *z, enum run_kind kind, u32 nr, u32 align);
/*
 * The highest run of idle blocks, or of broken ones only, in [@from, @to) that
 * can go; *@nr <= @most.
 */
u32 run_find_idle_top(const struct zone *z, enum run_kind kind, u32 from,
		      u32 to, u32 most, u32 *nr);
/* Blocks of @kind from @block on, at most @most. */
u32 run_length(const struct zone *z, enum run_kind kind, u32 block, u32 most);
bool block_is_idle(const struct zone *z, u32 block);
bool block_is_blank(const struct zone *z, u32 block);
bool block_is_used(const struct zone *z, u32 block);
/* The first from @block on that may have anything, of any zone, or NO_BLOCK. */
u32 block_next_used(u32 block);
u32 blocks_claim(struct zone *z, u32 nr, u32 align);	/* address, or NO_BLOCK */
bool blocks_claim_at(struct zone *z, u32 block, u32 nr);
void blocks_unclaim(struct zone *z, u32 block, u32 nr);
void blocks_mark_blank(struct zone *z, u32 block, u32 nr, bool blank);
void blocks_publish(struct zone *z, u32 block, u32 nr);	/* up and idle now */
void blocks_detach(struct zone *z, u32 block, u32 nr);	/* idle to way down */
void blocks_reattach(struct zone *z, u32 block, u32 nr);	/* and back */
void blocks_retire(struct zone *z, u32 block, u32 nr);	/* down and unused now */
void block_requeue(struct zone *z, u32 block);		/* after a change */
/* The emptiest partly free block with a page to release, or NO_BLOCK. */
u32 block_to_report(const struct zone *z);
/* Pages of it are being released, or were collapsed into a huge page again. */
void block_set_broken(struct zone *z, u32 block, bool broken);
/* Single pages of it cannot be released, or can. */
void block_set_whole(struct zone *z, u32 block, bool whole);
/* Lazy blocks that are full come up or go down. */
void blocks_count_lazy(struct zone *z, u32 nr, bool up);
void block_set_backing(struct zone *z, u32 block, enum backing backing);
u32 zone_nr_up(const struct zone *z);
u32 zone_nr_idle(const struct zone *z);

/* --- page_counts.c; likewise --- */

u32 zone_nr_released(const struct zone *z);
u32 zone_nr_hollow(const struct zone *z);
u32 zone_nr_resident(const struct zone *z);	/* of the free pages */
u32 zone_nr_used(const struct zone *z);		/* as @most_used has it */
u32 zone_slack(const struct zone *z);		/* resident beyond the reserve */
/* Free pages that are resident, beyond the reserve, and can go. */
u32 zone_surplus(const struct zone *z);
/* All of a block comes to the counts, or leaves them. */
void zone_count_block(struct zone *z, const struct pageblock *b, int sign);
void zone_see_used(struct zone *z);		/* for @most_used */
void zone_less_is_free(struct zone *z);		/* for @low */
/* Bytes of these blocks that count against the limit, up or on their way. */
u64 blocks_charge(u32 block, u32 nr);
/* They came up, charged as a whole: pages that nobody took may not count. */
void blocks_settle_charge(u32 block, u32 nr);
/*
 * Before pages are taken; false where the limit has no room for the released,
 * or the node has no memory for them.
 */
bool run_charge(u32 pfn, u32 nr);
/*
 * As the functions of pageblock.c, for a block that is up. -1: run_charge()
 * refuses.
 */
int block_take(struct zone *z, u32 block, u32 nr);
bool block_take_at(struct zone *z, u32 block, u32 page, u32 nr);
bool block_put(struct zone *z, u32 block, u32 page, u32 nr);
void block_set_released(struct zone *z, u32 block, u32 page, u32 nr);
/* All of its free pages are resident again. */
void block_clear_released(struct zone *z, u32 block);
u32 block_isolate(struct zone *z, u32 block, u32 most, u64 *pages);
void block_putback(struct zone *z, u32 block, const u64 *pages,
		   const u64 *released);
void block_count_hollow(struct zone *z, u32 block, int nr);
void vmstat_counts(struct seq *s, struct zone *z);	/* without the lock */

/* --- blank.c --- */

/* What a pageblock's memory is to be, as the kernel was told. */
enum advice { ADVICE_NONE, ADVICE_HUGE, ADVICE_SMALL };

/* A run of @nr pages comes up untouched, and is blank when it is freed. */
bool run_is_lazy(u32 nr);
bool thp_is_for_all(void);	/* huge pages come without advice */
/*
 * Tells the kernel which lazy blocks of a run that is the caller's are to be
 * huge, where it has not been told yet.
 */
void run_advise(u32 pfn, u32 nr);
/* Drops what is resident in the lazy blocks of a run; false if it cannot. */
bool run_discard(u32 pfn, u32 nr);
/* Zeroes the memory of a run that is the caller's. */
void run_zero(u32 pfn, u32 nr);

/* All under zone.lock, but the last. */

/* Blocks that are the caller's and on no list, but mapped. */
void blank_put(struct zone *z, u32 block, u32 nr, u32 warmth);
/*
 * The caller's now, as after blocks_claim(), but mapped, and not resident; or
 * NO_BLOCK.
 */
u32 blank_take(struct zone *z, u32 nr);
/* The same, and it counts against the limit from then on. */
u32 blank_take_charged(struct zone *z, u32 nr);
/* A whole run, of which some may be resident; of exactly that length. */
u32 blank_take_warm(struct zone *z, u32 nr);
/* The whole run that begins at @block. */
void blank_take_run(struct zone *z, u32 block);
/* What was taken is up and idle now; @dirty: not known to be zero. */
void blank_up(struct zone *z, u32 block, u32 nr, bool dirty);
/* The same, but all of its pages are taken. */
void blank_up_full(struct zone *z, u32 block, u32 nr, bool dirty);
/*
 * All that is blank in [@block, @block + @nr) is, whole runs but the last;
 * false where the limit has no room for what is not warm of it.
 */
bool blank_publish(struct zone *z, u32 block, u32 nr);
/*
 * Blocks that a lazy run begins with and fills, and that are to become blank,
 * are the caller's now; how many.
 */
u32 blank_detach_full(struct zone *z, u32 pfn, u32 nr);
/*
 * Lazy blocks in [@from, @to) become blank: those that are idle and zero, or,
 * if @warmth is any, idle; and the first @detached, which are the caller's.
 */
void blank_settle(struct zone *z, u32 from, u32 to, u32 detached,
		  u32 warmth);
bool blank_is_too_much(const struct zone *z);
/* Unmaps all that is blank; how many blocks, and how many of them warm. */
u32 blank_drop(struct zone *z, u32 *warm);

/* --- warm.c --- */

/* What a block counts for in the budget where all of it may be resident. */
#define WARM_FULL	16U

void warm_init(struct zone *z);
/**
 * struct cooled - a lazy run that its owner is about to free
 * @warmth: what it is to become; 0: it is to be discarded
 * @head: so many pages at its start were discarded
 * @tail: likewise at its end
 */
struct cooled {
	u32 warmth;
	u32 head, tail;
};

struct cooled warm_grade(struct zone *z, u32 pfn, u32 nr);
/* All under zone.lock, but the last. */
void warm_add(struct zone *z, u32 block);
void warm_remove(struct zone *z, u32 block);
bool warm_is_too_much(const struct zone *z);
u64 warm_bytes(u32 weight);	/* that so much warmth stands for */
/* Discards what was freed longest ago, down to the budget. */
void warm_trim(struct zone *z);
void warm_missed(struct zone *z, u32 nr);	/* so many come up cold */
/* Or down to so much warmth; bytes by what it was taken for. */
size_t warm_trim_to(struct zone *z, u32 weight, enum reclaim_why why);
/* A tick, as pages_age(). */
size_t warm_age(struct zone *z, u32 part);

/* --- early.c --- */

/* A request of @nr pages is to begin an early block. */
bool early_wanted(struct zone *z, u32 nr, rn_gfp_t flags);
/* Under zone.lock: @block is early, full for the first time, and may be huge */
bool early_is_full(u32 block);
/* Then, without the lock, by who has pages in it: huge, if it can be. */
void early_collapse(struct zone *z, u32 block);
/*
 * Its base pages become a huge one, now; without the lock. *@told: the kernel
 * took the advice.
 */
bool block_collapse(u32 block, bool *told);

/* --- khugepaged.c --- */

/*
 * Without the lock, after block_collapse(). It is huge now only if nothing of
 * it was released since block.collapsing was set. @charged: pages that were by
 * then, and are charged since they were to come back.
 */
void collapse_end(struct zone *z, u32 block, u32 charged, bool huge, bool told);

/* --- page_alloc.c --- */

/* Takes @nr pages from the start of @block, all free; under zone.lock. */
u32 pages_take_run(struct zone *z, u32 block, u32 nr, bool *zeroed);
/* Under zone.lock. @zero: what is lazy of it was discarded. */
void pages_put_run(struct zone *z, u32 pfn, u32 nr, bool zero);
u32 zone_take(struct zone *z, u32 nr, bool hugetlb_only, bool *zeroed);

/* --- page_reporting.c --- */

void reporting_init(struct zone *z);
/* Under zone.lock: more is free than may be, and some of it may go. */
bool zone_is_over(const struct zone *z);
/* Then, without it: down to three quarters of what may be. */
void zone_balance(struct zone *z);
/*
 * Offlines idle blocks in [@from, @to), but never the reserved ones: the highest
 * first, until no more than @goal pages are surplus; if that is 0, all of them.
 * Blocks; *@bytes (may be NULL): what of them was resident.
 */
u32 zone_trim(struct zone *z, u32 from, u32 to, u32 goal,
	      enum reclaim_why why, size_t *bytes);
/* Pages of it are released: tells the kernel not to make it huge. 0 or -errno. */
int block_keep_small(u32 block);

/* --- repopulate.c: released pages, where memory has several nodes --- */

/* Likewise of what could not be had from a node: it is left alone so long. */
#define FULL_MS	50

/* What comes back is verified: memory has several nodes. Set at the start. */
extern bool verify_nodes;

/* Under zone.lock, for all three: none came from the node a moment ago. */
bool zone_is_short(const struct zone *z);
void zone_is_short_no_more(struct zone *z);
/*
 * Pages that were just taken: bit i: pages of the i-th block of the run were
 * released, and are to be repopulated before anybody has them.
 */
u64 run_absent(u32 pfn, u32 nr);
/* Then, without the lock. False: the run was freed, and released, again. */
bool run_repopulate(struct zone *z, u32 pfn, u32 nr, u64 absent);
/* Pages of the caller's; false: they are as they were. Without the lock. */
bool pages_repopulate(struct zone *z, u32 pfn, u32 nr);

/* --- ladder.c --- */

struct bringup;

void step_count(struct zone *z, enum backing backing, enum step step);
const char *step_name(enum step step);
bool rung_in_ladder(enum rung rung);
/*
 * @nr pages from new blocks, of @node or another one. The address of a block
 * is claimed, filled and published; NO_PFN if no rung has as much.
 */
u32 ladder_climb(u32 nr, int node, rn_gfp_t flags, bool *zeroed);
/*
 * Claims address space for @most blocks or, halving, for down to @least, and
 * brings it up unpublished. Sets *@nr and how->step; NO_BLOCK if it cannot.
 */
u32 blocks_bring_up(struct zone *z, struct bringup *how, u32 least, u32 most,
		    u32 *nr);
/*
 * Brings up blocks that the caller has claimed, unpublished, on that node, for
 * a run of @run pages in all. If no rung will do, they are not claimed any
 * more.
 */
bool blocks_bring_up_at(struct zone *z, u32 block, u32 nr, u32 run,
			rn_gfp_t flags);
void blocks_put_down(struct zone *z, u32 block, u32 nr);	/* unpublished */

/* --- mremap.c --- */

/* Moves a run of pages without a copy; the new one, or NO_PFN. */
u32 pages_move(u32 pfn, u32 nr, u32 new_nr, rn_gfp_t flags);

/* --- memory_hotplug.c --- */

/**
 * struct bringup - how pageblocks are to come up
 * @backing: the rung
 * @huge_shift: log2 of the hugetlb page; 0 for the other rungs
 * @populate: small pages too are to be there at once
 * @lazy: nothing is touched now, and nothing can be verified
 * @mapped: the blocks were blank
 * @early: base pages, whatever else there is
 * @step: what blocks_bring_up() ended with
 */
struct bringup {
	enum backing backing;
	u8 huge_shift;
	bool populate;
	bool lazy;
	bool mapped;
	bool early;
	enum step step;
};

/* Blocks that must come and go together. */
static inline u32 bringup_unit(const struct bringup *how)
{
	return how->huge_shift > PAGEBLOCK_SHIFT ?
		1U << (how->huge_shift - PAGEBLOCK_SHIFT) : 1;
}

enum step blocks_online(u32 block, u32 nr, int node,
			const struct bringup *how);
bool comes_whole(void);		/* no block gives back single pages */
/* False where the kernel would not take it back (too many maps). */
bool blocks_offline(u32 block, u32 nr);
bool blocks_rereserve(u32 block, u32 nr);	/* fills a hole, if still one */
/*
 * Moves what is mapped at @from to @to; on failure nothing has moved. *@lost:
 * some of what is now unmapped, @from or on failure @to, is no longer ours.
 */
bool blocks_move(u32 from, u32 to, u32 nr, bool *lost);
/* What is resident goes back to the system; the mapping stays. */
bool pages_discard(u32 pfn, u32 nr);
int populate(void *p, size_t bytes);
void vma_name(void *p, size_t bytes, const char *name);
/*
 * Mapped, and nobody's yet: its name, and that core files are to lack it. Later
 * a part of it was made accessible in its place, for the first time or again.
 */
void vma_reserved(void *p, size_t bytes, const char *name);
void vma_opened(void *p, size_t bytes);

/* --- hugetlb.c --- */

#define MAX_HUGE_SIZES	8

/**
 * struct hugetlb_pool - a pool of hugetlb pages
 * @shift: log2 of the size of its pages
 */
struct hugetlb_pool {
	unsigned int shift;
	u64 fork_kept;	/* pages that copies after fork may still need */
};

extern struct hugetlb_pool hugetlb_pools[MAX_HUGE_SIZES];
extern unsigned int nr_hugetlb_pools;

void hugetlb_init(void);	/* what follows does it, too */
struct hugetlb_pool *hugetlb_pool(unsigned int shift);
unsigned int hugetlb_default_shift(void);	/* 0 where there is none */
/* Pages that nobody has or is promised; 0 where it cannot be read. */
u64 hugetlb_unclaimed(unsigned int shift);
enum step hugetlb_map(size_t bytes, unsigned int shift, void **p);
void vmstat_hugetlb(struct seq *s);
void vmstat_fork(struct seq *s);	/* hugetlb_fork.c */

/* --- huge_memory.c --- */

bool thp_enabled(void);
/* Calls @not_huge for each of the @nr blocks at @block that is none. */
void thp_verify(u32 block, u32 nr, void (*not_huge)(u32 block));
u64 thp_bytes_in(u32 block, u32 nr);	/* what is huge there now */

/* --- mempolicy.c --- */

bool numa_several(void);	/* memory may come from more than one node */
/* All pages of [p, p + bytes), @step apart, lie on @node. */
bool pages_on_node(void *p, size_t bytes, size_t step, int node);
size_t read_small_file(const char *path, char *buf, size_t size);

/* --- meta.c --- */

u64 meta_mapped(void);

#endif /* MM_ZONE_H */

/* SPDX-License-Identifier: MIT */
/*
 * What the files of mm/ offer one another, grouped by the file that owns it.
 * Floors: pages know nothing of slabs, slabs nothing of the API.
 *
 * Lock order, outermost first (who waits for one of these while fork() waits
 * for him does so outside of the gate: see mm/fork.c before adding to it):
 *   fork gate (mm/fork.c), shared: every slow path is inside it
 *    vmscan.lock (mm/vmscan.c): a tick; only by trylock
 *     slab_mutex (mm/slab_common.c): the list of caches
 *       drain_mutex (mm/drain.c): other CPUs' slots
 *         cache_node.list_lock (mm/slab.c): slabs of a cache on a node
 *         barn.lock (mm/sheaf.c): its sheaves; never together with list_lock
 *           depot_lock (mm/debug/stackdepot.c)
 *           zone.lock (mm/page_alloc.c): pageblocks of a node
 *             sheaf_pool.lock, meta_lock, open_lock, counter_lock, pools.lock,
 *             shrinkers.lock, pool.lock (mm/debug/kfence.c): leaves, but for
 *              fault_lock (mm/debug/fault_inject.c), under any
 *    leaks_lock (mm/debug/leaks.c): over a report
 *    publishing (mm/stats_shm.c), those of
 *     mm/debug/slab_report.c, profile.lock: leaves
 *   pressure.lock: only ever tried, at a tick
 */
#ifndef MM_INTERNAL_H
#define MM_INTERNAL_H

#include "mm_types.h"
#include "options.h"

#include <errno.h>
#include <sys/uio.h>

/* Nothing declared from here on leaves the library. */
#pragma GCC visibility push(hidden)

/* --- fork.c: what it and lock.c know of each thread --- */

/**
 * struct thread_self - this thread
 * @tag: its number, shifted by one; 0 before its first slow path
 * @depth: how often it is inside of the gate; only the outermost counts
 * @deep: its slow path went beyond its slot (age_poll())
 */
struct thread_self {
	u32 tag;
	u32 depth;
	bool deep;
};

extern __thread struct thread_self thread_self;

/* The last number: who comes after so many threads is not told apart. */
#define TAG_SHARED	(~1U)

u32 thread_tag_slow(void);

/* Never 0. */
static inline u32 thread_tag(void)
{
	return likely(thread_self.tag) ? thread_self.tag : thread_tag_slow();
}

/* --- lock.c: a futex mutex of four bytes --- */

struct lock {
	u32 state;		/* 0 free, else the owner's tag | LOCK_WAITERS */
};

#define LOCK_WAITERS	1U

void lock_slow(struct lock *l);
void lock_wake(struct lock *l);

static inline bool trylock(struct lock *l)
{
	u32 zero = 0;

	return __atomic_compare_exchange_n(&l->state, &zero, thread_tag(),
					   false, __ATOMIC_ACQUIRE,
					   __ATOMIC_RELAXED);
}

static inline void lock(struct lock *l)
{
	if (unlikely(!trylock(l)))
		lock_slow(l);
}

static inline void unlock(struct lock *l)
{
	if (unlikely(__atomic_exchange_n(&l->state, 0, __ATOMIC_RELEASE) &
		     LOCK_WAITERS))
		lock_wake(l);
}

static inline bool lock_is_mine(const struct lock *l)
{
	return (READ_ONCE(l->state) & ~LOCK_WAITERS) == thread_tag();
}

/* Between two tries for RN_NOFAIL: 1 ms, doubling up to 100 ms. */
void nofail_pause(unsigned int round);

/* --- report.c: messages by write(2) alone, "libslab: ..." on stderr --- */

void report(const char *fmt, ...) __printf(1, 2);
const char *error_text(int error);
void bug(const char *fmt, ...) __printf(1, 2) __noreturn __cold;

/* --- init.c --- */

void mm_init_slow(void);
int mm_init_error(void);	/* 0, or the errno that init ended with */

extern bool mm_initialised;

/* Idempotent, thread-safe, and one load when it is done. */
static inline void mm_init(void)
{
	if (unlikely(!smp_load_acquire(&mm_initialised)))
		mm_init_slow();
}

struct seq;

/* --- vmscan.c: memory goes back (Documentation/mm/reclaim.rst) --- */

/* What made it go. */
enum reclaim_why {
	WHY_FREE,		/* too much was free */
	WHY_DECAY,		/* nobody needed it for a while */
	WHY_PRESSURE,		/* the system is short of memory */
	WHY_LIMIT,		/* RN_LIMIT */
	WHY_TRIM,		/* the program asked */
	NR_WHYS
};

/* Where it was. */
enum reclaim_place {
	PLACE_SLOT,		/* to slabs: sheaves of a CPU */
	PLACE_BARN,		/* likewise of a barn */
	PLACE_SLAB,		/* to pages: empty slabs */
	PLACE_HOLLOW,		/* to the system: free pages of slabs */
	PLACE_BLOCK,		/* likewise whole pageblocks */
	PLACE_PAGE,		/* likewise free pages of pageblocks */
	PLACE_SHEAF,		/* likewise of free sheaves */
	NR_PLACES
};

void reclaim_count(enum reclaim_why why, enum reclaim_place place, u64 bytes);
/* What caches and pages hold that nobody uses goes back; bytes. */
size_t reclaim_all(enum reclaim_why why);
/* Inside the gate with no lock held; no caches while others have slab_mutex. */
size_t reclaim_idle(enum reclaim_why why);
bool trylock_caches(void);	/* slab_mutex */
void vmstat_reclaim(struct seq *s);
u64 clock_ms(void);		/* CLOCK_MONOTONIC_COARSE */
void vmscan_init(void);

void age_poll_deep(void);

/*
 * At the end of slow paths, outside of the gate and of all locks: a slice of a
 * tick, if one is due. errno is kept. Within the gate it does nothing.
 *
 * Without restartable sequences all are slow paths. Those that find what they
 * want in their slot do not look at the clock. Frees of runs of pages always
 * do; their allocations need not, with which nothing becomes free.
 */
static inline void age_poll(void)
{
	if (unlikely(thread_self.deep))
		age_poll_deep();
}

/* What is left of a tick, or the next one: did anything move? Likewise. */
bool age_tick(void);
unsigned int age_tick_ms(void);	/* from one tick to the next, at least 1 */
/*
 * For the background thread, which comes more often with RN_KFENCE: is it time
 * for a tick? And a sample; is the program allocating, as far as one cares?
 */
bool age_is_due(void);
bool age_sample(void);

/* --- kswapd.c: the background thread --- */

enum kswapd_mode {
	KSWAPD_OFF,		/* slow paths do the ticks */
	KSWAPD_WANTED,		/* so they do; one that does starts the thread */
	KSWAPD_STARTS,		/* somebody is at it */
	KSWAPD_RUNS,		/* it does the ticks */
	KSWAPD_STOPS,		/* it is about to end */
	KSWAPD_QUIET,		/* nothing moves; who comes here is to say so */
	KSWAPD_SLEEPS,		/* likewise, and to wake it */
};

extern u32 kswapd_mode;

void kswapd_init(void);
void kswapd_start_wanted(void);	/* outside of the gate and of all locks */
bool kswapd_is_urgent(void);
void kswapd_wake(void);		/* from the last two modes */
void vmstat_kswapd(struct seq *s);

/* --- meta.c: memory for metadata, never given back --- */

/* Zeroed, aligned to 64 bytes, or NULL; outside the reservation. */
void *meta_alloc(size_t bytes);
/*
 * Makes [@p, @p + @bytes) of a PROT_NONE or PROT_READ table writable, in whole
 * units of 64 KiB. 0 or -ENOMEM.
 */
int meta_open(void *p, size_t bytes);
/* The pages of an open part come up at once; where they cannot, on the touch. */
void meta_populate(void *p, size_t bytes);
/* A table of @bytes of address space, with @prot; or NULL. */
void *meta_reserve(size_t bytes, int prot);
u64 meta_bytes(void);		/* handed out by meta_alloc(), for the stats */

/* --- sparse.c: the reservation and the tables beside it --- */

/**
 * struct mem - the one reservation
 * @base: its first address, aligned to 1 GiB where it is that large
 * @bytes: its length, nr_stripes << (stripe_order + PAGE_SHIFT)
 * @nr_stripes: a power of two above the highest possible node number
 * @stripe_order: log2 of pages in a stripe
 * @vmemmap: page descriptors by pfn, opened a pageblock at a time
 * @row_map: row of the slab that a unit of 16 KiB, the least that a slab has,
 *	belongs to, 0 for none; readable from
 *	the start, opened for writing a pageblock at a time
 * @blocks: pageblocks by number, opened likewise
 */
struct mem {
	uintptr_t base;
	size_t bytes;
	unsigned int nr_stripes;
	unsigned int stripe_order;
	struct page *vmemmap;
	u16 *row_map;
	struct pageblock *blocks;
};

extern struct mem mem;

int sparse_init(void);
/* The tables of @nr pageblocks, and under RLIMIT_AS their addresses. */
int sparse_open(u32 block, u32 nr);
bool sparse_grows(void);	/* these are reserved as they are used */
/* The first pageblock from @block on that was ever up, or NO_PFN. */
u32 sparse_next_open(u32 block);

/* The descriptor of the page at @p, or NULL where none was ever up. */
struct page *ptr_to_page(const void *p);

static inline bool mem_has(const void *p)
{
	return (uintptr_t)p - mem.base < mem.bytes;
}

static inline u32 ptr_to_pfn(const void *p)
{
	return ((uintptr_t)p - mem.base) >> PAGE_SHIFT;
}

static inline void *pfn_to_ptr(u32 pfn)
{
	return (void *)(mem.base + ((uintptr_t)pfn << PAGE_SHIFT));
}

/* A slab is this large at least, so that the row map has fewer entries. */
#define SLAB_MIN_ORDER	2
#define ROW_SHIFT	(PAGE_SHIFT + SLAB_MIN_ORDER)

/* Of an address within the reservation. */
static inline unsigned int ptr_to_row(const void *p)
{
	return mem.row_map[((uintptr_t)p - mem.base) >> ROW_SHIFT];
}

static inline int pfn_to_node(u32 pfn)
{
	return pfn >> mem.stripe_order;
}

static inline struct page *pfn_to_page(u32 pfn)
{
	return &mem.vmemmap[pfn];
}

static inline u32 page_to_pfn(const struct page *page)
{
	return page - mem.vmemmap;
}

/* --- mempolicy.c: nodes and policy, through libnuma --- */

/*
 * Of an allocation, for slab_alloc_slow() and below it: the node is the
 * policy's choice as last known, and may move when a new slab is needed.
 */
#define GFP_POLICY	0x80000000u
/*
 * The object is charged already: one comes straight from a slab, and what slots
 * and barns have is left alone.
 */
#define GFP_CHARGED	0x40000000u
static_assert(!((GFP_POLICY | GFP_CHARGED) & RN_GFP_MASK),
	      "no flags of the interface");

/* How objects that come from a node are counted. */
#define NUMA_OTHER	1U	/* the CPU belongs to another one */
#define NUMA_INTERLEAVE	2U	/* it was this one's turn */

int mempolicy_init(void);	/* 0 or -errno */
unsigned int nr_cpu_ids(void);	/* highest possible CPU + 1 */
int nr_node_ids(void);		/* highest possible node + 1, at most 64 */
bool node_has_memory(int node);	/* and the thread's cpuset allows it */
int cpu_to_node(unsigned int cpu);	/* where it is, with memory or without */
/* The node that this thread's policy, as last known, has for a CPU. */
int cpu_to_mem(unsigned int cpu);
int numa_local_node(void);	/* for the CPU that asks; or whose turn it is */
int numa_policy_node(void);	/* likewise by the policy as it is now */
void numa_turn_over(void);	/* memory came from there: then the next one */
void numa_ask_again(void);	/* the policy and the nodes that are allowed */
void numa_forget(void);		/* every thread is to ask again */
/*
 * The i-th node to try for memory wanted on @node, nearest first: i = 0 is the
 * node itself where it has memory. -1 past the last.
 */
int node_fallback(int node, unsigned int i);
unsigned int numa_tag(int node);	/* NUMA_* of what is taken there now */

/**
 * struct numa_runs - runs of pages given to users from a node so far
 * @allocs: all of them
 * @miss: wanted on another node
 * @foreign: wanted here, and given from another one
 * @interleave: given in this node's turn
 * @other: given to a CPU of another node
 */
struct numa_runs {
	u64 allocs, miss, foreign, interleave, other;
};

void numa_count_run(int wanted, int node, bool by_policy);
const struct numa_runs *numa_runs_on(int node);
int mempolicy_bind(void *p, size_t bytes, int node, bool strict);
/* The node that a page lies on, or -ENOENT: nothing is there, or nobody says. */
int page_node(const void *p);

/* --- pageblock.c: the bitmap buddy inside one pageblock --- */

/* Order of the largest free block, or -1. */
int pageblock_largest(const struct pageblock *b);
/*
 * Where to take @nr pages, 1 to 512: in a free block of the smallest sufficient
 * order, aligned to @nr rounded up to a power of two. First page, or -1.
 */
int pageblock_find(const struct pageblock *b, unsigned int nr);
/* All of them are free. */
bool pageblock_has(const struct pageblock *b, unsigned int page,
		   unsigned int nr);
/* Takes exactly these pages if all are free. */
bool pageblock_take_at(struct pageblock *b, unsigned int page, unsigned int nr);
/* False, and nothing changed, when one of them was free already. */
bool pageblock_put(struct pageblock *b, unsigned int page, unsigned int nr);
/* The system has the memory of these pages, which are free. */
void pageblock_set_released(struct pageblock *b, unsigned int page,
			    unsigned int nr);
void pageblock_clear_released(struct pageblock *b);	/* of none */
unsigned int pageblock_count_released(const struct pageblock *b,
				      unsigned int page, unsigned int nr);
/*
 * Takes at most @most free pages that are not released, wherever they are: a
 * bit of @pages for each. How many.
 */
unsigned int pageblock_isolate(struct pageblock *b, unsigned int most,
			       u64 *pages);
/* They are free again; those in @released, a part of them, are released. */
void pageblock_putback(struct pageblock *b, const u64 *pages,
		       const u64 *released);

/* --- page_alloc.c: zones, one for each node --- */

int page_alloc_init(void);
/*
 * @nr contiguous pages, aligned to @nr rounded up to a power of two but to no
 * more than a pageblock. @node must be a node number, not RN_NO_NODE; other
 * nodes follow in node_fallback() order unless RN_THISNODE. Of the flags,
 * RN_ZERO and RN_NOFAIL are the caller's business.
 * Return: first pfn, or NO_PFN with errno ENOMEM. *@zeroed (may be NULL) is set
 * if the memory is known to be zero.
 */
u32 pages_alloc(u32 nr, int node, rn_gfp_t flags, bool *zeroed);
void pages_free(u32 pfn, u32 nr);
/* Takes the pages right behind a run, in place; true if that worked. */
bool pages_extend(u32 pfn, u32 nr, u32 new_nr, rn_gfp_t flags);
/* Bytes of all that is free given back, on every node; what is reserved stays. */
size_t pages_shrink(void);

/* --- page_counts.c --- */

/*
 * Bytes: free and resident; that may be resident, in use or not; both under each
 * zone.lock in turn. The most that was in use, but for long runs; without.
 */
u64 pages_free_bytes(void);
u64 pages_held(void);
u64 pages_peak(void);

/* --- page_reporting.c: memory of free pages goes back to the system --- */

/*
 * Where more than @keep bytes of free pages are resident that could go, memory
 * goes back until no more are: long runs that are warm, idle pageblocks, then
 * free pages of those that are partly free. Bytes given back.
 */
size_t pages_release(u64 keep, enum reclaim_why why);
/*
 * A tick: 1/@part of what was free and resident ever since the last one, but a
 * pageblock at least, goes back. Bytes.
 */
size_t pages_age(u32 part);
/* Stretches of pages in one call: on the stack, of which there may be little. */
#define MANY_STRETCHES	64

/*
 * Pages of runs that are the caller's, all on one node and each stretch within
 * one pageblock: their memory goes to the system, and the next touch finds
 * zeroes. Returns how many went, from the first on; nothing has changed for the
 * others. The next one cannot go.
 */
u32 pages_make_hollow(const struct iovec *stretches, u32 nr,
		      enum reclaim_why why);
/*
 * The caller is about to touch them again. False, and nothing has changed,
 * where memory has several nodes and this one has none for them.
 */
bool pages_fill_hollow(u32 pfn, u32 nr);
/* That was so a moment ago, on the node of this page. */
bool pages_are_short(u32 pfn);
/* pages_free() of at most 64 pages; bit i of @hollow: page @pfn + i is. */
void pages_free_hollow(u32 pfn, u32 nr, u64 hollow);

/* --- warm.c --- */

/* Called before fork() while the gate is shut. */
void warm_fork_prepare(void);

/* --- ladder.c --- */

/* A moment ago no rung gave anything there, and another node had some. */
bool node_was_full(int node, rn_gfp_t flags);

/* --- reserve.c --- */

/* rn_reserve() for who is inside the gate already. */
int pages_reserve(size_t bytes, int node, unsigned int flags);

/* --- large.c: runs of pages given to a user --- */

/* Who asks for the program has asked failslab() before. */
void *large_alloc(size_t size, rn_gfp_t flags, int node);
/*
 * Of the large object at @p, of at least @size + @align - PAGEBLOCK_BYTES, what
 * starts at the first boundary of @align and has @size bytes; the rest is freed.
 */
void *large_cut(void *p, size_t size, size_t align);
void large_free(void *p, struct page *head);
/* The run at @p is charged to the counter with this id, and is no other's. */
void large_set_counter(void *p, u16 id);
/* Frees all runs that are charged to it. */
void large_free_all(u16 id);
/* In place, or moved without a copy, or NULL (then the caller copies). */
void *large_realloc(void *p, size_t size, rn_gfp_t flags);

/* Who is told of objects (mm/debug/sanitizer.c): constant once initialised. */
enum sanitizer { SANITIZER_NONE, SANITIZER_ASAN, SANITIZER_MEMCHECK };
extern enum sanitizer sanitizer;

/* Pages behind a run that are forbidden then. */
#define RUN_ZONE	(unlikely(sanitizer) ? 1U : 0U)

static inline size_t large_size(const struct page *head)
{
	return unlikely(sanitizer) ? head->asked :
		(size_t)head->nr_pages << PAGE_SHIFT;
}
/* With what is forbidden behind it. */
static inline size_t run_bytes(const struct page *head)
{
	return ((size_t)head->nr_pages + RUN_ZONE) << PAGE_SHIFT;
}
/* The head of the run that the page at @p belongs to, or NULL. */
const struct page *large_find(const void *p);
/* A run that was held back is free now. */
void large_release(void *p);
/* For a sanitizer: of what stays where it is the user has @size bytes. */
void large_resize(void *p, size_t size);

/* --- hugetlb_fork.c: called while the gate is shut --- */

void hugetlb_fork_prepare(void);
void hugetlb_fork_parent(void);
void hugetlb_fork_child(void);

/* --- slab_common.c --- */

/*
 * After the @round-th try of a request failed, from 0: is there to be another
 * one? Outside of the gate.
 */
bool reclaim(rn_gfp_t flags, unsigned int round);

/* --- slots.c --- */

/*
 * So many slots are looked at, emptied or given a share in one go. To empty one
 * that is full takes 0.4 us, and so many 0.2 ms.
 */
#define SLICE_SLOTS	512

/*
 * A tick for the slots of all caches and CPUs, a slice of it: what was in those
 * that nobody used since the last one goes into the slabs. Inside the gate; no
 * lock but that of ticks is held. Bytes of objects; *@more: it is not through.
 */
size_t slots_age(enum reclaim_why why, bool *more);

/* --- leaks.c --- */

void leaks_init(void);			/* RN_LEAKS */

void slab_debug_init(void);	/* slab_debug.c; before the first cache */

/* --- fork.c: the gate that every slow path is inside --- */

int fork_init(void);
unsigned int gate_enter(void);
void gate_exit(unsigned int ticket);

/* For who waits for a lock; see the head of fork.c. */
unsigned int gate_leave(const struct lock *l, u32 owner, unsigned int naps);
void gate_return(const struct lock *l, unsigned int depth);
bool gate_owner_gone(u32 owner);

/* --- vmstat.c, slabinfo.c --- */

/*
 * Text into a file descriptor through a small buffer on the stack.
 */
struct seq {
	int fd;
	int error;		/* 0 or the first -errno of write(2) */
	unsigned int len;
	char buf[4096];
};

void seq_open(struct seq *s, int fd);
void seq_printf(struct seq *s, const char *fmt, ...) __printf(2, 3);
void seq_write(struct seq *s, const void *p, size_t n);
int seq_close(struct seq *s);	/* 0 or -errno */

/* Each part writes its own "name value" lines. */
void vmstat_pages(struct seq *s);	/* ladder.c */
void vmstat_percpu(struct seq *s);	/* percpu.c */
void slabinfo_init(void);		/* RN_SLABINFO and the like */

/* --- stats_shm.c --- */

void stats_init(void);			/* RN_STATS_SHM */
bool stats_are_published(void);		/* somebody may ask to shrink */

#pragma GCC visibility pop

#endif /* MM_INTERNAL_H */

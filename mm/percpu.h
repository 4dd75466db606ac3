/* SPDX-License-Identifier: MIT */
/*
 * Per-CPU slots, and the words that both fast paths read.
 */
#ifndef MM_PERCPU_H
#define MM_PERCPU_H

#include "internal.h"
#include "sheaf.h"

#pragma GCC visibility push(hidden)

#define SLOT_SHIFT	6
#define SLOTS_SHIFT	21		/* bytes of slots of one CPU, log2 */
#define ROW_BITS	(SLOTS_SHIFT - SLOT_SHIFT)
#define NR_ROWS		(1U << ROW_BITS)

/* Of so many rows, from a multiple of it, a CPU's slots are opened at once. */
#define ROWS_OPENED_SHIFT	10
#define ROWS_OPENED		(1U << ROWS_OPENED_SHIFT)

/**
 * struct slot - what one CPU holds of one row, that is, cache and node
 * @main: the sheaf that the fast paths use: one of @sheaf, or NULL before the
 *	first, or &closed_sheaf
 * @sheaf: main and spare, in either order
 * @active: the slab that refills come from, or NULL
 * @lock: taken around every step where there is no rseq
 * @granted: bytes that it may hold (mm/budget.c)
 * @missed: how often it was granted less than it wanted, modulo 2^32
 * @missed_then: what that was at the last tick (this and the rest under
 *	drain_mutex, see mm/slots.c)
 * @which: its sheaves and the like when it was last looked at, as one number
 * @operations: of these sheaves, likewise
 * @recent: operations between the last two looks, or SLOT_IN_USE
 * @used: likewise since the last tick
 *
 * All zero is a valid slot, with no sheaves: what an index that never ran
 * reads from the zero page. Changed by sequences on its own CPU, one store at
 * a time; by others only while it is closed (percpu_drain()).
 *
 * Invariant: a sheaf is in one slot, or in one barn, or in the hands of one
 * slow path, or in the pool. So is a SLAB_ACTIVE slab, less the barn and pool.
 */
struct slot {
	struct sheaf *main;
	struct sheaf *sheaf[2];
	struct page *active;
	struct lock lock;
	u32 granted;
	u32 missed, missed_then;
	u32 which, operations, recent, used;
};
static_assert(sizeof(struct slot) == 1 << SLOT_SHIFT, "a cache line");
static_assert(offsetof(struct slot, main) == 0, "known to the sequences");

/* No objects and no room: both fast paths turn away from it. */
extern struct sheaf closed_sheaf;

/* Where the slot of a row is, in bytes from the first one of its CPU. */
static __always_inline size_t slot_at(size_t row)
{
	return row << SLOT_SHIFT;
}

/**
 * struct percpu - where the slots are and how a thread finds its own
 * @slots: of index 0; the next index is 1 << SLOTS_SHIFT bytes on
 * @rseq: offset of the thread's struct rseq from the thread pointer
 * @index: likewise of the field used as the index, cpu_id or mm_cid
 */
struct percpu {
	char *slots;
	ptrdiff_t rseq;
	ptrdiff_t index;
};

extern u64 rseq_aborts;

#include <asm/barrier.h>
#include <asm/rseq.h>

/**
 * struct hot - all that the fast paths read, one cache line and a word, constant
 * after initialisation but for who traces, or has a hook (mm/slab_hooks.h)
 * @base: of the reservation
 * @traced: so many trace the objects, not 0: then no address is within the span
 *	(mm/tracepoint.c); it is the top of @base, which is 0 in an address
 * @span: its length, or 0 where the fast paths of frees are shut: before
 *	initialisation, while a hook wants them, and for good where there is
 *	no rseq
 * @row_map: row of the slab in each 16 KiB
 * @pc: the slots
 * @local_max: sizes up to here have one table for all CPUs: SMALL_MAX on a
 *	single node with @medium_max, else 0
 * @node_rows: by CPU, the first row of the node that it takes from; NULL on a
 *	single node. What it points at changes with the policy (mm/slub.c)
 * @medium_max: sizes up to here have a fast path of allocation: KMALLOC_MAX, or
 *	0 where these are shut, as @span is
 */
struct hot {
	union {
		uintptr_t base;
		struct {
			u16 base_low[3];
			u16 traced;
		};
	};
	size_t span;
	const u16 *row_map;
	struct percpu pc;
	size_t local_max;
	u16 *node_rows;
	size_t medium_max;
} __aligned(64);
static_assert(offsetof(struct hot, medium_max) == 64, "one cache line");

#define SMALL_MAX	1024UL

/* Larger requests are runs of pages (mm/large.c). */
#define KMALLOC_MAX	(64UL << 10)

/* Who wants to see all objects, and has the fast paths shut (slab_hooks.h). */
enum slab_hook {
	HOOK_TRACE	= 1 << 0,	/* mm/tracepoint.c */
	HOOK_FAILSLAB	= 1 << 1,	/* mm/debug/fault_inject.c */
	HOOK_PROFILE	= 1 << 4,	/* mm/debug/profile.c */
	HOOK_HARDENED	= 1 << 8,	/* mm/debug/harden.c, these four */
	HOOK_INIT_ALLOC	= 1 << 9,
	HOOK_INIT_FREE	= 1 << 10,
	HOOK_RANDOM_CACHES = 1 << 11,
};

/* Those that want to see frees, too. */
#define HOOKS_OF_FREE	(HOOK_TRACE | HOOK_HARDENED | HOOK_INIT_FREE)

/* Under slab_mutex; read without it: it may change at any moment. */
extern unsigned int slab_hooks;

static inline unsigned int slab_hooked(unsigned int hooks)
{
	return READ_ONCE(slab_hooks) & hooks;
}

/* Where tracers look for what they count in; a part of the file, not of bss. */
#define __semaphore	__attribute__((section(".probes")))

extern struct hot hot;
extern unsigned int row_node_shift;	/* rows of a node, log2 */

/* The row of a cache on the node that the thread runs on, or just ran on. */
static inline unsigned int local_row(unsigned int row)
{
	if (unlikely(hot.node_rows))
		row += READ_ONCE(hot.node_rows[rseq_read(hot.pc.rseq + 4)]);
	return row;
}

#ifndef below_acquire
/* Is @value below *@word, which is read as by smp_load_acquire()? */
static __always_inline bool below_acquire(size_t value, const size_t *word)
{
	return value < smp_load_acquire(word);
}
#endif

static __always_inline void *fast_pop(size_t at)
{
	void *object = rseq_pop(&hot.pc, at);

	tsan_acquire(object);
	return object;
}

static __always_inline bool fast_push(size_t at, const void *object)
{
	tsan_release(object);
	return rseq_push(&hot.pc, at, object);
}

/* The row of the slab that @p lies in, or 0; false: @p is no memory of ours. */
static __always_inline bool fast_find(const void *p, unsigned int *row)
{
	uintptr_t offset = (uintptr_t)p - data_race(hot.base);

	if (unlikely(!below_acquire(offset, &hot.span)))
		return false;
	*row = hot.row_map[offset >> ROW_SHIFT];
	return true;
}

/* Frees @p on this CPU, if it is an object of a slab and there is room. */
static __always_inline bool fast_free(const void *p)
{
	unsigned int row;

	return fast_find(p, &row) && likely(fast_push(slot_at(row), p));
}

/* --- percpu.c: the same, and what only slow paths do, in either mode --- */

/**
 * struct slot_view - a slot as it was a moment ago
 * @index: whose slot
 * @main: as in the slot
 * @spare: the other sheaf, or NULL; NULL while the slot is closed
 * @where: byte offset of the spare one's place in the slot
 * @active: as in the slot
 *
 * Sheaves and descriptors are never unmapped, so what a view names can be
 * read; whatever is changed compares first.
 */
struct slot_view {
	u32 index;
	struct sheaf *main, *spare;
	size_t where;
	struct page *active;
};

int percpu_init(void);
/* Which are open, if there is rseq. The last step of initialisation, too. */
void percpu_set_fast_paths(bool allocs, bool frees);
bool percpu_has_rseq(void);

void *percpu_pop(unsigned int row);
bool percpu_push(unsigned int row, const void *object);
void percpu_view(unsigned int row, struct slot_view *v);
bool percpu_swap(unsigned int row, const struct slot_view *v);
bool percpu_set_spare(unsigned int row, struct slot_view *v,
		      struct sheaf *new);
bool percpu_set_active(unsigned int row, const struct slot_view *v,
		       struct page *new);
int percpu_open(unsigned int row, u32 index);	/* 0 or -ENOMEM */

/* Calls @look for each slot of a row that may have something; it only reads. */
typedef void (*percpu_look_t)(void *arg, const struct slot *slot);
void percpu_for_each(unsigned int row, percpu_look_t look, void *arg);

struct slot *slot_of(unsigned int row, u32 index);
bool slot_is_open(unsigned int row, u32 index);	/* for writing */
u32 percpu_indices(void);	/* 0 to this, less one */
/* The node of the CPU whose index it is; -1: of any CPU (mm_cid). */
int percpu_node(u32 index);
bool percpu_fence(void);	/* of sequences on every CPU; false: refused */

void percpu_after_fork(void);

/* Bytes that the slot may hold: up to @want, as the budget allows. */
u32 percpu_grant(unsigned int row, u32 index, u32 want);

/* --- drain.c: other CPUs' slots --- */

extern struct lock drain_mutex;

/**
 * struct rows - slots of all CPUs, in an order, or a stretch of them
 * @first: the first row
 * @nr: so many rows from there on, of each node
 * @nodes: how many nodes
 * @from: the stretch begins with this one: slots are numbered by CPU, those of
 *	a CPU by node, and those by row
 * @to: where it ends; 0 to rows_end() is all
 */
struct rows {
	unsigned int first, nr;
	int nodes;
	u64 from, to;
};

/* What becomes of what was in a slot; at least one of the three is not NULL. */
typedef void (*percpu_take_t)(void *arg, unsigned int row, struct sheaf *s[2],
			      struct page *active);

/**
 * struct drain - slots that are to be emptied
 * @rows: where they are
 * @pick: is this one of them? It has something
 * @take: gets what is in them; they are open again
 * @arg: for both
 * @nr: slots that were emptied
 * @granted: bytes of the budget that they returned
 */
struct drain {
	struct rows rows;
	bool (*pick)(void *arg, struct slot *slot);
	percpu_take_t take;
	void *arg;
	u32 nr;
	u64 granted;
};

/*
 * Empties the slots of a row on every CPU. False if the CPUs cannot be fenced
 * any more: then all is as it was.
 */
bool percpu_drain(unsigned int row, percpu_take_t take, void *arg);
/*
 * Empties the slots that are picked, with one fence for all of them, or none if
 * there are none; one that comes into use meanwhile is left alone. Under
 * drain_mutex. False as percpu_drain().
 */
bool percpu_drain_picked(struct drain *d);
/* Calls @visit for each slot of the stretch that is open for writing. */
typedef void (*percpu_visit_t)(void *arg, unsigned int row, struct slot *slot);
void percpu_walk(const struct rows *rows, percpu_visit_t visit, void *arg);
u64 rows_end(const struct rows *rows);
/* The stretch ends where it has @most such slots, or all; how many it has. */
u32 rows_limit(struct rows *rows, u32 most);
bool slot_is_empty(const struct slot *slot);	/* nor was granted anything */
void drain_after_fork(void);
void vmstat_drain(struct seq *s);

/* --- slots.c --- */

struct rows all_rows(void);	/* those that there are now */

/* --- budget.c --- */

void budget_init(void);
u32 budget_grant(struct slot *slot, u32 want);
u32 budget_return(struct slot *slot);	/* it holds nothing now; bytes */
/* At a tick: up to @want bytes in all, @bytes of them new. */
void budget_share(struct slot *slot, u32 want, u64 bytes);
u64 budget_left(void);		/* granted to nobody */
/* Is it time to look at all slots, for who was refused? Then it is his turn. */
bool budget_may_steal(void);
/* What he got; and will it be worth while to look again soon? */
void budget_stolen(u64 bytes, bool soon);
u64 budget_fair(u64 slots);	/* an equal share for so many that are in use */
void budget_looked(void);	/* a tick has looked at them */
void vmstat_budget(struct seq *s);

#pragma GCC visibility pop

#endif /* MM_PERCPU_H */

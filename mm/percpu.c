// SPDX-License-Identifier: MIT
/*
 * Per-CPU slots: how a thread finds its own, and steps that only slow paths
 * take. What is done to other CPUs' slots is in drain.c.
 *
 * With rseq a slot is changed only by sequences that run on its CPU; a
 * sequence compares what the slow path saw a moment ago and commits one store.
 * Without rseq the same steps are done under slot->lock, on any slot that can
 * be locked: nothing depends on a slot being that of the CPU, since the row
 * says which node its objects lie on.
 */
#define _GNU_SOURCE
#include "percpu.h"

#include <linux/membarrier.h>
#include <sched.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/mman.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <asm/barrier.h>

#ifndef AT_RSEQ_FEATURE_SIZE
#define AT_RSEQ_FEATURE_SIZE	27
#endif

/* Where the fields are in the kernel's struct rseq. */
#define RSEQ_CPU_ID		4
#define RSEQ_MM_CID		24

/* Slots are opened for writing in units of what meta_open() does. */
#define OPEN_SHIFT		(SLOT_SHIFT + ROWS_OPENED_SHIFT)
#define OPEN_BITS		(SLOTS_SHIFT - OPEN_SHIFT)

/* Absent before glibc 2.35; then there is no rseq. */
extern const ptrdiff_t __rseq_offset __attribute__((weak));
extern const unsigned int __rseq_size __attribute__((weak));

/* Tracers count in it (mm/tracepoint.c). */
struct hot hot __semaphore;

/* By the names that they look for, one for all four. */
#define TRACED(event)							\
	".globl libslab_" event "_semaphore\n"				\
	".hidden libslab_" event "_semaphore\n"				\
	".set libslab_" event "_semaphore, hot + 6\n"
__asm__(TRACED("kmalloc") TRACED("kfree")
	TRACED("kmem_cache_alloc") TRACED("kmem_cache_free"));
static_assert(offsetof(struct hot, traced) == 6, "known to the assembler");

struct sheaf closed_sheaf;
u64 rseq_aborts;
unsigned int row_node_shift;

static struct {
	char *slots;
	ptrdiff_t index;	/* offset of the index field, rseq only */
	u32 nr;			/* indices: 0 to nr - 1 */
	bool rseq;
	bool cid;
	const char *why;	/* there is no rseq */
	u32 *opened;		/* by index: bit i, unit i is writable */
} pcpu;

static int membarrier(int command)
{
	return syscall(SYS_membarrier, command, 0, 0);
}

/* NULL, or why sequences cannot be used. */
static const char *rseq_unusable(void)
{
	struct utsname system;

	if (options.percpu == PERCPU_FALLBACK)
		return "RN_PERCPU=fallback";
	if (!&__rseq_size || !__rseq_size)
		return "not registered by the C library";
	if ((int)rseq_read(__rseq_offset + RSEQ_CPU_ID) < 0)
		return "not registered for this thread";
	if (!uname(&system) && rseq_kernel_broken(system.release))
		return "this kernel does not abort sequences";
	if (membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ))
		return "no membarrier for it";
	return NULL;
}

static void choose_index(void)
{
	pcpu.index = __rseq_offset + RSEQ_CPU_ID;
	if (options.percpu != PERCPU_CID)
		return;
	if (getauxval(AT_RSEQ_FEATURE_SIZE) < RSEQ_MM_CID + sizeof(u32)) {
		report("RN_PERCPU=cid: the kernel has no mm_cid; using cpu_id");
		return;
	}
	pcpu.index = __rseq_offset + RSEQ_MM_CID;
	pcpu.cid = true;
}

/* Rows of the nearest node with memory, by CPU; NULL on a single node. */
static u16 *make_node_rows(void)
{
	u16 *rows;

	if (nr_node_ids() == 1)
		return NULL;
	rows = meta_alloc(nr_cpu_ids() * sizeof(*rows));
	for (u32 cpu = 0; rows && cpu < nr_cpu_ids(); cpu++)
		rows[cpu] = cpu_to_mem(cpu) << row_node_shift;
	return rows;
}

int percpu_init(void)
{
	budget_init();
	pcpu.nr = nr_cpu_ids();
	row_node_shift = ROW_BITS - ilog2(mem.nr_stripes);
	pcpu.slots = meta_reserve((size_t)pcpu.nr << SLOTS_SHIFT, PROT_READ);
	pcpu.opened = meta_alloc(pcpu.nr * sizeof(*pcpu.opened));
	if (!pcpu.slots || !pcpu.opened)
		return -ENOMEM;
	hot.pc.slots = pcpu.slots;
	/* Somebody may trace already, and begin to at this moment. */
	__atomic_fetch_add(&hot.base, mem.base, __ATOMIC_RELAXED);
	hot.row_map = mem.row_map;
	pcpu.why = rseq_unusable();
	if (pcpu.why)
		return 0;
	pcpu.rseq = true;
	choose_index();
	hot.pc.rseq = __rseq_offset;
	hot.pc.index = pcpu.index;
	hot.node_rows = make_node_rows();
	return hot.node_rows || nr_node_ids() == 1 ? 0 : -ENOMEM;
}

void percpu_set_fast_paths(bool allocs, bool frees)
{
	size_t medium = allocs && pcpu.rseq ? KMALLOC_MAX : 0;

	/* Pair with the acquires in mm/kmalloc.c: all of hot is seen. */
	smp_store_release(&hot.span, frees && pcpu.rseq ? mem.bytes : 0);
	smp_store_release(&hot.medium_max, medium);
	smp_store_release(&hot.local_max,
			  medium && !hot.node_rows ? SMALL_MAX : 0);
}

bool percpu_has_rseq(void)
{
	return pcpu.rseq;
}

u32 percpu_indices(void)
{
	return pcpu.nr;
}

int percpu_node(u32 index)
{
	return pcpu.cid ? -1 : cpu_to_node(index);
}

struct slot *slot_of(unsigned int row, u32 index)
{
	return (struct slot *)(pcpu.slots + ((size_t)index << SLOTS_SHIFT) +
			       slot_at(row));
}

static u32 open_bit(unsigned int row)
{
	return 1U << (row >> ROWS_OPENED_SHIFT);
}

bool slot_is_open(unsigned int row, u32 index)
{
	return smp_load_acquire(&pcpu.opened[index]) & open_bit(row);
}

int percpu_open(unsigned int row, u32 index)
{
	int ret;

	if (likely(slot_is_open(row, index)))
		return 0;
	ret = meta_open(slot_of(row & ~(ROWS_OPENED - 1), index),
			1UL << OPEN_SHIFT);
	if (!ret)
		__atomic_fetch_or(&pcpu.opened[index], open_bit(row),
				  __ATOMIC_RELEASE);
	return ret;
}

u32 percpu_grant(unsigned int row, u32 index, u32 want)
{
	return budget_grant(slot_of(row, index), want);
}

/* --- one slot, locked: the mode without rseq --- */

/* A locked slot of @row, that of the CPU if nobody is in it; it is open. */
static struct slot *slot_trylock_any(unsigned int row, u32 *index)
{
	int cpu = sched_getcpu();
	u32 first = cpu < 0 ? 0 : (u32)cpu % pcpu.nr;

	for (u32 i = 0; i < pcpu.nr; i++) {
		*index = (first + i) % pcpu.nr;
		if (percpu_open(row, *index))
			return NULL;
		if (trylock(&slot_of(row, *index)->lock))
			return slot_of(row, *index);
	}
	*index = first;
	lock(&slot_of(row, first)->lock);
	return slot_of(row, first);
}

static void *locked_pop(unsigned int row)
{
	void *object = NULL;
	struct slot *slot;
	struct sheaf *m;
	u32 index;

	slot = slot_trylock_any(row, &index);
	if (!slot)
		return NULL;
	m = slot->main;
	if (m && sheaf_count(m)) {
		object = m->objects[sheaf_count(m) - 1];
		WRITE_ONCE(m->word, m->word + (1UL << SHEAF_COUNT_BITS) - 1);
	}
	unlock(&slot->lock);
	return object;
}

static bool locked_push(unsigned int row, const void *object)
{
	bool done = false;
	struct slot *slot;
	struct sheaf *m;
	u32 index;

	slot = slot_trylock_any(row, &index);
	if (!slot)
		return false;
	m = slot->main;
	if (m && sheaf_count(m) < m->capacity) {
		m->objects[sheaf_count(m)] = (void *)object;
		WRITE_ONCE(m->word, m->word + (1UL << SHEAF_COUNT_BITS) + 1);
		done = true;
	}
	unlock(&slot->lock);
	return done;
}

static u64 *slot_word(struct slot *slot, size_t offset)
{
	return (u64 *)((char *)slot + offset);
}

/* What rseq_update() does, on slot @index whoever calls. */
static bool locked_update(unsigned int row, u32 index, size_t i, u64 a,
			  size_t j, u64 b, size_t k, u64 new)
{
	struct slot *slot = slot_of(row, index);
	bool same;

	/* A signal handler, and this is the slot that it found locked. */
	if (lock_is_mine(&slot->lock))
		return false;
	lock(&slot->lock);
	same = *slot_word(slot, i) == a && *slot_word(slot, j) == b;
	if (same)
		__atomic_store_n(slot_word(slot, k), new, __ATOMIC_RELAXED);
	unlock(&slot->lock);
	return same;
}

/* --- either mode --- */

void *percpu_pop(unsigned int row)
{
	return likely(pcpu.rseq) ? fast_pop(slot_at(row)) : locked_pop(row);
}

bool percpu_push(unsigned int row, const void *object)
{
	return likely(pcpu.rseq) ? fast_push(slot_at(row), object)
				 : locked_push(row, object);
}

static u32 current_index(void)
{
	int cpu;

	if (likely(pcpu.rseq))
		return rseq_read(pcpu.index);
	cpu = sched_getcpu();
	return cpu < 0 ? 0 : (u32)cpu % pcpu.nr;
}

#define MAIN	offsetof(struct slot, main)
#define SHEAF	offsetof(struct slot, sheaf)
#define ACTIVE	offsetof(struct slot, active)

void percpu_view(unsigned int row, struct slot_view *v)
{
	const struct slot *slot;
	bool first;

	v->index = current_index();
	slot = slot_of(row, v->index);
	v->main = READ_ONCE(slot->main);
	first = v->main && v->main == READ_ONCE(slot->sheaf[0]);
	v->where = SHEAF + (first ? sizeof(void *) : 0);
	v->spare = v->main == &closed_sheaf ? NULL :
		   READ_ONCE(slot->sheaf[first]);
	/* Two reads are not one moment: the spare may have become main. */
	if (v->spare == v->main)
		v->spare = NULL;
	/* Each came into the slot by percpu_set_spare(). */
	tsan_acquire(v->main);
	tsan_acquire(v->spare);
	v->active = READ_ONCE(slot->active);
}

/* if (main == v->main && word[@j] == @b) word[@k] = new; (commit) */
static bool update(unsigned int row, const struct slot_view *v, size_t j,
		   const void *b, size_t k, const void *new)
{
	if (v->main == &closed_sheaf)
		return false;
	if (pcpu.rseq)
		return rseq_update(&hot.pc, slot_at(row), v->index, MAIN,
				   (u64)v->main, j, (u64)b, k, (u64)new);
	return locked_update(row, v->index, MAIN, (u64)v->main, j, (u64)b, k,
			     (u64)new);
}

/* The spare sheaf becomes the main one. */
bool percpu_swap(unsigned int row, const struct slot_view *v)
{
	return update(row, v, v->where, v->spare, MAIN, v->spare);
}

/* @new takes the place of the spare sheaf, which is the caller's then. */
bool percpu_set_spare(unsigned int row, struct slot_view *v,
		      struct sheaf *new)
{
	tsan_release(new);
	if (!update(row, v, v->where, v->spare, v->where, new))
		return false;
	tsan_acquire(v->spare);
	return true;
}

bool percpu_set_active(unsigned int row, const struct slot_view *v,
		       struct page *new)
{
	tsan_release(new);
	if (!update(row, v, ACTIVE, v->active, ACTIVE, new))
		return false;
	tsan_acquire(v->active);
	return true;
}

/* --- all slots of a row --- */

void percpu_for_each(unsigned int row, percpu_look_t look, void *arg)
{
	for (u32 index = 0; index < pcpu.nr; index++)
		if (slot_is_open(row, index))
			look(arg, slot_of(row, index));
}

bool percpu_fence(void)
{
	return !membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ);
}

/* The child of fork() has a new mm, whose registration is not assured. */
void percpu_after_fork(void)
{
	int saved = errno;

	if (pcpu.rseq)
		membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ);
	drain_after_fork();
	errno = saved;
}

void vmstat_percpu(struct seq *s)
{
	u64 open = 0;

	for (u32 index = 0; index < pcpu.nr; index++)
		open += __builtin_popcount(READ_ONCE(pcpu.opened[index]));
	seq_printf(s, "percpu_rseq %d\n", pcpu.rseq);
	seq_printf(s, "percpu_index_mm_cid %d\n", pcpu.cid);
	seq_printf(s, "percpu_fallback %d\n", !pcpu.rseq);
	if (pcpu.why)
		seq_printf(s, "# no rseq: %s\n", pcpu.why);
	seq_printf(s, "percpu_indices %u\n", pcpu.nr);
	seq_printf(s, "percpu_slot_kbytes %lu\n",
		   (unsigned long)(open << OPEN_SHIFT >> 10));
	vmstat_budget(s);
	seq_printf(s, "rseq_aborts %lu\n",
		   (unsigned long)READ_ONCE(rseq_aborts));
	vmstat_drain(s);
}

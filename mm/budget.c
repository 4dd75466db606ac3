// SPDX-License-Identifier: MIT
/*
 * One budget for what slots hold, of all CPUs and caches together. Without it
 * that would grow with the number of CPUs, most of which a program may have left
 * long ago.
 *
 * A slot is granted bytes when a slow path first puts a sheaf into it, and
 * keeps them until it is drained: for two sheaves of the cache's capacity, and
 * for an active slab. While most of the budget is free each gets what it wants,
 * then an eighth of what is left; and once slots have been counted, what makes
 * up an equal share for each that is in use. With less than a slot wants its
 * sheaves hold fewer objects and no slab is active there; with less than an
 * object it holds nothing, and its CPU is served by the barn.
 *
 * Invariant: granted == sum of slot->granted of all slots, but for what a grant
 * or a drain is just doing; granted <= budget. No locks.
 */
#include "percpu.h"

#include <sys/sysinfo.h>

/* The least of a budget that nobody has set, and its share of the machine. */
#define BUDGET_LEAST	(64UL << 20)
#define BUDGET_SHARE	256

/*
 * Between two looks at all slots. A look is a cache line or three for each slot
 * that has something, which is felt where there are ten thousand; after one
 * that found nothing idle the next is due after twice the time, up to about
 * a tick.
 */
#define STEAL_MS	10
#define STEAL_MS_MOST	1280

static struct {
	u64 bytes;
	u64 granted;
	u64 refused;		/* grants of less than was wanted */
	u64 fair;		/* an equal share, as last known, or 0 */
	u64 next_steal;		/* by clock_ms() */
	u64 pause;		/* from one to the next, ms */
	u64 steals, stolen;	/* that found something; bytes */
} budget = { .pause = STEAL_MS };

void budget_init(void)
{
	struct sysinfo info;
	u64 ram = 0;

	if (!sysinfo(&info))
		ram = (u64)info.totalram * info.mem_unit;
	budget.bytes = options.percpu_budget ? options.percpu_budget :
		       max(BUDGET_LEAST, ram / BUDGET_SHARE);
}

/* Takes what @may_take says of what is left. */
static u32 take(u32 (*may_take)(u64 left, u64 most, u32 had), u64 most, u32 had)
{
	u64 granted = READ_ONCE(budget.granted);
	u32 more;

	do {
		more = may_take(budget.bytes - granted, most, had);
	} while (!__atomic_compare_exchange_n(&budget.granted, &granted,
					      granted + more, false,
					      __ATOMIC_RELAXED,
					      __ATOMIC_RELAXED));
	return more;
}

/* Who has an equal share has more only while there is much. */
static u32 by_itself(u64 left, u64 lack, u32 had)
{
	u64 fair = READ_ONCE(budget.fair);

	if (!fair || lack <= left / 8)
		return min(lack, left / 8);
	return min(min(lack, left), fair - min((u64)had, fair));
}

static u32 at_tick(u64 left, u64 most, u32 had)
{
	(void)had;
	return min(left, most);
}

static void give(u32 bytes)
{
	__atomic_fetch_sub(&budget.granted, bytes, __ATOMIC_RELAXED);
}

/* @more of what was taken is for @slot, which had @had; what it has then. */
static u32 add(struct slot *slot, u32 had, u32 more)
{
	if (!more)
		return had;
	/* Two at once: the other one's grant is as good. */
	if (__atomic_compare_exchange_n(&slot->granted, &had, had + more,
					false, __ATOMIC_RELAXED,
					__ATOMIC_RELAXED))
		return had + more;
	give(more);
	return had;
}

u32 budget_grant(struct slot *slot, u32 want)
{
	u32 had = READ_ONCE(slot->granted), more;

	if (likely(had >= want))
		return had;
	more = take(by_itself, want - had, had);
	if (had + more < want) {
		stat_inc(&budget.refused);
		/* Who reads it finds the cache whose slot it is. */
		__atomic_fetch_add(&slot->missed, 1, __ATOMIC_RELEASE);
	}
	return add(slot, had, more);
}

void budget_share(struct slot *slot, u32 want, u64 bytes)
{
	u32 had = READ_ONCE(slot->granted);

	if (had < want)
		add(slot, had, take(at_tick, min((u64)(want - had), bytes),
				    had));
}

u32 budget_return(struct slot *slot)
{
	u32 bytes = __atomic_exchange_n(&slot->granted, 0, __ATOMIC_RELAXED);

	give(bytes);
	return bytes;
}

u64 budget_fair(u64 slots)
{
	u64 fair = budget.bytes / max(slots, (u64)1);

	WRITE_ONCE(budget.fair, fair);
	return fair;
}

u64 budget_left(void)
{
	return budget.bytes - READ_ONCE(budget.granted);
}

/* --- who may look for what others do not use --- */

bool budget_may_steal(void)
{
	u64 now = clock_ms(), next = READ_ONCE(budget.next_steal);

	return now >= next &&
	       __atomic_compare_exchange_n(&budget.next_steal, &next,
					   now + READ_ONCE(budget.pause),
					   false, __ATOMIC_RELAXED,
					   __ATOMIC_RELAXED);
}

void budget_stolen(u64 bytes, bool soon)
{
	u64 pause = soon ? (u64)STEAL_MS :
		    min(2 * READ_ONCE(budget.pause), (u64)STEAL_MS_MOST);

	WRITE_ONCE(budget.pause, pause);
	WRITE_ONCE(budget.next_steal, clock_ms() + pause);
	if (!bytes)
		return;
	stat_inc(&budget.steals);
	stat_add(&budget.stolen, bytes);
}

void budget_looked(void)
{
	WRITE_ONCE(budget.next_steal, clock_ms() + STEAL_MS);
}

void vmstat_budget(struct seq *s)
{
	seq_printf(s, "percpu_budget_kbytes %lu\n",
		   (unsigned long)(budget.bytes >> 10));
	seq_printf(s, "percpu_granted_kbytes %lu\n",
		   (unsigned long)(READ_ONCE(budget.granted) >> 10));
	seq_printf(s, "percpu_budget_refused %lu\n",
		   (unsigned long)READ_ONCE(budget.refused));
	seq_printf(s, "percpu_budget_steals %lu\n",
		   (unsigned long)READ_ONCE(budget.steals));
	seq_printf(s, "percpu_stolen_kbytes %lu\n",
		   (unsigned long)(READ_ONCE(budget.stolen) >> 10));
}

// SPDX-License-Identifier: MIT
/*
 * One budget for what slots hold, of all CPUs and caches together. Without it
 * that would grow with the number of CPUs, most of which a program may have left
 * long ago.
 *
 * A slot is granted bytes when a slow path first puts a sheaf into it, and keeps
 * them until it is drained: for two sheaves of the cache's capacity, and for an
 * active slab. While most of the budget is free each gets what it wants, then an
 * eighth of what is left. With less than a slot wants its sheaves hold fewer
 * objects and no slab is active there; with less than an object it holds
 * nothing, and its CPU is served by the barn.
 *
 * Invariant: granted == sum of slot->granted of all slots, but for what a grant
 * or a drain is just doing; granted <= budget. No locks.
 */
#include "percpu.h"

#include <sys/sysinfo.h>

/* The least of a budget that nobody has set, and its share of the machine. */
#define BUDGET_LEAST	(64UL << 20)
#define BUDGET_SHARE	256

static struct {
	u64 bytes;
	u64 granted;
	u64 refused;		/* slots that got less than they want */
} budget;

void budget_init(void)
{
	struct sysinfo info;
	u64 ram = 0;

	if (!sysinfo(&info))
		ram = (u64)info.totalram * info.mem_unit;
	budget.bytes = options.percpu_budget ? options.percpu_budget :
		       max(BUDGET_LEAST, ram / BUDGET_SHARE);
}

/* Up to @most of what is left, taken. */
static u32 take(u32 most)
{
	u64 granted = READ_ONCE(budget.granted);
	u32 more;

	do {
		more = min((u64)most, (budget.bytes - granted) / 8);
	} while (!__atomic_compare_exchange_n(&budget.granted, &granted,
					      granted + more, false,
					      __ATOMIC_RELAXED,
					      __ATOMIC_RELAXED));
	return more;
}

static void give(u32 bytes)
{
	__atomic_fetch_sub(&budget.granted, bytes, __ATOMIC_RELAXED);
}

u32 budget_grant(struct slot *slot, u32 want)
{
	u32 had = READ_ONCE(slot->granted), more;

	if (likely(had >= want))
		return had;
	more = take(want - had);
	if (had + more < want)
		stat_inc(&budget.refused);
	if (!more)
		return had;
	/* Two at once: the other one's grant is as good. */
	if (!__atomic_compare_exchange_n(&slot->granted, &had, had + more,
					 false, __ATOMIC_RELAXED,
					 __ATOMIC_RELAXED)) {
		give(more);
		return had;
	}
	return had + more;
}

void budget_return(struct slot *slot)
{
	give(__atomic_exchange_n(&slot->granted, 0, __ATOMIC_RELAXED));
}

void vmstat_budget(struct seq *s)
{
	seq_printf(s, "percpu_budget_kbytes %lu\n",
		   (unsigned long)(budget.bytes >> 10));
	seq_printf(s, "percpu_granted_kbytes %lu\n",
		   (unsigned long)(READ_ONCE(budget.granted) >> 10));
	seq_printf(s, "percpu_budget_refused %lu\n",
		   (unsigned long)READ_ONCE(budget.refused));
}

// SPDX-License-Identifier: MIT
/*
 * RN_LIMIT: how much memory the library may hold
 * (Documentation/mm/reclaim.rst).
 *
 * What counts is memory that objects can lie in: pageblocks, but for free pages
 * that the system has the memory of (mm/page_counts.c), from before they
 * are mapped until after they are unmapped, long runs at their full length, and
 * warm runs. It is charged before it comes and uncharged when it is gone, by an
 * atomic that never goes beyond the hard limit: so there is never more of it,
 * whoever brings memory up at the same time.
 *
 * Locks: none. Charging takes none and may be done under zone.lock.
 */
#include "pressure.h"
#include "shrinker.h"
#include "slab.h"
#include "zone.h"

#include <rn/reclaim.h>

/*
 * Above the soft limit a reclaim empties the slots of all CPUs, which costs as
 * much as to bring up some pageblocks. So a 32nd of the limit may come up
 * between two of them: they cost little of what comes up, and what could have
 * been reused instead is no more than that.
 */
#define SOFT_STEP_SHIFT	5

#define NO_LIMIT	UINT64_MAX

static struct {
	u64 held;		/* bytes that are charged */
	u64 soft, hard;		/* NO_LIMIT: none */
	u64 came;		/* bytes that came up so far */
	u64 next;		/* of these, until the next soft reclaim */
	u64 reclaims;		/* for the soft limit */
} limit = { .soft = NO_LIMIT, .hard = NO_LIMIT };

bool limit_charge(u64 bytes)
{
	u64 held = READ_ONCE(limit.held), hard;

	do {
		hard = READ_ONCE(limit.hard);
		if (bytes > hard || held > hard - bytes)
			return false;
	} while (!__atomic_compare_exchange_n(&limit.held, &held, held + bytes,
					      false, __ATOMIC_RELAXED,
					      __ATOMIC_RELAXED));
	return true;
}

void limit_uncharge(u64 bytes)
{
	__atomic_fetch_sub(&limit.held, bytes, __ATOMIC_RELAXED);
}

bool limit_charge_blocks(u32 nr)
{
	u64 bytes = (u64)nr << PAGEBLOCK_SHIFT;

	if (!limit_charge(bytes))
		return false;
	stat_add(&limit.came, bytes);
	return true;
}

void limit_uncharge_blocks(u32 nr)
{
	limit_uncharge((u64)nr << PAGEBLOCK_SHIFT);
}

u64 limit_held(void)
{
	return READ_ONCE(limit.held);
}

u64 limit_left(void)
{
	u64 held = limit_held(), hard = READ_ONCE(limit.hard);

	return hard > held ? hard - held : 0;
}

bool limit_is_hit(void)
{
	return limit_left() < PAGEBLOCK_BYTES;
}

bool limit_is_near(void)
{
	return limit_held() > READ_ONCE(limit.soft) || limit_is_hit();
}

/* --- the soft limit --- */

static u64 soft_step(u64 soft)
{
	return max(soft >> SOFT_STEP_SHIFT, (u64)PAGEBLOCK_BYTES);
}

/* Of threads that come at once one is told so. */
static bool soft_is_due(u64 bytes)
{
	u64 soft = READ_ONCE(limit.soft), came, next;

	if (likely(limit_held() + bytes <= soft))
		return false;
	came = READ_ONCE(limit.came);
	next = READ_ONCE(limit.next);
	return came >= next &&
		__atomic_compare_exchange_n(&limit.next, &next,
					    came + soft_step(soft), false,
					    __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

bool limit_reclaim_soft(u32 nr)
{
	u32 blocks = DIV_ROUND_UP(nr, PAGEBLOCK_PAGES);

	if (likely(!soft_is_due((u64)blocks << PAGEBLOCK_SHIFT)))
		return false;
	stat_inc(&limit.reclaims);
	reclaim_idle(WHY_LIMIT);
	return true;
}

/* --- setting it --- */

bool limit_is_set(void)
{
	return min(READ_ONCE(limit.soft), READ_ONCE(limit.hard)) != NO_LIMIT;
}

static u64 or_none(size_t bytes)
{
	return bytes ? bytes : NO_LIMIT;
}

void limit_init(void)
{
	WRITE_ONCE(limit.soft, or_none(options.limit_soft));
	WRITE_ONCE(limit.hard, or_none(options.limit_hard));
}

/* Down to the limits, as far as there is something to give back. */
static void reclaim_excess(void)
{
	struct rn_shrink_control sc = {
		.bytes = SIZE_MAX, .priority = RN_DEF_PRIORITY,
	};

	if (limit_held() > min(READ_ONCE(limit.soft), READ_ONCE(limit.hard)))
		reclaim_all(WHY_LIMIT);
	while (limit_held() > READ_ONCE(limit.hard)) {
		if (shrink_all(&sc))
			reclaim_all(WHY_LIMIT);
		if (!sc.priority--)
			break;
	}
}

/**
 * rn_set_limit() - bound what the library holds, as RN_LIMIT does
 * @soft: bytes; above it what is free is given back before more is brought up;
 *	0 for none
 * @hard: bytes; more is never held; 0 for none
 *
 * What is held above a new limit is given back at once: what is free, and for
 * the hard one what shrinkers give. What is in use stays; as long as it is more
 * than the limit nothing comes up.
 *
 * What counts is memory that objects can lie in, in pageblocks of 2 MiB, not
 * the library's tables.
 *
 * Context: any thread, no lock of the library held; calls shrinkers; takes
 * slab_mutex, fences other CPUs. Not from a signal handler.
 * Return: 0; -EINVAL for a soft limit above the hard one; -ENOMEM where the
 * library cannot start.
 */
RN_API int rn_set_limit(size_t soft, size_t hard)
{
	int saved = errno;

	if (hard && soft > hard)
		return -EINVAL;
	mm_init();
	if (mm_init_error())
		return -mm_init_error();
	/* Who reads one of each finds limits that are no lower than either. */
	WRITE_ONCE(limit.soft, or_none(soft));
	WRITE_ONCE(limit.hard, or_none(hard));
	reclaim_excess();
	errno = saved;
	return 0;
}

/* --- figures --- */

static void limit_line(struct seq *s, const char *name, u64 bytes)
{
	seq_printf(s, "limit_%s_kbytes %lu\n", name,
		   bytes == NO_LIMIT ? 0 : (unsigned long)(bytes >> 10));
}

void vmstat_limit(struct seq *s)
{
	limit_line(s, "soft", READ_ONCE(limit.soft));
	limit_line(s, "hard", READ_ONCE(limit.hard));
	limit_line(s, "held", limit_held());
	seq_printf(s, "limit_soft_reclaims %lu\n",
		   (unsigned long)READ_ONCE(limit.reclaims));
}

/* SPDX-License-Identifier: MIT */
/*
 * Memory is short: by RN_LIMIT, in the system, or because somebody says so; and
 * when it is not, huge pages (Documentation/mm/reclaim.rst).
 */
#ifndef MM_PRESSURE_H
#define MM_PRESSURE_H

#include "internal.h"
#include "stats_shm.h"

#pragma GCC visibility push(hidden)

/* --- limit.c: RN_LIMIT --- */

/* Bytes that are about to come up; false where the hard limit has no room. */
bool limit_charge(u64 bytes);
void limit_uncharge(u64 bytes);		/* and that are gone */
/* The same for pageblocks. */
bool limit_charge_blocks(u32 nr);
void limit_uncharge_blocks(u32 nr);
u64 limit_held(void);			/* bytes that are charged */
u64 limit_left(void);			/* below the hard limit */
bool limit_is_set(void);		/* soft or hard */
bool limit_is_hit(void);		/* no room for a pageblock */
bool limit_is_near(void);		/* likewise, or above the soft one */
/*
 * Before pageblocks come up for a run of @nr pages: above the soft limit gives
 * back what is free, now and then. True if it did. Inside the gate, with no
 * lock held.
 */
bool limit_reclaim_soft(u32 nr);
void limit_init(void);
void vmstat_limit(struct seq *s);

/* --- khugepaged.c --- */

/* At a tick, inside the gate with no lock held but vmscan.lock. */
void khugepaged_tick(void);
void khugepaged_scan(void);	/* the same, however soon */
void vmstat_khugepaged(struct seq *s);

/* --- pressure.c: the system is short of memory --- */

extern const char *pressure_root;	/* before /proc and /sys */
extern u32 pressure_noted;	/* how hard to press, up to priority 0; or 0 */

/* Likewise. */
void pressure_poll(void);
/*
 * Does what was noted, or is asked for: shrinkers are asked, and what nobody
 * uses goes back. Outside of the gate and of all locks.
 */
void pressure_run(void);
bool pressure_is_on(void);		/* it was found at the last look */
/*
 * A descriptor on which poll(2) says POLLPRI when pressure begins, or -1; to be
 * closed by who asked, and not to be used in a child.
 */
int pressure_fd(void);
void vmstat_pressure(struct seq *s);

/* --- stats_shm.c: somebody asks for rn_shrink_all() from outside --- */

extern struct stats_shrink shrink_request;

void shrink_answer(void);	/* as pressure_run(), which calls it */

static inline bool shrink_is_asked(void)
{
	return (int32_t)(READ_ONCE(shrink_request.asked) -
		     READ_ONCE(shrink_request.begun)) > 0;
}

/* At the end of a slow path that may call shrinkers, outside of the gate. */
static inline void pressure_check(rn_gfp_t flags)
{
	if (unlikely(READ_ONCE(pressure_noted) || shrink_is_asked()) &&
	    !(flags & (RN_NOWAIT | RN_NORETRY)))
		pressure_run();
}

#pragma GCC visibility pop

#endif /* MM_PRESSURE_H */

// SPDX-License-Identifier: MIT
/*
 * What went back to the system because too much was free, and came again soon
 * after, should have stayed: a load that swings by more than what may be free
 * would pay for each swing, with system calls, and zeroes in every page of it.
 * So much more may be free then, until a few ticks pass in which nothing came
 * again. After the kernel's refaults, which say how much larger the list of
 * active pages should have been.
 *
 * Under zone.lock, but workingset_extra().
 */
#include "zone.h"

/* So soon after it went; a load that comes again later may as well wait. */
#define SOON_MS		100

/* What more may stay: an eighth of the most that was in use, but a few runs. */
#define EXTRA_SHARE	8
#define EXTRA_MIN	(64UL << 20)

/* With RN_DECAY_MS=0 nothing is to stay, whoever needs it next. */
void workingset_evict(struct workingset *w, u32 nr)
{
	if (!options.decay_ms)
		return;
	w->gone += nr;
	w->gone_at = clock_ms();
}

void workingset_refault(struct workingset *w, u32 nr)
{
	if (likely(!w->gone))
		return;
	if (clock_ms() > w->gone_at + SOON_MS) {
		w->gone = 0;
		return;
	}
	nr = min(nr, w->gone);
	w->gone -= nr;
	WRITE_ONCE(w->extra, w->extra + nr);
}

u32 workingset_extra(const struct workingset *w, u32 peak, u32 per_block)
{
	u32 least = (EXTRA_MIN >> PAGEBLOCK_SHIFT) * per_block;

	return min(READ_ONCE(w->extra), max(peak / EXTRA_SHARE, least));
}

void workingset_less(struct workingset *w, u32 part)
{
	WRITE_ONCE(w->extra, w->extra - DIV_ROUND_UP(w->extra, part));
}

/* A tick: a quarter less, unless it was needed again. */
void workingset_age(struct workingset *w)
{
	workingset_less(w, 4);
	w->gone = 0;
}

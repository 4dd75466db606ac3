// SPDX-License-Identifier: MIT
/*
 * Other CPUs' slots: how they are closed, and emptied.
 *
 * Under drain_mutex:
 *   1. main = &closed_sheaf in each slot that is to be emptied
 *   2. membarrier: on every CPU, sequences in flight are aborted or done
 *   3. read main again: a percpu_swap() in flight may have committed over it,
 *      and the slot is open. Where all are to be emptied, back to 1; where the
 *      idle ones are, this is not one of them
 *   4. no sequence can commit to the closed ones now: take what is in them
 *   5. main = NULL opens a slot, empty
 * Without the fence (it may be forbidden while the program runs) nothing is
 * taken, and the slots open again with what is in them.
 * Meanwhile threads on those CPUs find neither objects nor room and are served
 * from the barn by the slow path; nobody spins.
 *
 * One fence does for any number of slots, of all rows. That a slot is closed is
 * said by the slot alone: with drain_mutex held nobody else closes one.
 */
#include "percpu.h"

#include <string.h>

struct lock drain_mutex;

/* Where slots may be closed, for a child; nr is 0 while none is. */
static struct rows draining;

static u64 drains, fences, refused, idle;

/* --- which slots --- */

u64 rows_end(const struct rows *rows)
{
	return (u64)percpu_indices() * (u64)rows->nodes * rows->nr;
}

/*
 * The slot with number @at is that of *@row and *@index. Where those end that
 * are open for writing, or not, with it.
 */
static u64 find_slots(const struct rows *rows, u64 at, unsigned int *row,
		      u32 *index)
{
	u64 nodes = (u64)rows->nodes, group = at / rows->nr;
	unsigned int i = at % rows->nr;

	*index = group / nodes;
	*row = rows->first + i +
	       ((unsigned int)(group % nodes) << row_node_shift);
	return at + min(rows->nr - i, ROWS_OPENED - *row % ROWS_OPENED);
}

void percpu_walk(const struct rows *rows, percpu_visit_t visit, void *arg)
{
	u64 at = rows->from, end;
	unsigned int row;
	u32 index;

	for (; at < rows->to; at = end) {
		end = min(find_slots(rows, at, &row, &index), rows->to);
		if (!slot_is_open(row, index))
			continue;
		for (u64 i = at; i < end; i++, row++)
			visit(arg, row, slot_of(row, index));
	}
}

u32 rows_limit(struct rows *rows, u32 most)
{
	u64 at = rows->from, all = rows_end(rows), end;
	u32 left = most, index;
	unsigned int row;

	for (; at < all && left; at = end) {
		end = find_slots(rows, at, &row, &index);
		if (!slot_is_open(row, index))
			continue;
		end = min(end, at + left);
		left -= end - at;
	}
	rows->to = at;
	return most - left;
}

bool slot_is_empty(const struct slot *slot)
{
	return !READ_ONCE(slot->sheaf[0]) && !READ_ONCE(slot->sheaf[1]) &&
	       !READ_ONCE(slot->active) && !READ_ONCE(slot->granted);
}

static bool slot_is_closed(const struct slot *slot)
{
	return READ_ONCE(slot->main) == &closed_sheaf;
}

/* --- with rseq --- */

struct closing {
	struct drain *d;
	u32 nr;			/* slots that were closed in this round */
};

static void close_slot(void *arg, unsigned int row, struct slot *slot)
{
	struct closing *to = arg;
	const struct drain *d = to->d;

	(void)row;
	if (slot_is_closed(slot))
		return;
	if (d->pick && (slot_is_empty(slot) || !d->pick(d->arg, slot)))
		return;
	/* Pairs with the single committing store of percpu_swap(). */
	__atomic_store_n(&slot->main, &closed_sheaf, __ATOMIC_SEQ_CST);
	to->nr++;
}

/* Steps 1 to 3: 1, or 0 with nothing to close; -1 where there is no fence. */
static int close_slots(struct drain *d)
{
	struct closing to = { .d = d };
	int closed = 0;

	for (;;) {
		to.nr = 0;
		percpu_walk(&d->rows, close_slot, &to);
		if (!to.nr)
			return closed;
		/* A filter for system calls, or no memory for a mask. */
		if (!percpu_fence())
			return -1;
		stat_inc(&fences);
		closed = 1;
		if (d->pick)
			return closed;
	}
}

/*
 * Opens what is closed, with all that is in it. That needs no fence: main says
 * that the slot has no main sheaf, which is true of whatever the sequences in
 * flight make of it, and names none that one of them may be taking.
 */
static void open_slot(void *arg, unsigned int row, struct slot *slot)
{
	struct sheaf *closed = &closed_sheaf;

	(void)arg, (void)row;
	if (slot_is_closed(slot))
		__atomic_compare_exchange_n(&slot->main, &closed, NULL, false,
					    __ATOMIC_RELEASE, __ATOMIC_RELAXED);
}

/* What was in a slot that nobody can change, which opens. */
static void take_slot(struct drain *d, unsigned int row, struct slot *slot)
{
	struct sheaf *s[2] = { slot->sheaf[0], slot->sheaf[1] };
	struct page *active = slot->active;

	tsan_acquire(s[0]);
	tsan_acquire(s[1]);
	tsan_acquire(active);
	WRITE_ONCE(slot->sheaf[0], NULL);
	WRITE_ONCE(slot->sheaf[1], NULL);
	WRITE_ONCE(slot->active, NULL);
	smp_store_release(&slot->main, NULL);
	if (s[0] || s[1] || active)
		d->take(d->arg, row, s, active);
}

/* A slot that was first opened since step 3 is not closed, and left alone. */
static void empty_closed(void *arg, unsigned int row, struct slot *slot)
{
	struct drain *d = arg;

	if (!slot_is_closed(slot))
		return;
	d->nr++;
	d->granted += budget_return(slot);
	take_slot(d, row, slot);
}

static bool drain_closed(struct drain *d)
{
	int closed = close_slots(d);

	if (closed > 0) {
		percpu_walk(&d->rows, empty_closed, d);
	} else if (closed < 0) {
		percpu_walk(&d->rows, open_slot, NULL);
		stat_inc(&refused);
	}
	return closed >= 0;
}

/* --- without --- */

/* Who is in a slot uses it; it may be what this signal handler interrupted. */
static bool lock_slot(const struct drain *d, struct slot *slot)
{
	if (d->pick)
		return trylock(&slot->lock);
	lock(&slot->lock);
	return true;
}

static void empty_locked(void *arg, unsigned int row, struct slot *slot)
{
	struct slot copy = { 0 };
	struct drain *d = arg;

	if (d->pick && (slot_is_empty(slot) || !d->pick(d->arg, slot)))
		return;
	if (!lock_slot(d, slot))
		return;
	memcpy(copy.sheaf, slot->sheaf, sizeof(copy.sheaf));
	copy.active = slot->active;
	WRITE_ONCE(slot->sheaf[0], NULL);
	WRITE_ONCE(slot->sheaf[1], NULL);
	WRITE_ONCE(slot->active, NULL);
	WRITE_ONCE(slot->main, NULL);
	d->nr++;
	d->granted += budget_return(slot);
	unlock(&slot->lock);
	take_slot(d, row, &copy);
}

/* --- either --- */

bool percpu_drain_picked(struct drain *d)
{
	int saved = errno;
	bool done = true;

	draining = d->rows;
	if (percpu_has_rseq())
		done = drain_closed(d);
	else
		percpu_walk(&d->rows, empty_locked, d);
	draining.nr = 0;
	if (d->nr)
		stat_inc(&drains);
	if (d->pick)
		stat_add(&idle, d->nr);
	errno = saved;
	return done;
}

static void look_for_any(void *arg, const struct slot *slot)
{
	*(bool *)arg |= !slot_is_empty(slot);
}

/*
 * The mutex comes first also where there is nothing: what another drain took
 * out of these slots is where it belongs when that one has ended.
 */
bool percpu_drain(unsigned int row, percpu_take_t take, void *arg)
{
	struct drain d = {
		.rows = { .first = row, .nr = 1, .nodes = 1 },
		.take = take, .arg = arg,
	};
	bool any = false, done = true;

	d.rows.to = rows_end(&d.rows);
	lock(&drain_mutex);
	percpu_for_each(row, look_for_any, &any);
	if (any)
		done = percpu_drain_picked(&d);
	unlock(&drain_mutex);
	return done;
}

/*
 * Of a drain by a thread that is not in this child, which waited for a lock:
 * what is left closed is opened, and the mutex is free.
 */
void drain_after_fork(void)
{
	if (!draining.nr || lock_is_mine(&drain_mutex))
		return;
	percpu_walk(&draining, open_slot, NULL);
	draining.nr = 0;
	drain_mutex = (struct lock){ 0 };
}

void vmstat_drain(struct seq *s)
{
	seq_printf(s, "slot_drains %lu\n", (unsigned long)READ_ONCE(drains));
	seq_printf(s, "slots_idle %lu\n", (unsigned long)READ_ONCE(idle));
	seq_printf(s, "slot_drains_refused %lu\n",
		   (unsigned long)READ_ONCE(refused));
	seq_printf(s, "slot_fences %lu\n", (unsigned long)READ_ONCE(fences));
}

// SPDX-License-Identifier: MIT
/*
 * Who uses the slots, and what they may hold.
 *
 * A slot whose counts stand still is idle: its CPU's threads have ended, sleep,
 * or run elsewhere. At a tick all that were idle since the last one are emptied
 * (drain.c), and what they were granted of the budget is for others. Somebody
 * who is refused need not wait for the tick: he may take what was idle since
 * slots were last looked at.
 *
 * Both go over the slots a stretch at a time, each with one fence, as there may
 * be ten thousand and it may be done by a slow path. A tick looks at all first,
 * then empties, then shares; who steals looks at a stretch and empties it.
 *
 * While slots miss, a slot that is hardly used counts as idle: with fewer
 * operations in a tick than a part of what the others miss, the CPU that comes
 * back to it goes to its barn less often than they do now. And half of what is
 * left of the budget is shared by those that missed, as they did; half, so that
 * who comes next finds something.
 *
 * Where all are busy, who came first may have taken nearly everything, and the
 * others' CPUs would go to the barn for each object. So while a slot misses
 * that has less than half of an equal share, those that have more than one are
 * emptied too; when they come back, each takes its share (budget.c).
 *
 * All that is remembered of a slot (struct slot: which and below) is under
 * drain_mutex. A hash and 32 bits of a count may by chance
 * be as before: then a slot is emptied that was not idle, which costs its CPU a
 * visit to the barn.
 *
 * A look reads a cache line of each slot that was granted something and one of
 * each of its sheaves, and writes one if it was used.
 * Documentation/mm/reclaim.rst says what that costs.
 */
#include "slab.h"

/* It came to its barn: more operations than are worth counting. */
#define SLOT_IN_USE	UINT32_MAX

/* Hardly used: so many operations are less than one of the others' misses. */
#define COLD		4

/* Those of destroyed caches have nothing. */
struct rows all_rows(void)
{
	struct rows rows = {
		.first = 1, .nr = nr_rows() - 1, .nodes = nr_node_ids(),
	};

	rows.to = rows_end(&rows);
	return rows;
}

/* Two objects for each that a sheaf has, with their places, and a slab. */
static u32 slot_wants(const struct rn_cache *c)
{
	return 2 * c->sheaf_capacity * (c->size + sizeof(void *)) +
	       c->pages * PAGE_BYTES;
}

/* --- use --- */

/* One number for all but the operations. */
static u32 which_of(const struct slot *slot)
{
	const u64 odd = 0x9e3779b97f4a7c15;	/* 2^64 / golden ratio */
	u64 sum = (u64)READ_ONCE(slot->sheaf[0]);

	sum = sum * odd + (u64)READ_ONCE(slot->sheaf[1]);
	sum = sum * odd + (u64)READ_ONCE(slot->active);
	sum = sum * odd + READ_ONCE(slot->missed);
	return sum * odd >> 32;
}

/* Pairs with budget_grant(): what is not 0 has a cache, which is seen. */
static u32 missed_of(const struct slot *slot)
{
	return __atomic_load_n(&slot->missed, __ATOMIC_ACQUIRE);
}

static u32 operations_of(const struct slot *slot)
{
	u32 sum = 0;

	for (int i = 0; i < 2; i++) {
		const struct sheaf *s = READ_ONCE(slot->sheaf[i]);

		if (s)
			sum += sheaf_operations(s);
	}
	return sum;
}

/* What was done with the slot since it was last looked at. */
static void look_at(struct slot *slot)
{
	u32 which = which_of(slot), operations = operations_of(slot), more;

	more = which == slot->which ? operations - slot->operations
				    : SLOT_IN_USE;
	if (!more && !slot->recent)
		return;
	slot->which = which;
	slot->operations = operations;
	slot->recent = more;
	slot->used = min((u64)slot->used + more, (u64)SLOT_IN_USE);
}

/* --- emptying --- */

/**
 * struct age - what is known of all slots
 * @in_use: slots that were used since the last look
 * @missed: grants that were refused since the last tick
 * @slots: that were refused
 * @least: that one of those has which are in use and want more; bytes
 * @fair: an equal share of the budget, bytes
 * @to_share: bytes for those that were refused
 * @idle: slots that are to be emptied, and not for being rich
 * @bytes: of objects that went into slabs
 */
struct age {
	u64 in_use;
	u64 missed;
	u64 slots;
	u64 least;
	u64 fair;
	u64 to_share;
	u64 idle;
	size_t bytes;
};

static u64 bytes_in(const struct rn_cache *c, struct sheaf *s[2],
		    const struct page *active)
{
	u64 objects = active ? READ_ONCE(active->nr_private) : 0;

	for (int i = 0; i < 2; i++)
		if (s[i])
			objects += sheaf_count(s[i]);
	return objects * c->size;
}

static void take_idle(void *arg, unsigned int row, struct sheaf *s[2],
		      struct page *active)
{
	struct age *age = arg;

	age->bytes += bytes_in(row_to_cache(row), s, active);
	slot_flush(row, s, active);
}

/* Of a slot that missed. */
static void note_need(struct age *age, const struct rn_cache *c,
		      const struct slot *slot)
{
	u32 granted = READ_ONCE(slot->granted);

	age->slots++;
	if (slot->recent && granted < slot_wants(c))
		age->least = min(age->least, (u64)granted);
}

static void note_use(void *arg, unsigned int row, struct slot *slot)
{
	u32 missed = missed_of(slot) - slot->missed_then;
	struct age *age = arg;

	if (!missed && slot_is_empty(slot))
		return;
	look_at(slot);
	age->in_use += slot->recent != 0;
	age->missed += missed;
	if (missed)
		note_need(age, row_to_cache(row), slot);
}

static bool is_rich(const struct age *age, const struct slot *slot)
{
	return age->least < age->fair / 2 &&
	       READ_ONCE(slot->granted) > age->fair;
}

/* And the next tick begins for it. It may be a while since all were seen. */
static bool was_idle(void *arg, struct slot *slot)
{
	struct age *age = arg;
	bool idle;
	u64 used;

	look_at(slot);
	used = slot->used;
	idle = !used || used * COLD * age->slots < age->missed;
	slot->used = 0;
	age->idle += idle;
	return idle || is_rich(age, slot);
}

/* What is granted here and not used by the next tick goes back then. */
static void share(void *arg, unsigned int row, struct slot *slot)
{
	u32 missed = missed_of(slot);
	u64 part = missed - slot->missed_then;
	const struct age *age = arg;
	const struct rn_cache *c;

	if (!part)
		return;
	slot->missed_then = missed;
	look_at(slot);
	slot->used = 0;
	c = row_to_cache(row);
	/* It may have been destroyed. */
	if (READ_ONCE(c->refcount))
		budget_share(slot, slot_wants(c), age->to_share * part /
			     age->missed);
}

/* --- a tick --- */

enum step { NO_STEP, LOOK, EMPTY, SHARE };

/**
 * struct slots_tick - where a tick is, under drain_mutex
 * @step: what is being done, with all slots before the next step; NO_STEP
 *	between two ticks
 * @rows: all slots; the stretch begins where the next slice goes on
 * @age: what is known by now
 */
static struct slots_tick {
	enum step step;
	struct rows rows;
	struct age age;
} now;

static void step_over(struct slots_tick *t)
{
	struct drain d = {
		.rows = t->rows, .pick = was_idle, .take = take_idle,
		.arg = &t->age,
	};

	if (t->step == LOOK)
		percpu_walk(&t->rows, note_use, &t->age);
	else if (t->step == EMPTY)
		percpu_drain_picked(&d);
	else
		percpu_walk(&t->rows, share, &t->age);
}

/* All slots have had this one. */
static enum step next_step(struct age *age, enum step step)
{
	if (step == LOOK) {
		age->fair = budget_fair(age->in_use);
		return EMPTY;
	}
	if (step == EMPTY && age->missed) {
		age->to_share = budget_left() / 2;
		return SHARE;
	}
	budget_looked();
	return NO_STEP;
}

static void slots_slice(struct slots_tick *t)
{
	u32 left = SLICE_SLOTS;

	if (!t->step)
		*t = (struct slots_tick){
			.step = LOOK, .rows = all_rows(),
			.age.least = UINT64_MAX,
		};
	do {
		left -= rows_limit(&t->rows, left);
		step_over(t);
		t->rows.from = t->rows.to;
		if (t->rows.to == rows_end(&t->rows)) {
			t->step = next_step(&t->age, t->step);
			t->rows.from = 0;
		}
	} while (left && t->step);
}

size_t slots_age(enum reclaim_why why, bool *more)
{
	int saved = errno;
	size_t bytes;

	lock(&drain_mutex);
	now.age.bytes = 0;
	slots_slice(&now);
	bytes = now.age.bytes;
	*more = now.step;
	unlock(&drain_mutex);
	reclaim_count(why, PLACE_SLOT, bytes);
	errno = saved;
	return bytes;
}

/* --- what a slot may hold --- */

static bool stands_still(void *arg, struct slot *slot)
{
	struct age *age = arg;
	bool idle = !slot->recent;

	age->idle += idle;
	return idle || is_rich(age, slot);
}

/**
 * struct round - those who steal go round all slots, under drain_mutex
 * @rows: all slots; the stretch is the last one that was looked at
 * @age: what was seen in this round
 * @last: what was seen in the one before
 */
static struct round {
	struct rows rows;
	struct age age, last;
} stolen;

/* The next stretch is looked at; true: all have been, and a round is over. */
static bool look_on(struct round *r)
{
	r->rows.from = r->rows.to;
	if (r->rows.from == rows_end(&r->rows)) {
		r->rows = all_rows();
		r->age = (struct age){ .least = UINT64_MAX };
	}
	rows_limit(&r->rows, SLICE_SLOTS);
	percpu_walk(&r->rows, note_use, &r->age);
	if (r->rows.to != rows_end(&r->rows))
		return false;
	r->last = r->age;
	r->last.fair = budget_fair(r->age.in_use);
	return true;
}

/*
 * True if that gave something. The slot for which it is done has just missed, so
 * it is not idle; where others are poor it may be rich, and loses what it has as
 * those do. The slow path compares before it changes anything.
 */
static bool steal(void)
{
	struct drain d = {
		.pick = stands_still, .take = take_idle, .arg = &stolen.last,
	};
	int saved = errno;
	bool soon;

	if (!budget_may_steal() || !trylock(&drain_mutex))
		return false;
	stolen.last.idle = 0;
	soon = !look_on(&stolen);
	d.rows = stolen.rows;
	percpu_drain_picked(&d);
	soon |= stolen.last.idle && d.granted;
	unlock(&drain_mutex);
	budget_stolen(d.granted, soon);
	errno = saved;
	return d.granted;
}

static u32 grant(unsigned int row, u32 index, u32 want)
{
	u32 granted = percpu_grant(row, index, want);

	if (unlikely(granted < want) && steal())
		granted = percpu_grant(row, index, want);
	return granted;
}

bool slot_may_have_slab(const struct rn_cache *c, unsigned int row, u32 index)
{
	u32 want = slot_wants(c);

	return grant(row, index, want) >= want;
}

unsigned int slot_capacity(const struct rn_cache *c, unsigned int row,
			   u32 index)
{
	u32 want = slot_wants(c), granted = grant(row, index, want);

	return likely(granted >= want) ? c->sheaf_capacity :
	       granted / (2 * (c->size + sizeof(void *)));
}

// SPDX-License-Identifier: MIT
/*
 * Room below the limits of groups: what is in stock, what shrinkers give up,
 * and after that the queue.
 *
 * Locks: slab_mutex covers the caches that are flushed. Shrinkers are called,
 * and requests held, outside of every lock and of the fork gate.
 */
#include "memcontrol.h"

/* So often shrinkers are asked, if they give something, before it is held. */
#define MAX_ROUNDS	16

/* --- stock --- */

static u64 stock_of(struct rn_cache *c)
{
	struct cache_usage u;

	if (!c)
		return 0;
	cache_usage(c, &u);
	return u.cached * c->size;
}

u64 memcg_stock(struct rn_memcg *m)
{
	u64 bytes = 0;

	for (unsigned int i = 1; i <= RN_NR_CLASSES; i++)
		bytes += stock_of(smp_load_acquire(&m->caches[i]));
	return bytes;
}

/* Sheaves without objects go as well: they have room for what is freed. */
bool memcg_flush(struct rn_memcg *m)
{
	bool done = true;

	for (unsigned int i = 1; i <= RN_NR_CLASSES; i++)
		if (m->caches[i])
			done &= cache_flush(m->caches[i]);
	return done;
}

void memcg_tighten(struct page_counter *full)
{
	unsigned int ticket = gate_enter();

	lock(&slab_mutex);
	WRITE_ONCE(full->tight, 1);
	/* Pairs with flush_if_tight(): it sees this, or is seen. */
	smp_mb();
	for (u32 id = 1; id < memcg_nr_ids; id++) {
		struct rn_memcg *m = memcg_by_id(id);

		if (m && counter_is_below(&m->counter, full))
			memcg_flush(m);
	}
	unlock(&slab_mutex);
	gate_exit(ticket);
}

/* --- shrinkers --- */

/**
 * struct need - what somebody asks others for
 * @full: the counter that has no room
 * @limit: of it, that is to be kept
 * @bytes: that are to fit below it
 * @soft: nobody has to go below what is protected for it
 * @asker: the group that asks
 * @flags: of the allocation
 */
struct need {
	struct page_counter *full;
	u64 limit;
	u64 bytes;
	bool soft;
	struct rn_memcg *asker;
	rn_gfp_t flags;
};

/* What is lacking still, in bytes. */
static u64 lacking(const struct need *need)
{
	return counter_excess(need->full, need->limit, need->bytes);
}

/* Is one below the other? */
static bool is_akin(const struct rn_memcg *m, const struct need *need)
{
	return memcg_is_below(m, need->asker) || memcg_is_below(need->asker, m);
}

/* What @m may keep: its own needs are met by all it has. */
static u64 floor_of(const struct rn_memcg *m, const struct need *need,
		    bool last_resort)
{
	u64 min = READ_ONCE(m->counter.min);

	if (is_akin(m, need) && !need->soft)
		return 0;
	return last_resort ? min : max(min, READ_ONCE(m->counter.low));
}

/*
 * What @m is asked for. Others give more than is lacking, for the next
 * requests, so that the asker does not have to come again for each.
 */
static u64 wanted_of(const struct rn_memcg *m, const struct need *need,
		     u64 floor)
{
	u64 usage = READ_ONCE(m->counter.usage), bytes = lacking(need);

	if (bytes && !is_akin(m, need) &&
	    __builtin_add_overflow(bytes, counter_margin(need->full), &bytes))
		bytes = RN_MEMCG_NO_LIMIT;
	return min(bytes, usage > floor ? usage - floor : 0);
}

/* One group is asked for what it can give up; true if it gave some. */
static bool shrink_group(struct rn_memcg *m, const struct need *need,
			 unsigned int priority, bool last_resort)
{
	u64 before = READ_ONCE(m->counter.usage), after;
	u64 *events = m->counter.events;
	struct rn_shrink_control sc = {
		.flags = need->flags, .memcg = m, .priority = priority,
		.floor = floor_of(m, need, last_resort),
	};

	/* Who has not given what is not protected was asked for that. */
	if (last_resort && wanted_of(m, need, floor_of(m, need, false)))
		return false;
	sc.bytes = wanted_of(m, need, sc.floor);
	if (!sc.bytes || !shrink_all(&sc))
		return false;
	after = READ_ONCE(m->counter.usage);
	if (after < before)
		stat_add(&events[RN_MEMCG_EVENT_EVICTED], before - after);
	if (after < READ_ONCE(m->counter.low))
		stat_inc(&events[RN_MEMCG_EVENT_LOW]);
	return true;
}

/*
 * Every group below the full counter is asked, but for those that are protected
 * from who asks.
 */
static bool shrink_tree(const struct need *need, unsigned int priority,
			bool last_resort)
{
	bool gave = false;

	for (u32 id = 1; id < READ_ONCE(memcg_nr_ids); id++) {
		struct rn_memcg *m = memcg_by_id(id);

		if (m && counter_is_below(&m->counter, need->full))
			gave |= shrink_group(m, need, priority, last_resort);
	}
	return gave;
}

/* One round: harder and harder, until there is room. Did somebody give some? */
static bool make_room(const struct need *need)
{
	bool gave = false;

	counter_ask(true);
	for (unsigned int last_resort = 0; last_resort < 2; last_resort++)
		for (unsigned int i = RN_DEF_PRIORITY + 1;
		     i-- > 0 && lacking(need);)
			gave |= shrink_tree(need, i, last_resort);
	counter_ask(false);
	return gave;
}

static bool make_room_below_max(struct rn_memcg *m, struct page_counter *full,
				u64 bytes, rn_gfp_t flags)
{
	const struct need need = {
		.full = full, .limit = READ_ONCE(full->max), .bytes = bytes,
		.asker = m, .flags = flags,
	};

	return make_room(&need);
}

/*
 * Does who asks with @flags want to be declined rather than that? In a callback
 * it would wait for itself, in a constructor in the way of fork().
 */
static bool may_shrink(rn_gfp_t flags)
{
	if (flags & RN_NOFAIL)
		return true;
	return !(flags & (RN_NOWAIT | RN_NORETRY)) && !is_shrinking() &&
	       !thread_self.depth;
}

void memcg_shrink_high(struct rn_memcg *m, u64 bytes, rn_gfp_t flags)
{
	struct need need = {
		.bytes = bytes, .soft = true, .asker = m, .flags = flags,
	};

	if (!may_shrink(flags))
		return;
	for (struct page_counter *c = &m->counter; c; c = c->parent) {
		need.full = c;
		need.limit = READ_ONCE(c->high);
		if (!lacking(&need))
			continue;
		stat_inc(&c->events[RN_MEMCG_EVENT_HIGH]);
		make_room(&need);
	}
}

/* --- charges --- */

/* NULL, inside of the gate; or who refused, outside. */
static struct page_counter *try_enter(struct rn_memcg *m, u64 bytes,
				      unsigned int *ticket)
{
	struct page_counter *full = &m->counter;

	*ticket = gate_enter();
	/* Those who came before are served before. */
	if (!counter_has_waiters(full))
		full = counter_try_charge(full, bytes);
	if (full)
		gate_exit(*ticket);
	return full;
}

/* What CPUs have in stock is given up before anybody's memory is. */
static struct page_counter *try_without_stock(struct rn_memcg *m, u64 bytes,
					      struct page_counter *full,
					      unsigned int *ticket)
{
	struct page_counter *last;

	do {
		last = full;
		if (!READ_ONCE(last->tight))
			memcg_tighten(last);
		full = try_enter(m, bytes, ticket);
	} while (full && full != last);
	return full;
}

/* For the first in the queue. */
static bool look_again(const struct charge_request *request)
{
	struct page_counter *full = counter_full(request->counter,
						 request->bytes);

	return full && make_room_below_max(counter_to_memcg(request->counter),
					   full, request->bytes,
					   request->flags);
}

static int hold(struct rn_memcg *m, u64 bytes, rn_gfp_t flags,
		unsigned int *ticket)
{
	const struct charge_request request = {
		.counter = &m->counter, .bytes = bytes, .flags = flags,
		.ms = flags & RN_NOFAIL ? RN_MEMCG_FOREVER :
		      READ_ONCE(m->timeout),
		.look = look_again,
	};

	return -counter_wait(&request, ticket);
}

/* One round, below one limit after the other. NULL, or who refuses still. */
static struct page_counter *shrink_round(struct rn_memcg *m, u64 bytes,
					 rn_gfp_t flags,
					 struct page_counter *full, bool *gave,
					 unsigned int *ticket)
{
	struct page_counter *last = NULL;

	*gave = false;
	for (int i = 0; full && full != last && i < MAX_ROUNDS; i++) {
		*gave |= make_room_below_max(m, full, bytes, flags);
		last = full;
		full = try_without_stock(m, bytes, full, ticket);
	}
	return full;
}

/* After @full refused. */
static int enter_slow(struct rn_memcg *m, u64 bytes, rn_gfp_t flags,
		      struct page_counter *full, unsigned int *ticket)
{
	unsigned int retries = gfp_retries(flags);
	unsigned int rounds = retries ? retries : MAX_ROUNDS;
	bool gave = true;

	counter_event(&m->counter, RN_MEMCG_EVENT_MAX);
	full = try_without_stock(m, bytes, full, ticket);
	if (!full)
		return 0;
	if (!may_shrink(flags) || !counter_fits_ever(&m->counter, bytes))
		return ENOMEM;
	for (unsigned int round = 0; round < rounds; round++) {
		if (!gave && !retries)
			break;
		if (!gave)
			nofail_pause(round - 1);
		full = shrink_round(m, bytes, flags, full, &gave, ticket);
		if (!full)
			return 0;
	}
	if (retries && !(flags & RN_NOFAIL))
		return ENOMEM;
	return hold(m, bytes, flags, ticket);
}

int memcg_charge_enter(struct rn_memcg *m, u64 bytes, rn_gfp_t flags,
		       unsigned int *ticket)
{
	struct page_counter *full = try_enter(m, bytes, ticket);
	int err;

	if (likely(!full))
		return 0;
	err = enter_slow(m, bytes, flags, full, ticket);
	if (err)
		counter_event(&m->counter, RN_MEMCG_EVENT_FAIL);
	return err;
}

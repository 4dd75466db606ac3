// SPDX-License-Identifier: MIT
/*
 * The limits of groups, and what they say of themselves.
 */
#include "memcontrol.h"

/* --- limits --- */

static u64 *limit_of(struct rn_memcg *m, enum rn_memcg_limit limit)
{
	switch (limit) {
	case RN_MEMCG_MIN:
		return &m->counter.min;
	case RN_MEMCG_LOW:
		return &m->counter.low;
	case RN_MEMCG_HIGH:
		return &m->counter.high;
	case RN_MEMCG_MAX:
		return &m->counter.max;
	}
	return NULL;
}

/**
 * rn_memcg_set() - set a limit
 * @memcg: the group
 * @limit: which one
 * @bytes: RN_MEMCG_NO_LIMIT for none
 *
 * A max may be set below what is in use: then nothing is granted until enough was
 * freed. Who waits is given what a higher one leaves room for.
 *
 * Context: any thread; others allocate on. May take slab_mutex and fence CPUs.
 * Return: 0, or -EINVAL.
 */
RN_API int rn_memcg_set(struct rn_memcg *memcg, enum rn_memcg_limit limit,
			size_t bytes)
{
	u64 *where = memcg ? limit_of(memcg, limit) : NULL;

	if (!where)
		return -EINVAL;
	__atomic_store_n(where, bytes, __ATOMIC_SEQ_CST);
	/* What is in stock already would be handed out. */
	if (READ_ONCE(memcg->counter.usage) > READ_ONCE(memcg->counter.max))
		memcg_tighten(&memcg->counter);
	counter_wake();
	return 0;
}

/**
 * rn_memcg_get() - a limit
 * @memcg: the group
 * @limit: which one
 *
 * Context: any.
 * Return: bytes; RN_MEMCG_NO_LIMIT for none; 0 for a limit that there is not.
 */
RN_API size_t rn_memcg_get(const struct rn_memcg *memcg,
			   enum rn_memcg_limit limit)
{
	const u64 *where = limit_of((struct rn_memcg *)memcg, limit);

	return where ? READ_ONCE(*where) : 0;
}

/**
 * rn_memcg_set_timeout() - how long requests are held
 * @memcg: the group
 * @ms: milliseconds; RN_MEMCG_FOREVER: until there is room
 *
 * Context: any thread. Who waits already is not affected.
 * Return: 0, or -EINVAL.
 */
RN_API int rn_memcg_set_timeout(struct rn_memcg *memcg, unsigned int ms)
{
	if (!memcg)
		return -EINVAL;
	WRITE_ONCE(memcg->timeout, ms);
	return 0;
}

/* --- figures --- */

static u64 stock_below(const struct rn_memcg *m)
{
	u64 bytes = 0;

	for (u32 id = 1; id < READ_ONCE(memcg_nr_ids); id++) {
		struct rn_memcg *child = memcg_by_id(id);

		if (child && memcg_is_below(child, m))
			bytes += memcg_stock(child);
	}
	return bytes;
}

/**
 * rn_memcg_usage() - memory in use in a group and below it
 * @memcg: the group
 *
 * The sizes really taken of all its objects; what CPUs hold in stock is charged,
 * but not counted here.
 *
 * Context: any thread; takes no lock.
 * Return: bytes; while others allocate, of one moment or another.
 */
RN_API size_t rn_memcg_usage(struct rn_memcg *memcg)
{
	u64 charged = READ_ONCE(memcg->counter.usage);
	u64 stock = stock_below(memcg);

	return charged > stock ? charged - stock : 0;
}

/**
 * rn_memcg_peak() - the most that was charged to a group at a time
 * @memcg: the group
 *
 * Context: any.
 * Return: bytes, with what CPUs held in stock.
 */
RN_API size_t rn_memcg_peak(const struct rn_memcg *memcg)
{
	return READ_ONCE(memcg->counter.peak);
}

/**
 * rn_memcg_event() - how often something happened in a group
 * @memcg: the group
 * @event: what
 *
 * Context: any.
 * Return: a count; bytes for RN_MEMCG_EVENT_EVICTED; 0 for another @event.
 */
RN_API unsigned long rn_memcg_event(const struct rn_memcg *memcg,
				    enum rn_memcg_event event)
{
	return (unsigned int)event < RN_MEMCG_NR_EVENTS ?
	       READ_ONCE(memcg->counter.events[event]) : 0;
}

/**
 * rn_memcg_name() - the name of a group
 * @memcg: the group
 *
 * Context: any.
 * Return: the name it was made with.
 */
RN_API const char *rn_memcg_name(const struct rn_memcg *memcg)
{
	return memcg->name;
}

/* --- text --- */

struct figure {
	const char *name;
	u64 value;
};

#define NR_FIGURES	(8 + RN_MEMCG_NR_EVENTS)

static void get_figures(struct rn_memcg *m, struct figure figures[NR_FIGURES])
{
	const struct page_counter *c = &m->counter;
	const u64 *events = c->events;
	const struct figure all[NR_FIGURES] = {
		{ "current", rn_memcg_usage(m) },
		{ "stock", stock_below(m) },
		{ "peak", READ_ONCE(c->peak) },
		{ "min", READ_ONCE(c->min) },
		{ "low", READ_ONCE(c->low) },
		{ "high", READ_ONCE(c->high) },
		{ "max", READ_ONCE(c->max) },
		{ "failcnt", READ_ONCE(c->failcnt) },
		{ "events.low", READ_ONCE(events[RN_MEMCG_EVENT_LOW]) },
		{ "events.high", READ_ONCE(events[RN_MEMCG_EVENT_HIGH]) },
		{ "events.max", READ_ONCE(events[RN_MEMCG_EVENT_MAX]) },
		{ "events.fail", READ_ONCE(events[RN_MEMCG_EVENT_FAIL]) },
		{ "events.evicted", READ_ONCE(events[RN_MEMCG_EVENT_EVICTED]) },
		{ "events.held", READ_ONCE(events[RN_MEMCG_EVENT_HELD]) },
		{ "events.borrowed",
		  READ_ONCE(events[RN_MEMCG_EVENT_BORROWED]) },
	};

	for (int i = 0; i < NR_FIGURES; i++)
		figures[i] = all[i];
}

static int begin(struct rn_memcg *memcg, struct seq *s, int fd,
		 struct figure figures[NR_FIGURES])
{
	if (!memcg || fd < 0)
		return -EINVAL;
	get_figures(memcg, figures);
	seq_open(s, fd);
	return 0;
}

/**
 * rn_memcg_stat() - write the figures of a group as text
 * @memcg: the group
 * @fd: where to
 *
 * A line each, "name value", in bytes and counts; a limit that is none is "max",
 * as in the files of a control group.
 *
 * Context: any thread.
 * Return: 0, or -errno of the write; -EINVAL for no group or descriptor.
 */
RN_API int rn_memcg_stat(struct rn_memcg *memcg, int fd)
{
	struct figure figures[NR_FIGURES];
	struct seq s;
	int ret = begin(memcg, &s, fd, figures);

	if (ret)
		return ret;
	for (int i = 0; i < NR_FIGURES; i++) {
		if (figures[i].value == RN_MEMCG_NO_LIMIT)
			seq_printf(&s, "%s max\n", figures[i].name);
		else
			seq_printf(&s, "%s %lu\n", figures[i].name,
				   (unsigned long)figures[i].value);
	}
	return seq_close(&s);
}

/**
 * rn_memcg_json() - write the figures of a group as JSON
 * @memcg: the group
 * @fd: where to
 *
 * One object, "name" and the names of rn_memcg_stat(), a limit that is none is
 * null; and a line end.
 *
 * Context: any thread.
 * Return: as rn_memcg_stat().
 */
RN_API int rn_memcg_json(struct rn_memcg *memcg, int fd)
{
	struct figure figures[NR_FIGURES];
	struct seq s;
	int ret = begin(memcg, &s, fd, figures);

	if (ret)
		return ret;
	seq_printf(&s, "{\"name\":\"%s\"", memcg->name);
	for (int i = 0; i < NR_FIGURES; i++) {
		if (figures[i].value == RN_MEMCG_NO_LIMIT)
			seq_printf(&s, ",\"%s\":null", figures[i].name);
		else
			seq_printf(&s, ",\"%s\":%lu", figures[i].name,
				   (unsigned long)figures[i].value);
	}
	seq_printf(&s, "}\n");
	return seq_close(&s);
}

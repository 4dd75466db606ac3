// SPDX-License-Identifier: MIT
/*
 * The end of a group. What is reparented stays as it is, without limits, and
 * goes when the last of its objects does.
 *
 * A group that is over keeps its caches, which are empty, for the next one: a
 * thread that has just freed its last object may still be on its way out.
 *
 * Lock: slab_mutex.
 */
#include "memcontrol.h"

static struct rn_memcg *spares;

struct rn_memcg *memcg_struct(bool in_pages)
{
	struct rn_memcg **at = &spares, *m;

	while (*at && (*at)->in_pages != in_pages)
		at = &(*at)->next_spare;
	m = *at;
	if (m) {
		*at = m->next_spare;
		return m;
	}
	m = meta_alloc(sizeof(*m));
	if (m)
		m->in_pages = in_pages;
	return m;
}

/* Nothing is charged to it any more. */
static void release(struct rn_memcg *m)
{
	for (unsigned int i = 1; i <= RN_NR_CLASSES; i++)
		if (m->caches[i])
			WRITE_ONCE(m->caches[i]->refcount, 0);
	if (m->counter.parent)
		counter_to_memcg(m->counter.parent)->nr_children--;
	smp_store_release(&counters[m->id], NULL);
	m->next_spare = spares;
	spares = m;
}

/* What lies in sheaves goes first; then there is something, or nothing. */
static bool is_empty(struct rn_memcg *m)
{
	if (READ_ONCE(m->counter.usage))
		memcg_flush(m);
	return !READ_ONCE(m->counter.usage);
}

static bool can_be_reaped(struct rn_memcg *m)
{
	return m->reparented && !m->nr_children &&
	       READ_ONCE(m->counter.usage) <= memcg_stock(m) && is_empty(m);
}

void memcg_reap(void)
{
	bool again;

	do {
		again = false;
		for (u32 id = 1; id < memcg_nr_ids; id++) {
			struct rn_memcg *m = memcg_by_id(id);

			if (!m || !can_be_reaped(m))
				continue;
			release(m);
			again = true;
		}
	} while (again);
}

/* Children that are not what is left of a group. */
static bool has_live_children(const struct rn_memcg *m)
{
	for (u32 id = 1; id < memcg_nr_ids; id++) {
		const struct rn_memcg *child = memcg_by_id(id);

		if (child && child != m && !child->reparented &&
		    memcg_is_below(child, m))
			return true;
	}
	return false;
}

/* What lies in a slot would be handed out again. */
static bool flush_below(const struct rn_memcg *m)
{
	bool done = true;

	for (u32 id = 1; id < memcg_nr_ids; id++) {
		struct rn_memcg *child = memcg_by_id(id);

		if (child && memcg_is_below(child, m))
			done &= memcg_flush(child);
	}
	return done;
}

static void free_one(struct rn_memcg *m)
{
	for (unsigned int i = 1; i <= RN_NR_CLASSES; i++)
		if (m->caches[i])
			slab_discard_all(m->caches[i]);
	large_free_all(m->id);
	counter_uncharge(&m->counter, READ_ONCE(m->counter.usage));
	release(m);
}

/* With what is left of those below it, the lowest first. */
static void free_all(struct rn_memcg *m)
{
	bool again;

	do {
		again = false;
		for (u32 id = 1; id < memcg_nr_ids; id++) {
			struct rn_memcg *child = memcg_by_id(id);

			if (!child || child == m || child->nr_children ||
			    !memcg_is_below(child, m))
				continue;
			free_one(child);
			again = true;
		}
	} while (again);
	free_one(m);
}

static void reparent(struct rn_memcg *m)
{
	struct page_counter *c = &m->counter;

	WRITE_ONCE(c->max, RN_MEMCG_NO_LIMIT);
	WRITE_ONCE(c->high, RN_MEMCG_NO_LIMIT);
	WRITE_ONCE(c->low, 0);
	WRITE_ONCE(c->min, 0);
	WRITE_ONCE(c->tight, 0);
	m->reparented = true;
	memcg_reap();
}

static int end(struct rn_memcg *m, enum rn_memcg_end how)
{
	if (counter_has_waiters(&m->counter) || has_live_children(m))
		return -EBUSY;
	switch (how) {
	case RN_MEMCG_REFUSE:
		if (!is_empty(m) || m->nr_children)
			return -EBUSY;
		release(m);
		return 0;
	case RN_MEMCG_REPARENT:
		if (!m->counter.parent)
			return -EINVAL;
		reparent(m);
		return 0;
	case RN_MEMCG_FREE:
		if (!flush_below(m))
			return -EBUSY;
		free_all(m);
		return 0;
	}
	return -EINVAL;
}

/**
 * rn_memcg_destroy() - give up a group
 * @memcg: from rn_memcg_create(), or NULL
 * @how: what becomes of memory that is still charged
 *
 * Nobody may allocate in the group any more. With RN_MEMCG_FREE nobody may use
 * any of its objects either: they are gone, as if each had been freed.
 *
 * Context: takes slab_mutex, fences other CPUs.
 * Return: 0; -EBUSY with groups below it, with somebody waiting in it, or, for
 * RN_MEMCG_REFUSE, with memory charged, or when other CPUs could not be fenced:
 * then it is as it was. -EINVAL for another @how, and for RN_MEMCG_REPARENT
 * without a parent.
 */
RN_API int rn_memcg_destroy(struct rn_memcg *memcg, enum rn_memcg_end how)
{
	unsigned int ticket;
	int ret;

	if (!memcg)
		return 0;
	ticket = gate_enter();
	lock(&slab_mutex);
	memcg_reap();
	ret = memcg->reparented ? -EINVAL : end(memcg, how);
	unlock(&slab_mutex);
	gate_exit(ticket);
	return ret;
}

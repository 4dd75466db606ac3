// SPDX-License-Identifier: MIT
/*
 * What queries do. A scan goes through a table. A hash join goes through the
 * parent table first and puts it into a hash table, the build side, and then
 * through the table, the probe side, whose rows find their owners in there.
 *
 * The hash table is execution memory with the id of the query. It is acquired
 * before anything is read: a join that is declined has done nothing in vain.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include <rn/pools.h>

#include "queries.h"

/* Open addressing; 0 is no id. */
struct slot {
	uint64_t id, value;
};

/* In one piece, a large table could not be had at all. */
#define SEGMENT_SLOTS	(16UL << 10)

/**
 * struct work - a query that is being run
 * @segment: the hash table, SEGMENT_SLOTS in each
 * @nr_slots: half as many again as there are rows
 */
struct work {
	const struct query *query;
	struct answer *answer;
	struct slot **segment;
	uint64_t nr_slots;
};

/* Where @id is, or where it is to be. */
static struct slot *find(const struct work *w, uint64_t id)
{
	uint64_t at = scramble(id) % w->nr_slots;

	for (;; at = (at + 1) % w->nr_slots) {
		struct slot *slot = &w->segment[at / SEGMENT_SLOTS]
					       [at % SEGMENT_SLOTS];

		if (!slot->id || slot->id == id)
			return slot;
	}
}

/* False with errno. What there is of it has the query's id. */
static bool acquire_table(struct work *w, uint64_t rows)
{
	size_t bytes = SEGMENT_SLOTS * sizeof(struct slot);
	uint64_t id = w->query->id;
	size_t nr;

	w->nr_slots = rows + rows / 2 + 1;
	nr = (w->nr_slots + SEGMENT_SLOTS - 1) / SEGMENT_SLOTS;
	w->segment = rn_exec_acquire(id, nr * sizeof(*w->segment));
	if (!w->segment)
		return false;
	for (size_t i = 0; i < nr; i++) {
		w->segment[i] = rn_exec_acquire(id, bytes);
		if (!w->segment[i])
			return false;
		memset(w->segment[i], 0, bytes);
	}
	return true;
}

/* --- what is done with a row --- */

typedef void row_fn(struct work *w, const struct row *row);

static void build(struct work *w, const struct row *row)
{
	*find(w, row->id) = (struct slot){ row->id, row->value };
}

static void add(struct work *w, uint64_t value)
{
	w->answer->rows++;
	w->answer->sum += value;
}

static void probe(struct work *w, const struct row *row)
{
	struct slot *slot;

	if (row->kind != w->query->kind)
		return;
	slot = find(w, row->owner);
	if (slot->id)
		add(w, row->value * slot->value);
}

static void aggregate(struct work *w, const struct row *row)
{
	if (row->kind == w->query->kind)
		add(w, row->value);
}

/* Only the page that is worked on is pinned. False with errno. */
static bool each_row(const struct table *t, row_fn *fn, struct work *w)
{
	for (size_t page = 0; page < t->nr_pages; page++) {
		const struct row *rows = page_get(t, page);

		if (!rows)
			return false;
		for (size_t i = 0; i < table_rows(t, page); i++)
			fn(w, &rows[i]);
		page_put(t, page);
	}
	return true;
}

/* --- the queries --- */

static bool join(struct work *w)
{
	static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
	const struct table *t = w->query->table;
	bool done;
	int error;

	/* Two that have half of it each would wait for each other. */
	pthread_mutex_lock(&turn);
	done = acquire_table(w, t->parent->nr_rows);
	error = errno;
	pthread_mutex_unlock(&turn);
	if (done) {
		done = each_row(t->parent, build, w) && each_row(t, probe, w);
		error = errno;
	}
	/* All of it, also what there is of a table that was declined. */
	rn_exec_release(w->query->id);
	errno = error;
	return done;
}

bool run_query(const struct query *q, struct answer *answer)
{
	struct work w = { .query = q, .answer = answer };

	return q->join ? join(&w) : each_row(q->table, aggregate, &w);
}

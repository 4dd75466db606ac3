// SPDX-License-Identifier: MIT
/*
 * What a trace comes to.
 */
#include "trace.h"

#define BEYOND_MEMORY	1

static int add(void *arg, const struct step *s, struct object *obj)
{
	struct totals *sum = arg;
	const struct rnt_event *e = &s->event;
	uint64_t size = s->effect == EFFECT_FREE ? 0 : e->size;

	(void)obj;
	sum->step++;
	if (!s->implied)
		sum->calls[e->kind]++;
	if (e->time_ns + e->took_ns > sum->last_ns)
		sum->last_ns = e->time_ns + e->took_ns;
	if (s->effect == EFFECT_NONE)
		return 0;
	sum->objects += s->effect == EFFECT_NEW;
	sum->objects -= s->effect == EFFECT_FREE;
	/* Beyond that no object is, nor all of them: sums would be wrong. */
	if (size > INT64_MAX || sum->live - s->before + size > INT64_MAX)
		return BEYOND_MEMORY;
	sum->live += size - s->before;
	sum->allocated += size > s->before ? size - s->before : 0;
	if (sum->objects > sum->most_objects)
		sum->most_objects = sum->objects;
	if (sum->live > sum->peak) {
		sum->peak = sum->live;
		sum->peak_at = sum->step;
	}
	return 0;
}

/* 0, or -1 after a message on stderr. */
int totals_of(struct totals *sum, const struct trace *t)
{
	struct order o;
	int ret;

	*sum = (struct totals){ .first_ns = t->first_ns };
	ret = order_run(&o, t, add, sum);
	if (ret == BEYOND_MEMORY)
		fprintf(stderr, "slabbench: %s: more is live than any memory can hold\n",
			t->name);
	if (ret)
		return -1;
	sum->end = sum->live;
	sum->foreign = o.foreign;
	sum->lost = o.lost;
	sum->failed = o.failed;
	sum->waited = o.waited;
	return 0;
}

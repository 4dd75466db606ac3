// SPDX-License-Identifier: MIT
/*
 * The events of all threads in one order.
 *
 * They are merged by time. An allocation has the time at which it returned, a
 * free that at which it was called, so with a perfect clock each object is
 * allocated before it is freed, and its memory freed before it is another
 * object's. Clocks of CPUs may be apart, though, those of an imported trace are
 * coarse, and a realloc is a free and an allocation with a time between them.
 * So an event that does not fit what is live, the allocation of what is live or
 * the free of what is not, waits once: others that are not much later may go
 * before it. If it still does not fit, a call is missing, and that is counted.
 */
#include <stdlib.h>
#include <string.h>
#include "trace.h"

/* More than any clock is off, and less than what anybody would notice. */
#define PATIENCE_NS	1000000ULL

/**
 * struct cursor - how far a thread has come
 * @block: the next one
 * @event: the next one
 * @due_ns: when it is its turn
 */
struct cursor {
	const struct trace_thread *thread;
	size_t block;
	struct rnt_reader reader;
	struct rnt_event event;
	uint64_t due_ns;
	bool waited;
};

/* --- a heap, the earliest first --- */

static bool is_before(const struct cursor *a, const struct cursor *b)
{
	return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a < b;
}

static void sink(struct order *o, size_t i)
{
	struct cursor *c = o->heap[i];
	size_t child;

	while ((child = 2 * i + 1) < o->nr_heap) {
		if (child + 1 < o->nr_heap &&
		    is_before(o->heap[child + 1], o->heap[child]))
			child++;
		if (!is_before(o->heap[child], c))
			break;
		o->heap[i] = o->heap[child];
		i = child;
	}
	o->heap[i] = c;
}

/* --- events --- */

static void next_block(const struct trace *t, struct cursor *c)
{
	const unsigned char *at = t->data + c->thread->block[c->block++];
	struct rnt_header h;

	memcpy(&h, at, sizeof(h));
	rnt_open(&c->reader, &h, at + sizeof(h));
}

/* 1, or 0 behind the last one, or -1 after a message. */
static int next_event(const struct trace *t, struct cursor *c)
{
	int ret = rnt_next(&c->reader, &c->event);

	while (!ret && c->block < c->thread->nr_blocks) {
		next_block(t, c);
		ret = rnt_next(&c->reader, &c->event);
	}
	c->due_ns = c->event.time_ns;
	c->waited = false;
	if (ret < 0)
		fprintf(stderr, "slabbench: %s: block %zu of thread %u has something else than events\n",
			t->name, c->block, c->thread->tid);
	return ret;
}

static int start(struct order *o, const struct trace *t)
{
	int ret;

	o->cursor = calloc(t->nr_threads, sizeof(*o->cursor));
	o->heap = calloc(t->nr_threads, sizeof(struct cursor *));
	if (!o->cursor || !o->heap) {
		fprintf(stderr, "slabbench: %s: out of memory\n", t->name);
		return -1;
	}
	for (size_t i = 0; i < t->nr_threads; i++) {
		struct cursor *c = &o->cursor[i];

		c->thread = &t->thread[i];
		ret = next_event(t, c);
		if (ret < 0)
			return -1;
		if (ret)
			o->heap[o->nr_heap++] = c;
	}
	for (size_t i = o->nr_heap; i-- > 0;)
		sink(o, i);
	return 0;
}

/* --- what they do --- */

static uint64_t given_up(const struct rnt_event *e)
{
	return e->kind == RNT_FREE ? e->address : e->old;
}

static uint64_t got(const struct rnt_event *e)
{
	return e->kind == RNT_FREE ? 0 : e->address;
}

static bool fits(const struct order *o, const struct rnt_event *e)
{
	uint64_t from = given_up(e), to = got(e);

	return (!from || objects_find(&o->objects, from)) &&
		(to == from || !objects_find(&o->objects, to));
}

static enum effect effect_of(struct order *o, const struct rnt_event *e,
			     const struct object *old)
{
	if (given_up(e) && !old)
		o->foreign++;
	if (e->kind == RNT_FREE || (old && !e->address && !e->size))
		return old ? EFFECT_FREE : EFFECT_NONE;
	if (!e->address) {
		o->failed++;
		return EFFECT_NONE;
	}
	return old ? EFFECT_RESIZE : EFFECT_NEW;
}

static int remove_lost(struct order *o, const struct step *s,
		       struct object *obj)
{
	struct step lost = {
		.thread = s->thread, .event = s->event, .effect = EFFECT_FREE,
		.before = obj->size, .implied = true,
	};
	int ret = o->fn(o->arg, &lost, obj);

	o->lost++;
	objects_remove(&o->objects, obj);
	return ret;
}

static int no_memory(const struct order *o)
{
	fprintf(stderr, "slabbench: %s: out of memory\n", o->trace->name);
	return -1;
}

static int do_new(struct order *o, const struct step *s)
{
	struct object *obj = objects_add(&o->objects, s->event.address);

	if (!obj)
		return no_memory(o);
	obj->size = s->event.size;
	return o->fn(o->arg, s, obj);
}

static int do_resize(struct order *o, const struct step *s,
		     struct object *obj)
{
	int ret = o->fn(o->arg, s, obj);
	struct object moved = *obj;

	if (moved.address != s->event.address) {
		objects_remove(&o->objects, obj);
		obj = objects_add(&o->objects, s->event.address);
		if (!obj)
			return no_memory(o);
	}
	moved.address = s->event.address;
	moved.size = s->event.size;
	*obj = moved;
	return ret;
}

static int do_free(struct order *o, const struct step *s, struct object *obj)
{
	int ret = o->fn(o->arg, s, obj);

	objects_remove(&o->objects, obj);
	return ret;
}

static int apply(struct order *o, const struct cursor *c)
{
	const struct rnt_event *e = &c->event;
	struct step s = { .thread = c - o->cursor, .event = *e };
	struct object *there = NULL, *old;
	int ret = 0;

	if (got(e) && got(e) != given_up(e))
		there = objects_find(&o->objects, got(e));
	if (there)
		ret = remove_lost(o, &s, there);
	if (ret)
		return ret;
	old = objects_find(&o->objects, given_up(e));
	s.before = old ? old->size : 0;
	s.effect = effect_of(o, e, old);
	switch (s.effect) {
	case EFFECT_NEW:
		return do_new(o, &s);
	case EFFECT_RESIZE:
		return do_resize(o, &s, old);
	case EFFECT_FREE:
		return do_free(o, &s, old);
	default:
		return o->fn(o->arg, &s, NULL);
	}
}

static int advance(struct order *o)
{
	struct cursor *c = o->heap[0];
	int ret;

	if (!c->waited && !fits(o, &c->event) && o->nr_heap > 1) {
		c->waited = true;
		c->due_ns += c->event.took_ns + PATIENCE_NS;
		o->waited++;
		sink(o, 0);
		return 0;
	}
	ret = apply(o, c);
	if (ret)
		return ret;
	ret = next_event(o->trace, c);
	if (!ret)
		o->heap[0] = o->heap[--o->nr_heap];
	if (o->nr_heap)
		sink(o, 0);
	return ret < 0 ? -1 : 0;
}

/**
 * order_run() - all events of a trace, in one order
 * @o: its counts are valid afterwards
 * @t: loaded
 * @fn: called for each
 * @arg: handed on to it
 *
 * Return: 0, what @fn returned if that was not 0, or -1 after a message.
 */
int order_run(struct order *o, const struct trace *t, step_fn fn, void *arg)
{
	int ret;

	*o = (struct order){ .trace = t, .fn = fn, .arg = arg };
	ret = start(o, t);
	while (!ret && o->nr_heap)
		ret = advance(o);
	objects_free(&o->objects);
	free(o->cursor);
	free(o->heap);
	return ret;
}

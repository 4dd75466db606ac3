// SPDX-License-Identifier: MIT
/*
 * From a trace to what the threads of a replay do: see plan.h.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "plan.h"
#include "trace.h"

#define NO_THREAD	UINT32_MAX

struct slots {
	uint32_t *slot;
	size_t nr, max;
};

/**
 * struct list - the operations of a thread that is planned
 * @epoch: the last one that it takes part in, + 1
 * @slots: those that it has freed in this epoch
 */
struct list {
	struct plan_op *op;
	size_t nr, max;
	uint64_t epoch;
	struct slots slots;
};

/**
 * struct planner - a plan in the making
 * @sum: of the trace
 * @step: of sum.peak_at
 * @live: bytes, now
 * @start: and when the epoch began
 * @growth: bytes that the epoch allocates
 * @events: in this epoch
 * @threads: of each epoch, @head.nr_epochs are over
 * @last: who had the event before
 * @slots: those that were freed in epochs before
 */
struct planner {
	const struct trace *trace;
	const struct totals *sum;
	struct plan_head head;
	struct list *list;
	uint64_t step, live, start, growth, events;
	uint32_t *threads, *member;
	size_t max_epochs, nr_members;
	uint32_t last;
	struct slots slots;
};

static void *more_room(void *p, size_t n, size_t *max, size_t each)
{
	if (n < *max)
		return p;
	*max = 2 * *max + 16;
	return reallocarray(p, *max, each);
}

static int no_memory(const struct planner *pl)
{
	fprintf(stderr, "slabbench: %s: out of memory\n", pl->trace->name);
	return -1;
}

static int add_op(struct planner *pl, uint32_t thread, struct plan_op op)
{
	struct list *l = &pl->list[thread];
	struct plan_op *more = more_room(l->op, l->nr, &l->max, sizeof(*more));

	if (!more)
		return no_memory(pl);
	l->op = more;
	l->op[l->nr++] = op;
	pl->head.nr_ops++;
	return 0;
}

/* --- slots --- */

static int put_slot(struct planner *pl, struct slots *s, uint32_t slot)
{
	uint32_t *more = more_room(s->slot, s->nr, &s->max, sizeof(*more));

	if (!more)
		return no_memory(pl);
	s->slot = more;
	s->slot[s->nr++] = slot;
	return 0;
}

/*
 * One that this thread has freed, or any that was freed in an epoch before: no
 * other thread looks at it any more.
 */
static uint32_t get_slot(struct planner *pl, uint32_t thread)
{
	struct slots *own = &pl->list[thread].slots;

	if (own->nr)
		return own->slot[--own->nr];
	if (pl->slots.nr)
		return pl->slots.slot[--pl->slots.nr];
	return (uint32_t)pl->head.nr_slots++;
}

static int give_slots(struct planner *pl, struct slots *own)
{
	while (own->nr)
		if (put_slot(pl, &pl->slots, own->slot[--own->nr]))
			return -1;
	return 0;
}

/* --- epochs --- */

static int leave(struct planner *pl, uint32_t thread)
{
	int ret = give_slots(pl, &pl->list[thread].slots);

	return ret ? ret : add_op(pl, thread, (struct plan_op){
		.kind = PLAN_END, .size = pl->head.nr_epochs,
	});
}

static int end_epoch(struct planner *pl)
{
	uint32_t *more;
	int ret = 0;

	if (!pl->events)
		return 0;
	for (size_t i = 0; i < pl->nr_members && !ret; i++)
		ret = leave(pl, pl->member[i]);
	more = more_room(pl->threads, pl->head.nr_epochs, &pl->max_epochs,
			 sizeof(*more));
	if (!more)
		return no_memory(pl);
	pl->threads = more;
	pl->threads[pl->head.nr_epochs++] = (uint32_t)pl->nr_members;
	pl->nr_members = 0;
	pl->start = pl->live;
	pl->growth = pl->events = 0;
	return ret;
}

/* A new thread is started by whoever had the event before its first one. */
static int take_part(struct planner *pl, uint32_t thread)
{
	struct list *l = &pl->list[thread];
	int ret = 0;

	if (!l->nr && pl->last != NO_THREAD)
		ret = add_op(pl, pl->last, (struct plan_op){
			.kind = PLAN_START, .slot = thread,
		});
	if (!l->nr && pl->last == NO_THREAD)
		pl->head.first = thread;
	if (ret || l->epoch == pl->head.nr_epochs + 1)
		return ret;
	l->epoch = pl->head.nr_epochs + 1;
	pl->member[pl->nr_members++] = thread;
	return add_op(pl, thread, (struct plan_op){
		.kind = PLAN_BEGIN, .size = pl->head.nr_epochs,
	});
}

static uint64_t growth_of(const struct step *s)
{
	if (s->effect == EFFECT_FREE || s->event.size < s->before)
		return 0;
	return s->event.size - s->before;
}

static bool is_full(const struct planner *pl, const struct step *s)
{
	return pl->events == EPOCH_EVENTS ||
		pl->start + pl->growth + growth_of(s) > pl->sum->peak;
}

/* --- operations --- */

static int wait_for_last(struct planner *pl, uint32_t thread,
			 const struct object *obj)
{
	if (obj->thread == thread || obj->epoch != pl->head.nr_epochs)
		return 0;
	return add_op(pl, thread, (struct plan_op){
		.kind = PLAN_WAIT, .slot = obj->thread, .size = obj->op,
	});
}

/* Of no power of two: as the next larger one, which glibc makes of it. */
static uint8_t shift_of(uint64_t align)
{
	uint8_t shift = 0;

	while (shift < 63 && 1ULL << shift < align)
		shift++;
	return shift;
}

static enum plan_kind kind_of(const struct step *s)
{
	if (s->effect == EFFECT_FREE)
		return PLAN_FREE;
	if (s->effect == EFFECT_RESIZE)
		return PLAN_RESIZE;
	if (s->event.kind == RNT_CALLOC)
		return PLAN_CALLOC;
	return s->event.kind == RNT_ALIGNED ? PLAN_ALIGNED : PLAN_ALLOC;
}

static int add_call(struct planner *pl, const struct step *s,
		    struct object *obj)
{
	struct plan_op op = {
		.kind = (uint8_t)kind_of(s),
		.shift = shift_of(s->event.align),
		.size = s->effect == EFFECT_FREE ? 0 : s->event.size,
	};
	int ret;

	if (s->effect == EFFECT_NEW)
		obj->slot = get_slot(pl, s->thread);
	else if (wait_for_last(pl, s->thread, obj))
		return -1;
	op.slot = obj->slot;
	obj->thread = s->thread;
	obj->op = pl->list[s->thread].nr;
	obj->epoch = pl->head.nr_epochs;
	ret = add_op(pl, s->thread, op);
	if (!ret && s->effect == EFFECT_FREE)
		ret = put_slot(pl, &pl->list[s->thread].slots, obj->slot);
	pl->head.calls++;
	return ret;
}

static int plan_step(void *arg, const struct step *s, struct object *obj)
{
	struct planner *pl = arg;

	pl->step++;
	if (s->effect == EFFECT_NONE)
		return 0;
	if (is_full(pl, s) && end_epoch(pl))
		return -1;
	if (take_part(pl, s->thread) || add_call(pl, s, obj))
		return -1;
	pl->growth += growth_of(s);
	pl->live += (s->effect == EFFECT_FREE ? 0 : s->event.size) - s->before;
	pl->events++;
	pl->last = s->thread;
	return pl->step == pl->sum->peak_at ? end_epoch(pl) : 0;
}

/* --- the file --- */

static int put(int fd, const void *p, size_t bytes)
{
	const char *at = p;

	while (bytes) {
		ssize_t n = write(fd, at, bytes);

		if (n <= 0)
			return -1;
		at += n;
		bytes -= (size_t)n;
	}
	return 0;
}

static int put_threads(const struct planner *pl, int fd)
{
	struct plan_thread thread = { .first = 0 };

	for (size_t i = 0; i < pl->head.nr_threads; i++) {
		thread.nr = pl->list[i].nr;
		if (put(fd, &thread, sizeof(thread)))
			return -1;
		thread.first += thread.nr;
	}
	return 0;
}

static int put_all(const struct planner *pl, int fd)
{
	if (put(fd, &pl->head, sizeof(pl->head)) || put_threads(pl, fd))
		return -1;
	for (size_t i = 0; i < pl->head.nr_threads; i++)
		if (put(fd, pl->list[i].op,
			pl->list[i].nr * sizeof(struct plan_op)))
			return -1;
	return put(fd, pl->threads, pl->head.nr_epochs * sizeof(uint32_t));
}

static int write_plan(const struct planner *pl)
{
	int fd = memfd_create("slabbench plan", 0);

	if (fd >= 0 && !put_all(pl, fd))
		return fd;
	fprintf(stderr, "slabbench: %s: no memory for its plan: %s\n",
		pl->trace->name, strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

static void free_planner(struct planner *pl)
{
	for (size_t i = 0; pl->list && i < pl->head.nr_threads; i++) {
		free(pl->list[i].op);
		free(pl->list[i].slots.slot);
	}
	free(pl->list);
	free(pl->member);
	free(pl->threads);
	free(pl->slots.slot);
}

static int make(struct planner *pl)
{
	struct order o;

	pl->list = calloc(pl->head.nr_threads, sizeof(*pl->list));
	pl->member = calloc(pl->head.nr_threads, sizeof(*pl->member));
	if (!pl->list || !pl->member)
		return no_memory(pl);
	if (order_run(&o, pl->trace, plan_step, pl) || end_epoch(pl))
		return -1;
	if (pl->head.calls)
		return write_plan(pl);
	fprintf(stderr, "slabbench: %s has nothing to replay\n",
		pl->trace->name);
	return -1;
}

/**
 * plan_make() - what a replay of a trace does
 * @t: loaded
 * @sum: filled in
 * @head: filled in
 *
 * Return: a descriptor for plan_map(), which a child inherits; -1 after a
 * message on stderr.
 */
int plan_make(const struct trace *t, struct totals *sum,
	      struct plan_head *head)
{
	struct planner pl = {
		.trace = t, .sum = sum, .last = NO_THREAD,
		.head.nr_threads = t->nr_threads,
	};
	int fd;

	if (totals_of(sum, t))
		return -1;
	pl.head.peak = sum->peak;
	pl.head.end = sum->end;
	fd = make(&pl);
	*head = pl.head;
	free_planner(&pl);
	return fd;
}

/* Of such a descriptor: 0, or -1 with errno. */
int plan_map(struct plan *p, int fd)
{
	const struct plan_head *h;
	struct stat st;

	if (fstat(fd, &st))
		return -1;
	h = mmap(NULL, (size_t)st.st_size, PROT_READ,
		 MAP_SHARED | MAP_POPULATE, fd, 0);
	if (h == MAP_FAILED)
		return -1;
	p->head = h;
	p->thread = (const struct plan_thread *)(h + 1);
	p->op = (const struct plan_op *)(p->thread + h->nr_threads);
	p->epoch = (const uint32_t *)(p->op + h->nr_ops);
	return 0;
}

// SPDX-License-Identifier: MIT
/*
 * A plan, carried out by the measured process: see plan.h.
 *
 * A new object is written to, as a program would: all of it up to TOUCH_WHOLE
 * bytes, of a larger one each page up to TOUCH_MOST. What it begins with is
 * looked at when it is resized or freed, so that an allocator which hands out
 * the same memory twice is found out.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "alloc.h"
#include "plan.h"
#include "replay.h"

#define TOUCH_WHOLE	4096UL
#define TOUCH_PAGE	4096UL
#define TOUCH_MOST	(64UL << 20)
/* One call in so many is timed; a prime, as programs do things by the eight. */
#define TIME_EACH	31
/* As long as a few calls take; whoever is waited for may need this CPU. */
#define SPINS		1000
#define CACHE_LINE	64

/* What of an allocator programs use that the other workloads do not. */
struct play_ops {
	void *(*get)(size_t size);
	void *(*get_zeroed)(size_t size);
	void *(*get_aligned)(size_t size, unsigned int shift);
	void (*put)(void *p);
	void *(*resize)(void *p, size_t old, size_t size);
};

struct object_slot {
	void *p;
	size_t size;
};

struct replay;

/**
 * struct player - a thread
 * @done: operations; read by others that wait for one
 * @live: bytes allocated in this epoch, without those freed
 * @high: the most that was, since its begin
 * @untimed: calls until the next one that is timed
 */
struct player {
	_Alignas(CACHE_LINE) atomic_ullong done;
	struct replay *replay;
	uint32_t index;
	bool started;
	pthread_t thread;
	int64_t live, high;
	unsigned int untimed;
	struct latency latency;
};

/**
 * struct replay - what the threads share
 * @play: of the allocator
 * @epoch: that may be carried out
 * @sleepers: threads that wait for another
 * @left: threads that have something left in it
 * @live: of the players that are done with it, as
 * @high: likewise
 * @all: live when it began; bytes
 * @peak: the most so far
 */
struct replay {
	struct plan plan;
	struct object_slot *slot;
	struct player *player;
	struct worker *worker;
	void (*play)(struct player *me);
	atomic_uint epoch, sleepers, left;
	atomic_llong live, high;
	int64_t all, peak;
};

static struct replay replay;

/* --- from one thread to another --- */

static long futex(atomic_uint *word, int op, unsigned int value)
{
	return syscall(SYS_futex, word, op | FUTEX_PRIVATE_FLAG, value, NULL,
		       NULL, 0);
}

static void pause_cpu(void)
{
#ifdef __x86_64__
	__builtin_ia32_pause();
#else
	asm volatile("yield");
#endif
}

static void wait_for_epoch(struct replay *r, unsigned int epoch)
{
	unsigned int now;

	for (int i = 0; i < SPINS; i++) {
		if (atomic_load(&r->epoch) >= epoch)
			return;
		pause_cpu();
	}
	atomic_fetch_add(&r->sleepers, 1);
	while ((now = atomic_load(&r->epoch)) < epoch)
		futex(&r->epoch, FUTEX_WAIT, now);
	atomic_fetch_sub(&r->sleepers, 1);
}

/* It is in the same epoch, and so it is running, or wants to. */
static void wait_for_player(const struct player *other, uint64_t op)
{
	for (int i = 0; atomic_load_explicit(&other->done,
					     memory_order_acquire) <= op; i++) {
		if (i < SPINS)
			pause_cpu();
		else
			sched_yield();
	}
}

/* Of the last thread that was in it. */
static void next_epoch(struct replay *r)
{
	unsigned int next = atomic_load(&r->epoch) + 1;
	int64_t most = r->all + atomic_exchange(&r->high, 0);

	r->peak = most > r->peak ? most : r->peak;
	r->all += atomic_exchange(&r->live, 0);
	__atomic_store_n(r->worker->live, (uint64_t)r->all, __ATOMIC_RELAXED);
	if (next < r->plan.head->nr_epochs)
		atomic_store(&r->left, r->plan.epoch[next]);
	atomic_store(&r->epoch, next);
	if (atomic_load(&r->sleepers))
		futex(&r->epoch, FUTEX_WAKE, INT_MAX);
}

static void leave_epoch(struct player *me)
{
	struct replay *r = me->replay;

	atomic_fetch_add(&r->live, me->live);
	atomic_fetch_add(&r->high, me->high);
	me->live = me->high = 0;
	if (atomic_fetch_sub(&r->left, 1) == 1)
		next_epoch(r);
}

static void grow(struct player *me, size_t before, size_t size)
{
	me->live += (int64_t)size - (int64_t)before;
	me->high = me->live > me->high ? me->live : me->high;
}

/* --- objects --- */

static uint64_t stamp_of(const struct object_slot *s)
{
	return ((uintptr_t)s ^ s->size) * 0x9e3779b97f4a7c15ULL;
}

static void stamp(const struct object_slot *s)
{
	uint64_t v = stamp_of(s);

	if (s->size >= sizeof(v))
		memcpy(s->p, &v, sizeof(v));
}

static void verify(const struct player *me, const struct object_slot *s,
		   const void *p, size_t size)
{
	uint64_t v = stamp_of(s);

	if (s->size >= sizeof(v) && size >= sizeof(v) &&
	    memcmp(p, &v, sizeof(v)))
		wrong_result(me->replay->worker,
			     "an object was changed by somebody else");
}

/* What of [@from, @size) a program would have written to. */
static void touch(char *p, size_t from, size_t size)
{
	size_t most = size < TOUCH_MOST ? size : TOUCH_MOST;

	if (from >= most)
		return;
	if (most - from <= TOUCH_WHOLE) {
		memset(p + from, 1, most - from);
		keep(p);
		return;
	}
	for (size_t i = from; i < most; i += TOUCH_PAGE)
		((volatile char *)p)[i] = 1;
	((volatile char *)p)[most - 1] = 1;
}

static void set_object(struct object_slot *s, void *p, size_t from,
		       size_t size)
{
	if (!p && size)
		out_of_memory(size);
	touch(p, from, size);
	*s = (struct object_slot){ .p = p, .size = size };
	stamp(s);
}

static void check_zeroed(const struct player *me, const char *p, size_t size)
{
	if (p && size && (p[0] || p[size - 1]))
		wrong_result(me->replay->worker,
			     "calloc() gave memory that is not zeroed");
}

static void check_aligned(const struct player *me, const void *p,
			  unsigned int shift)
{
	if ((uintptr_t)p & ((1UL << shift) - 1))
		wrong_result(me->replay->worker,
			     "an object is not aligned as it was asked for");
}

/* --- calls, one in a few of them timed --- */

static bool is_timed(struct player *me)
{
	if (--me->untimed)
		return false;
	me->untimed = TIME_EACH;
	return true;
}

#define TIMED(me, kind, call)						\
	do {								\
		if (is_timed(me)) {					\
			uint64_t start = now_ns();			\
									\
			call;						\
			latency_add(kind, now_ns() - start);		\
		} else {						\
			call;						\
		}							\
	} while (0)

__bench_inline void *new_object(struct player *me, const struct plan_op *op,
				struct play_ops a)
{
	void *p;

	switch (op->kind) {
	case PLAN_CALLOC:
		TIMED(me, LATENCY_ALLOC, p = a.get_zeroed(op->size));
		check_zeroed(me, p, op->size);
		return p;
	case PLAN_ALIGNED:
		TIMED(me, LATENCY_ALLOC, p = a.get_aligned(op->size, op->shift));
		check_aligned(me, p, op->shift);
		return p;
	default:
		TIMED(me, LATENCY_ALLOC, p = a.get(op->size));
		return p;
	}
}

__bench_inline void call(struct player *me, const struct plan_op *op,
			 struct play_ops a)
{
	struct object_slot *s = &me->replay->slot[op->slot];
	size_t before = s->size;
	void *p;

	switch (op->kind) {
	case PLAN_RESIZE:
		TIMED(me, LATENCY_ALLOC, p = a.resize(s->p, before, op->size));
		if (op->size)
			must(p, op->size);
		verify(me, s, p, op->size);
		set_object(s, p, before, op->size);
		grow(me, before, op->size);
		break;
	case PLAN_FREE:
		verify(me, s, s->p, before);
		TIMED(me, LATENCY_FREE, a.put(s->p));
		*s = (struct object_slot){ .p = NULL };
		grow(me, before, 0);
		break;
	default:
		set_object(s, new_object(me, op, a), 0, op->size);
		grow(me, 0, op->size);
	}
}

static void start_player(struct replay *r, uint32_t index);

static void keep_order(struct player *me, const struct plan_op *op)
{
	struct replay *r = me->replay;

	switch (op->kind) {
	case PLAN_BEGIN:
		wait_for_epoch(r, (unsigned int)op->size);
		break;
	case PLAN_END:
		leave_epoch(me);
		break;
	case PLAN_WAIT:
		wait_for_player(&r->player[op->slot], op->size);
		break;
	default:
		start_player(r, op->slot);
	}
}

__bench_inline void play(struct player *me, struct play_ops a)
{
	const struct plan *plan = &me->replay->plan;
	const struct plan_thread *t = &plan->thread[me->index];
	const struct plan_op *op = plan->op + t->first;

	latency_start(&me->latency);
	me->untimed = TIME_EACH;
	for (uint64_t i = 0; i < t->nr; i++) {
		if (op[i].kind < PLAN_BEGIN)
			call(me, &op[i], a);
		else
			keep_order(me, &op[i]);
		atomic_store_explicit(&me->done, i + 1, memory_order_release);
	}
	latency_stop();
}

static void *player_main(void *arg)
{
	struct player *me = arg;

	me->replay->play(me);
	return NULL;
}

static void start_player(struct replay *r, uint32_t index)
{
	struct player *p = &r->player[index];
	int err = pthread_create(&p->thread, NULL, player_main, p);

	if (err) {
		errno = err;
		wrong_result(r->worker, "cannot start a thread");
	}
	p->started = true;
}

/* --- the workload --- */

/* Before what is held is looked at for the first time. */
static void prepare(struct worker *w)
{
	struct replay *r = &replay;
	uint64_t n;

	r->worker = w;
	if (plan_map(&r->plan, w->row->plan))
		wrong_result(w, "there is no plan");
	n = r->plan.head->nr_threads;
	r->slot = (struct object_slot *)w->table;
	r->player = map_populated(n * sizeof(*r->player));
	for (uint64_t i = 0; i < n; i++) {
		r->player[i].replay = r;
		r->player[i].index = (uint32_t)i;
	}
	atomic_store(&r->left, r->plan.epoch[0]);
}

static size_t replay_len(const struct row *row)
{
	return row->count * sizeof(struct object_slot) / sizeof(void *);
}

/* The first one is this thread; then whatever the program left is freed. */
static void replay_all(struct worker *w, void (*play_one)(struct player *me),
		       void (*put)(void *p))
{
	struct replay *r = &replay;
	struct player *first = &r->player[r->plan.head->first];

	r->play = play_one;
	mark_memory(w);
	w->start_ns[0] = now_ns();
	play_one(first);
	for (uint64_t i = 0; i < r->plan.head->nr_threads; i++)
		if (r->player[i].started)
			pthread_join(r->player[i].thread, NULL);
	phase_end(w);
	for (uint64_t i = 0; i < r->plan.head->nr_slots; i++)
		put(r->slot[i].p);
	*w->live = 0;
	w->ops = r->plan.head->calls;
	w->peak_live = (uint64_t)r->peak;
	for (uint64_t i = 0; i < r->plan.head->nr_threads; i++)
		if (r->player[i].started || &r->player[i] == first)
			latency_merge(w->latency, &r->player[i].latency);
}

/* --- the allocators --- */

__bench_inline void *rn_get_zeroed(size_t size)
{
	return rn_zalloc(size, RN_KERNEL);
}

/* Objects of such a size are aligned to it. */
__bench_inline void *rn_get_aligned(size_t size, unsigned int shift)
{
	size_t room = 1UL << shift;

	while (room < size)
		room *= 2;
	return rn_alloc(room, RN_KERNEL);
}

__bench_inline void *malloc_get_zeroed(size_t size)
{
	return calloc(1, size);
}

__bench_inline void *malloc_get_aligned(size_t size, unsigned int shift)
{
	size_t align = 1UL << shift;
	void *p;

	if (align < sizeof(p))
		align = sizeof(p);
	return posix_memalign(&p, align, size) ? NULL : p;
}

#define PLAY_INSTANCE(name)						\
	static void play_##name(struct player *me)			\
	{								\
		play(me, (struct play_ops){				\
			name##_get, name##_get_zeroed,			\
			name##_get_aligned, name##_put, name##_resize,	\
		});							\
	}								\
	static void put_##name(void *p)					\
	{								\
		name##_put(p);						\
	}								\
	static void replay_##name(struct worker *w)			\
	{								\
		replay_all(w, play_##name, put_##name);			\
	}
PLAY_INSTANCE(rn)
PLAY_INSTANCE(malloc)

static const unsigned int one[] = { 1, 0 };

const struct workload workload_replay = {
	.name = "replay",
	.help = "what a program was recorded to do; an operation is a call",
	.total = 1,
	.threads = one,
	.phases = { "replay", "exit" },
	.cold = true,
	.table_len = replay_len,
	.prepare = prepare,
	.run = {
		[ALLOC_RN] = replay_rn,
		[ALLOC_MALLOC] = replay_malloc,
	},
};

/* SPDX-License-Identifier: MIT */
/*
 * What tests of drains share. syscall() is the test's, so that something can be
 * done between the moment that slots are closed and the fence, and after it; a
 * drain can be had that calls the test when it picks a slot and when it has
 * taken what was in one; and the sequences have the test's code between their
 * steps, so that one can be stopped inside, or take long.
 *
 * Comes before all headers of the library.
 */
#ifndef SELFTESTS_DRAIN_H
#define SELFTESTS_DRAIN_H

#include <linux/compiler.h>

/* Shared with the code between the steps. */
extern u32 inject_passed[8], inject_delay, inject_spin, inject_reached;
extern u32 inject_trap;

#include <asm/rseq_inject.h>

#include "slots.h"

#include <dlfcn.h>
#include <linux/membarrier.h>
#include <stdarg.h>
#include <sys/syscall.h>

u32 inject_passed[8], inject_delay, inject_spin, inject_reached, inject_trap;

/* --- the moments of a drain --- */

static bool (*before_fence)(void);	/* false: it is refused */
static void (*after_fence)(void) __attribute__((unused));

static inline bool is_fence(long number, long command)
{
	return number == SYS_membarrier &&
	       command == MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ;
}

/* As many arguments as there may be, also where fewer were passed. */
__attribute__((no_sanitize("address"))) long syscall(long number, ...)
{
	static long (*next)(long number, ...);
	long a[6], ret;
	va_list ap;

	if (!READ_ONCE(next))
		WRITE_ONCE(next, (long (*)(long, ...))dlsym(RTLD_NEXT,
							    "syscall"));
	va_start(ap, number);
	for (size_t i = 0; i < ARRAY_LEN(a); i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if (is_fence(number, a[0]) && before_fence && !before_fence()) {
		errno = EPERM;
		return -1;
	}
	ret = next(number, a[0], a[1], a[2], a[3], a[4], a[5]);
	if (is_fence(number, a[0]) && after_fence)
		after_fence();
	return ret;
}

enum moment {
	PICKED,			/* it is found, and not closed yet */
	CLOSED,			/* before the fence; with rseq only */
	FENCED,			/* after it, likewise */
	TAKEN,			/* open, and what was in it is in hand */
	NR_MOMENTS
};

/* Called at each moment of the drains below, unless NULL. */
static void (*at_moment)(enum moment m);

static inline void moment(enum moment m)
{
	if (at_moment)
		at_moment(m);
}

static inline bool at_closed(void)
{
	moment(CLOSED);
	return true;
}

static inline void at_fenced(void)
{
	moment(FENCED);
}

static inline bool at_picked(void *arg, struct slot *slot)
{
	(void)arg, (void)slot;
	moment(PICKED);
	return true;
}

static inline void at_taken(void *arg, unsigned int row, struct sheaf *s[2],
			    struct page *active)
{
	(void)arg;
	moment(TAKEN);
	slot_flush(row, s, active);
}

/* From here on @at is called; at the fences of any other drain, too. */
static inline void call_at_moments(void (*at)(enum moment m))
{
	at_moment = at;
	before_fence = at ? at_closed : NULL;
	after_fence = at ? at_fenced : NULL;
}

/* All slots are emptied. */
static inline void drain_all(void)
{
	struct drain d = { .pick = at_picked, .take = at_taken };
	unsigned int ticket = gate_enter();

	lock(&drain_mutex);
	d.rows = all_rows();
	must(percpu_drain_picked(&d));
	unlock(&drain_mutex);
	gate_exit(ticket);
}

/* --- something at one of them --- */

static enum moment wanted;
static void (*beside)(void);	/* to be done then, once */

static inline void at_wanted(enum moment m)
{
	void (*now)(void) = beside;

	if (m != wanted || !now)
		return;
	beside = NULL;
	now();
}

/* A drain, with @what in the middle of it; some slot has something. */
static inline void drain_with(enum moment m, void (*what)(void))
{
	wanted = m;
	beside = what;
	call_at_moments(at_wanted);
	drain_all();
	call_at_moments(NULL);
	must(!beside);
	must(!held_by_all().closed);
}

static inline void wait_for_flag(const bool *flag)
{
	while (!smp_load_acquire(flag))
		usleep(100);
}

/* --- sequences with the test's code in them --- */

/* percpu_swap() */
static inline bool swap_injected(unsigned int row, const struct slot_view *v)
{
	size_t main = offsetof(struct slot, main);

	return rseq_update(&hot.pc, slot_at(row), v->index, main, (u64)v->main,
			   v->where, (u64)v->spare, main, (u64)v->spare);
}

static inline void *alloc_injected(struct rn_cache *c)
{
	void *p = NULL;

	if (percpu_has_rseq())
		p = fast_pop(slot_at(local_row(row_on(c, 0))));
	return p ? p : rn_cache_alloc(c, 0);
}

static inline void free_injected(struct rn_cache *c, void *p)
{
	if (!percpu_has_rseq() || !fast_free(p))
		rn_cache_free(c, p);
}

/* --- everything takes long --- */

#define PAUSES		20	/* at each step of a sequence: it takes 5 us */
#define MOMENT_US	200	/* of a drain, at most */

static u64 long_moments;
static __thread u64 random_state;

static inline u64 below(u64 limit)
{
	if (!random_state)
		random_state = (u64)gettid() * 0x9e3779b97f4a7c15;
	return xorshift(&random_state) % limit;
}

/* Slots are many, so one of them now and then. */
static inline void be_long(enum moment m)
{
	if ((m == PICKED || m == TAKEN) && below(16))
		return;
	stat_inc(&long_moments);
	usleep(below(MOMENT_US));
}

/* From here on drains and sequences do. */
static inline void take_long(void)
{
	inject_delay = PAUSES;
	call_at_moments(be_long);
}

/* --- objects that go from thread to thread --- */

#define SHARED		256
#define SHARED_CACHES	3

static u64 *shared[SHARED];

/* As a slow path may; to others it changes nothing. */
static inline void swap_some(struct rn_cache *c)
{
	unsigned int row = row_on(c, numa_local_node());
	struct slot_view v;

	percpu_view(row, &v);
	if (percpu_has_rseq() && v.spare && v.main != &closed_sheaf)
		swap_injected(row, &v);
}

/* Puts an object in a place and frees the one that was there. */
static inline void exchange_one(void)
{
	u64 at = below(SHARED), *p, *old;
	struct rn_cache *c = caches[at % SHARED_CACHES];

	p = alloc_injected(c);
	must(p);
	p[0] = p[7] = at;
	old = __atomic_exchange_n(&shared[at], p, __ATOMIC_ACQ_REL);
	if (!below(16))
		swap_some(c);
	if (!old)
		return;
	must(old[0] == at && old[7] == at);
	old[0] = old[7] = ~0UL;
	free_injected(c, old);
}

/* Nobody else runs: what is out is what lies there, and it goes back. */
static inline void end_exchange(void)
{
	u64 out[SHARED_CACHES] = { 0 };

	call_at_moments(NULL);
	for (int i = 0; i < SHARED; i++)
		out[i % SHARED_CACHES] += shared[i] != NULL;
	for (int i = 0; i < SHARED_CACHES; i++)
		expect_active(caches[i], out[i]);
	for (int i = 0; i < SHARED; i++) {
		must(!shared[i] || shared[i][0] == (u64)i);
		if (shared[i])
			rn_cache_free(caches[i % SHARED_CACHES], shared[i]);
	}
	/*
	 * The first may but end a pass that a thread has begun which was stopped.
	 * What was idle at the next is gone, and all after the last.
	 */
	for (int i = 0; i < 3; i++)
		tick();
	expect_slots_empty();
	for (int i = 0; i < SHARED_CACHES; i++)
		expect_active(caches[i], 0);
}

#endif /* SELFTESTS_DRAIN_H */

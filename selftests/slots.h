/* SPDX-License-Identifier: MIT */
/*
 * What tests of slots share: some caches, used on each CPU, ticks, and what the
 * slots have then.
 */
#ifndef SELFTESTS_SLOTS_H
#define SELFTESTS_SLOTS_H

#include "helpers.h"
#include "must.h"
#include "slab.h"

#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#define CACHES	20
#define OBJECTS	600	/* more than a slot's two sheaves have */

static struct rn_cache *caches[CACHES];
static cpu_set_t allowed;	/* CPUs that this test may use */

static inline void setup_with(const char *decay_ms)
{
	struct rn_cache_args args = {
		.sz = sizeof(args), .size = 64, .flags = RN_NOMERGE,
	};

	setenv("RN_DECAY_MS", decay_ms, 1);
	for (int i = 0; i < CACHES; i++) {
		caches[i] = rn_cache_create("slots", &args);
		ck_assert_ptr_nonnull(caches[i]);
	}
	must(!sched_getaffinity(0, sizeof(allowed), &allowed));
	alarm(slow_machine() ? 600 : 60);
}

/* No ticks but the test's. */
static inline void setup(void)
{
	setup_with("-1");
}

static inline void pin(int cpu)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	must(!sched_setaffinity(0, sizeof(one), &one));
}

/* The @nth CPU that this test may use, or -1. */
static inline int nth_cpu(int nth)
{
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &allowed) && !nth--)
			return cpu;
	return -1;
}

static inline void use(struct rn_cache *c)
{
	static __thread void *p[OBJECTS];

	for (int i = 0; i < OBJECTS; i++) {
		p[i] = rn_cache_alloc(c, 0);
		must(p[i]);
		pattern_set(p[i], 64, i);
	}
	for (int i = 0; i < OBJECTS; i++) {
		must(pattern_ok(p[i], 64, i));
		rn_cache_free(c, p[i]);
	}
}

static inline void use_on_each_cpu(int nr_caches)
{
	for (int nth = 0; nth_cpu(nth) >= 0; nth++) {
		pin(nth_cpu(nth));
		for (int i = 0; i < nr_caches; i++)
			use(caches[i]);
	}
}

static inline size_t tick(void)
{
	size_t bytes = 0;
	bool more = true;

	while (more) {
		unsigned int ticket = gate_enter();

		bytes += slots_age(WHY_DECAY, &more);
		gate_exit(ticket);
	}
	return bytes;
}

/* --- what slots have --- */

struct held {
	unsigned int slots, closed;
	u64 objects, granted;
};

static inline void add_slot(void *arg, const struct slot *slot)
{
	struct held *h = arg;

	h->slots += !slot_is_empty(slot);
	h->closed += READ_ONCE(slot->main) == &closed_sheaf;
	h->granted += READ_ONCE(slot->granted);
	for (int i = 0; i < 2; i++)
		if (READ_ONCE(slot->sheaf[i]))
			h->objects += sheaf_count(slot->sheaf[i]);
}

static inline struct held held_by(struct rn_cache *c)
{
	struct held h = { 0 };

	for (int node = 0; node < nr_node_ids(); node++)
		percpu_for_each(row_on(c, node), add_slot, &h);
	return h;
}

static inline struct held held_by_all(void)
{
	struct held sum = { 0 }, h;

	for (struct rn_cache *c = slab_caches; c; c = c->next) {
		h = held_by(c);
		sum.slots += h.slots;
		sum.closed += h.closed;
		sum.objects += h.objects;
		sum.granted += h.granted;
	}
	return sum;
}

static inline void expect_slots_empty(void)
{
	struct held h = held_by_all();

	ck_assert_uint_eq(h.slots, 0);
	ck_assert_uint_eq(h.closed, 0);
	ck_assert_uint_eq(h.objects, 0);
	ck_assert_int_eq(vmstat("percpu_granted_kbytes"), 0);
}

static inline void expect_active(struct rn_cache *c, u64 objects)
{
	struct cache_usage u;

	cache_usage(c, &u);
	ck_assert_uint_eq(u.active, objects);
}

#endif /* SELFTESTS_SLOTS_H */

// SPDX-License-Identifier: MIT
/*
 * fork() out of a signal handler that interrupted a slow path, while another
 * thread takes memory from slots and barns, and waits for a lock of it.
 */
#define _GNU_SOURCE
#include "gate.h"

#include <sched.h>
#include <string.h>

/* --- who waits for it holds slab_mutex, which another one wants --- */

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	ck_assert_int_eq(sched_setaffinity(0, sizeof(set), &set), 0);
}

/* Objects in the slots of each CPU that we may use; their number. */
static int fill_slots(void)
{
	cpu_set_t allowed;

	sched_getaffinity(0, sizeof(allowed), &allowed);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &allowed)) {
			pin(cpu);
			allocate(0);
		}
	sched_setaffinity(0, sizeof(allowed), &allowed);
	return CPU_COUNT(&allowed);
}

static void count_closed(void *arg, const struct slot *slot)
{
	*(int *)arg += READ_ONCE(slot->main) == &closed_sheaf;
}

static int closed_slots(void)
{
	int closed = 0;

	percpu_for_each(row_on(c, numa_local_node()), count_closed, &closed);
	return closed;
}

static void *shrink(void *arg)
{
	rn_cache_shrink(c);
	return arg;
}

static void *create(void *arg)
{
	struct rn_cache_args args = {
		.sz = sizeof(args), .size = 128, .flags = RN_NOMERGE,
	};

	ck_assert_ptr_nonnull(rn_cache_create("another", &args));
	return arg;
}

static void child_has_slots(void)
{
	ck_assert_int_eq(closed_slots(), 0);
	create(NULL);
	allocate(0);
	fill_slots();
	/* By who does not wait for the mutex, too, which is nobody's. */
	ck_assert(trylock(&drain_mutex));
	unlock(&drain_mutex);
	rn_shrink_all();
	allocate(0);
}

START_TEST(a_shrinker_waits_for_it)
{
	pthread_t shrinker, creator;
	int slots = fill_slots();
	unsigned int ticket = gate_enter();

	lock(&n->list_lock);
	pthread_create(&shrinker, NULL, shrink, NULL);
	wait_until_waited_for(&n->list_lock);
	/* It has taken the first one and not got to the others. */
	if (percpu_has_rseq() && slots > 1)
		ck_assert_int_ge(closed_slots(), 1);
	pthread_create(&creator, NULL, create, NULL);
	wait_until_waited_for(&slab_mutex);
	fork_with(&n->list_lock, child_has_slots, ticket);
	pthread_join(shrinker, NULL);
	pthread_join(creator, NULL);
	ck_assert_int_eq(closed_slots(), 0);
	forked = fork();
	if (!forked) {
		child_has_slots();
		_exit(0);
	}
	expect_child_ok(forked);
}
END_TEST

/* A tick closes slots of many rows; the child opens what is left of them. */
static void *age(void *arg)
{
	bool more = true;

	while (more) {
		unsigned int ticket = gate_enter();

		slots_age(WHY_DECAY, &more);
		gate_exit(ticket);
	}
	return arg;
}

START_TEST(a_tick_waits_for_it)
{
	int slots = fill_slots();
	unsigned int ticket;
	pthread_t ager;

	age(NULL);
	ticket = gate_enter();
	lock(&n->list_lock);
	pthread_create(&ager, NULL, age, NULL);
	wait_until_waited_for(&n->list_lock);
	if (percpu_has_rseq() && slots > 1)
		ck_assert_int_ge(closed_slots(), 1);
	fork_with(&n->list_lock, child_has_slots, ticket);
	pthread_join(ager, NULL);
	ck_assert_int_eq(closed_slots(), 0);
}
END_TEST

/* --- of what a tick takes out of a barn little is lost --- */

#define SHEAF_OBJECTS	254

static void *age_cache(void *arg)
{
	unsigned int ticket = gate_enter();

	lock(&slab_mutex);
	cache_age(c, 1);
	unlock(&slab_mutex);
	gate_exit(ticket);
	return arg;
}

/* A sheaf or two. */
static void child_lost_little(void)
{
	struct cache_usage u;

	cache_usage(c, &u);
	ck_assert_uint_le(u.active, 2 * SHEAF_OBJECTS);
}

START_TEST(a_barn_waits_for_it)
{
	static void *p[20 * SHEAF_OBJECTS];
	unsigned int ticket;
	pthread_t ager;

	for (size_t i = 0; i < ARRAY_LEN(p); i++)
		p[i] = rn_cache_alloc(c, 0);
	for (size_t i = 0; i < ARRAY_LEN(p); i++)
		rn_cache_free(c, p[i]);
	ck_assert_uint_ge(n->barn.objects, 8 * SHEAF_OBJECTS);
	age_cache(NULL);
	ticket = gate_enter();
	lock(&n->list_lock);
	pthread_create(&ager, NULL, age_cache, NULL);
	wait_until_waited_for(&n->list_lock);
	fork_with(&n->list_lock, child_lost_little, ticket);
	pthread_join(ager, NULL);
	ck_assert_uint_eq(n->barn.objects, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("gate_reclaim");
	TCase *tc = tcase_create("gate_reclaim");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, a_shrinker_waits_for_it);
	tcase_add_test(tc, a_tick_waits_for_it);
	tcase_add_test(tc, a_barn_waits_for_it);
	tcase_set_timeout(tc, 30);
	suite_add_tcase(s, tc);
	return suite_main(s);
}

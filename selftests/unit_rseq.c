// SPDX-License-Identifier: MIT
/*
 * The restartable sequences by themselves, on slots of this test's own.
 *
 * At each step of each sequence the thread is stopped inside; then something
 * happens to it (it is preempted on its CPU, migrated, or signalled), and
 * whoever made that happen runs the same sequence on the same slot. Had the
 * first one not been aborted, it would commit what it saw before: an object
 * popped twice, one overwritten, a word changed that is no longer the same. So
 * it has to end with nothing done, and the other one as if it had been alone.
 */
#define _GNU_SOURCE
#include "helpers.h"

#include <linux/compiler.h>

/* Shared with the code between the steps. */
extern u32 inject_passed[8], inject_delay, inject_spin, inject_reached;
extern u32 inject_trap;

#include <asm/rseq_inject.h>

#include "percpu.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/rseq.h>
#include <time.h>
#include <unistd.h>

u32 inject_passed[8], inject_delay, inject_spin, inject_reached, inject_trap;

#define STEPS	4
#define ROW	5

static struct percpu pc;
static int cpus[2];		/* that this test may use; equal if one */
static const char *no_rseq;

/* --- slots --- */

static struct slot *slot_on(int cpu)
{
	return (struct slot *)(pc.slots + ((size_t)cpu << SLOTS_SHIFT) +
			       slot_at(ROW));
}

static void find_cpus(void)
{
	cpu_set_t allowed;
	int n = 0;

	sched_getaffinity(0, sizeof(allowed), &allowed);
	for (int i = 0; i < CPU_SETSIZE && n < 2; i++)
		if (CPU_ISSET(i, &allowed))
			cpus[n++] = i;
	if (n == 1)
		cpus[1] = cpus[0];
}

static void pin(int cpu)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	ck_assert_int_eq(sched_setaffinity(0, sizeof(one), &one), 0);
}

extern const ptrdiff_t __rseq_offset __attribute__((weak));
extern const unsigned int __rseq_size __attribute__((weak));

static void setup(void)
{
	size_t bytes = (size_t)CPU_SETSIZE << SLOTS_SHIFT;

	if (forced_fallback())
		no_rseq = "RN_PERCPU=fallback";
	else if (!&__rseq_size || !__rseq_size)
		no_rseq = "there is no rseq";
	if (no_rseq)
		return;
	pc.rseq = __rseq_offset;
	pc.index = __rseq_offset + offsetof(struct rseq, cpu_id);
	pc.slots = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE |
			MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (pc.slots == MAP_FAILED)
		no_rseq = "no address space for slots";
	find_cpus();
}

/* The sheaf of the i-th CPU, empty. */
static struct sheaf *new_sheaf(int i, unsigned int capacity)
{
	static u64 memory[2][2 + 64];
	struct sheaf *s = (struct sheaf *)memory[i];

	ck_assert_uint_le(capacity, 64);
	s->word = 0;
	s->capacity = capacity;
	return s;
}

/* Objects are numbers: 100, 101, ... on one CPU, 200, ... on the other. */
static void *object(unsigned long n)
{
	return (void *)n;
}

static void fill_slot(int i, unsigned int n)
{
	struct slot *slot = slot_on(cpus[i]);
	struct sheaf *s = new_sheaf(i, 8);

	for (unsigned int k = 0; k < n; k++)
		sheaf_add(s, object(100 * (i + 1) + k));
	*slot = (struct slot){ .main = s, .sheaf = { s, NULL } };
}

/* --- the three sequences, each with what happens beside it --- */

#define MAIN	offsetof(struct slot, main)
#define ACTIVE	offsetof(struct slot, active)
#define MINE	((u64)0x1000)
#define THEIRS	((u64)0x2000)

static bool change_active(u64 new)
{
	u64 main = (u64)slot_on(cpus[0])->main;

	return rseq_update(&pc, slot_at(ROW), cpus[0], MAIN, main, ACTIVE, 0,
			   ACTIVE, new);
}

static u64 popped_by_victim, popped_beside;
static bool done_by_victim, done_beside;

static void victim_pops(void)
{
	popped_by_victim = (u64)rseq_pop(&pc, slot_at(ROW));
}

static void pop_beside(void)
{
	popped_beside = (u64)rseq_pop(&pc, slot_at(ROW));
}

static void check_pop(void)
{
	ck_assert_uint_eq(popped_beside, 102);
	ck_assert_uint_eq(popped_by_victim, 0);
	ck_assert_uint_eq(sheaf_count(slot_on(cpus[0])->main), 2);
}

static void victim_pushes(void)
{
	done_by_victim = rseq_push(&pc, slot_at(ROW), object(7));
}

static void push_beside(void)
{
	done_beside = rseq_push(&pc, slot_at(ROW), object(8));
}

static void check_push(void)
{
	struct sheaf *s = slot_on(cpus[0])->main;

	ck_assert(done_beside);
	ck_assert(!done_by_victim);
	ck_assert_ptr_eq(s->objects[3], object(8));
	ck_assert_uint_eq(sheaf_count(s), 4);
}

static void victim_updates(void)
{
	done_by_victim = change_active(MINE);
}

static void update_beside(void)
{
	done_beside = change_active(THEIRS);
}

static void check_update(void)
{
	ck_assert(done_beside);
	ck_assert(!done_by_victim);
	ck_assert_uint_eq((u64)slot_on(cpus[0])->active, THEIRS);
}

static const struct sequence {
	const char *name;
	void (*victim)(void);
	void (*beside)(void);
	void (*check)(void);
} sequences[] = {
	{ "pop", victim_pops, pop_beside, check_pop },
	{ "push", victim_pushes, push_beside, check_push },
	{ "update", victim_updates, update_beside, check_update },
};

static const struct sequence *seq;	/* of the running test */
static u64 aborts_before;

static void prepare(int i)
{
	seq = &sequences[i / STEPS];
	fill_slot(0, 3);
	if (cpus[1] != cpus[0])
		fill_slot(1, 3);
	memset(inject_passed, 0, sizeof(inject_passed));
	aborts_before = READ_ONCE(rseq_aborts);
}

/* The other CPU, which the victim may have come to, is as it was. */
static void expect_given_up(int step)
{
	struct sheaf *main = slot_on(cpus[0])->main;

	ck_assert_msg(READ_ONCE(rseq_aborts) > aborts_before,
		      "%s, step %d: no abort", seq->name, step);
	seq->check();
	ck_assert_uint_eq(sheaf_operations(main),
			  seq->check == check_update ? 0 : 1);
	if (cpus[1] == cpus[0])
		return;
	ck_assert_uint_eq(slot_on(cpus[1])->main->word, 3);
	ck_assert_ptr_null(slot_on(cpus[1])->active);
}

/* --- stopped, and something happens --- */

static void *run_victim(void *arg)
{
	pin(cpus[0]);
	seq->victim();
	return NULL;
}

static void wait_until_inside(int step)
{
	while (READ_ONCE(inject_reached) != (u32)step)
		usleep(100);
}

/*
 * The victim turns round and round at @step on a CPU that we then want too.
 * It can only be off it now if it was preempted there.
 */
START_TEST(preempted)
{
	int step = _i % STEPS + 1;
	pthread_t victim;

	prepare(_i);
	WRITE_ONCE(inject_spin, step);
	ck_assert_int_eq(pthread_create(&victim, NULL, run_victim, NULL), 0);
	wait_until_inside(step);
	pin(cpus[0]);
	ck_assert_int_eq(sched_getcpu(), cpus[0]);
	WRITE_ONCE(inject_spin, 0);
	seq->beside();
	pthread_join(victim, NULL);
	expect_given_up(step);
}
END_TEST

START_TEST(migrated)
{
	int step = _i % STEPS + 1;
	pthread_t victim;
	cpu_set_t other;

	if (cpus[0] == cpus[1]) {
		if (!_i)
			skip_part("migrated", "one CPU only");
		return;
	}
	prepare(_i);
	WRITE_ONCE(inject_spin, step);
	ck_assert_int_eq(pthread_create(&victim, NULL, run_victim, NULL), 0);
	pin(cpus[1]);
	wait_until_inside(step);
	CPU_ZERO(&other);
	CPU_SET(cpus[1], &other);
	ck_assert_int_eq(pthread_setaffinity_np(victim, sizeof(other), &other),
			 0);
	/* The CPU that it left is ours. */
	pin(cpus[0]);
	WRITE_ONCE(inject_spin, 0);
	seq->beside();
	pthread_join(victim, NULL);
	expect_given_up(step);
}
END_TEST

static int trapped;

/* Runs in the middle of the victim's sequence. */
static void on_trap(int signal)
{
	if (trapped++) {
		static const char said[] = "the sequence was not aborted\n";

		(void)!write(STDERR_FILENO, said, sizeof(said) - 1);
		_exit(1);
	}
	inject_trap = 0;
	seq->beside();
}

START_TEST(signalled)
{
	struct sigaction action = { .sa_handler = on_trap };
	int step = _i % STEPS + 1;

	pin(cpus[0]);
	prepare(_i);
	sigaction(SIGILL, &action, NULL);
	inject_trap = step;
	seq->victim();
	ck_assert_int_eq(trapped, 1);
	expect_given_up(step);
}
END_TEST

/* Nothing happens: each step is passed once, but for a chance abort. */
START_TEST(undisturbed)
{
	pin(cpus[0]);
	for (int i = 0; i < 3 * STEPS; i += STEPS) {
		u64 aborts;

		prepare(i);
		seq->victim();
		aborts = READ_ONCE(rseq_aborts) - aborts_before;
		for (int step = 1; step <= STEPS; step++) {
			ck_assert_uint_ge(inject_passed[step] + aborts, 1);
			ck_assert_uint_le(inject_passed[step], 1);
		}
	}
}
END_TEST

/* --- all at once --- */

enum { THREADS = 4, OBJECTS = 64 };

static int owners[OBJECTS];	/* 1: some thread has it */
static bool stop;
static u64 pops, pushes;

static void on_timer(int signal)
{
}

/* A signal every 200 us for this thread, wherever it is. */
static timer_t start_timer(void)
{
	struct sigevent event = {
		.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1,
	};
	struct itimerspec often = {
		.it_interval.tv_nsec = 200000, .it_value.tv_nsec = 200000,
	};
	timer_t timer;

	event._sigev_un._tid = gettid();
	ck_assert_int_eq(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
	ck_assert_int_eq(timer_settime(timer, 0, &often, NULL), 0);
	return timer;
}

static void *pop_and_push(void *arg)
{
	timer_t timer = start_timer();
	u64 mine = 0;

	while (!READ_ONCE(stop)) {
		u64 o = (u64)rseq_pop(&pc, slot_at(ROW));

		if (!o)
			continue;
		if (__atomic_exchange_n(&owners[o - 1], 1, __ATOMIC_RELAXED))
			ck_abort_msg("object %lu is out twice", o);
		__atomic_store_n(&owners[o - 1], 0, __ATOMIC_RELAXED);
		while (!rseq_push(&pc, slot_at(ROW), object(o)))
			; /* there is room: it was an abort */
		mine++;
	}
	timer_delete(timer);
	stat_add(&pops, mine);
	stat_add(&pushes, mine);
	return NULL;
}

static void scatter(pthread_t *t, uint64_t *random)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(cpus[xorshift(random) % 2], &one);
	pthread_setaffinity_np(*t, sizeof(one), &one);
}

static unsigned int collect(int cpu, bool seen[OBJECTS])
{
	struct sheaf *s = slot_on(cpu)->main;

	for (unsigned int i = 0; i < sheaf_count(s); i++) {
		u64 o = (u64)s->objects[i];

		ck_assert_msg(o >= 1 && o <= OBJECTS && !seen[o - 1],
			      "object %lu is lost or there twice", o);
		seen[o - 1] = true;
	}
	return sheaf_count(s);
}

START_TEST(all_at_once)
{
	struct sigaction action = { .sa_handler = on_timer,
				    .sa_flags = SA_RESTART };
	u64 operations, before = READ_ONCE(rseq_aborts);
	bool seen[OBJECTS] = { false };
	unsigned int found = 0;
	pthread_t t[THREADS];
	uint64_t random = 5;

	sigaction(SIGUSR1, &action, NULL);
	for (int i = 0; i < 2; i++)
		slot_on(cpus[i])->main = new_sheaf(i, OBJECTS);
	for (unsigned long o = 1; o <= OBJECTS; o++)
		sheaf_add(slot_on(cpus[0])->main, object(o));
	inject_delay = 20;
	for (int i = 0; i < THREADS; i++)
		pthread_create(&t[i], NULL, pop_and_push, NULL);
	for (int i = 0; i < 2000; i++) {
		scatter(&t[i % THREADS], &random);
		usleep(500);
	}
	WRITE_ONCE(stop, true);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	for (int i = 0; i <= (cpus[0] != cpus[1]); i++)
		found += collect(cpus[i], seen);
	ck_assert_uint_eq(found, OBJECTS);
	operations = sheaf_operations(slot_on(cpus[0])->main);
	if (cpus[0] != cpus[1])
		operations += sheaf_operations(slot_on(cpus[1])->main);
	ck_assert_uint_eq(operations, pops + pushes);
	ck_assert_uint_gt(READ_ONCE(rseq_aborts) - before, 0);
}
END_TEST

int main(void)
{
	Suite *s;
	TCase *tc;

	setup();
	if (no_rseq) {
		puts(no_rseq);
		return 77;
	}
	s = suite_create("rseq");
	tc = tcase_create("rseq");
	tcase_add_loop_test(tc, preempted, 0, 3 * STEPS);
	tcase_add_loop_test(tc, migrated, 0, 3 * STEPS);
	tcase_add_loop_test(tc, signalled, 0, 3 * STEPS);
	tcase_add_test(tc, undisturbed);
	tcase_add_test(tc, all_at_once);
	tcase_set_timeout(tc, 30);
	suite_add_tcase(s, tc);
	return suite_main(s);
}

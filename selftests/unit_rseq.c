// SPDX-License-Identifier: MIT
/*
 * The restartable sequences by themselves, on slots of this test's own, which
 * are found by cpu_id and by mm_cid.
 *
 * At each step of each sequence the thread is stopped inside; then something
 * happens to it (it is preempted on its CPU, migrated, or signalled), and
 * whoever made that happen runs the same sequence on the same slot. Had the
 * first one not been aborted, it would commit what it saw before: an object
 * popped twice, one overwritten, a word changed that is no longer the same. So
 * it has to end with nothing done, and the other one as if it had been alone.
 *
 * Where nothing happens to it but a delay, both do what they are to do, each on
 * a slot of its own.
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
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/rseq.h>
#include <time.h>
#include <unistd.h>

u32 inject_passed[8], inject_delay, inject_spin, inject_reached, inject_trap;

#define STEPS		4
#define ROW		5

/* Older headers have neither. */
#define RSEQ_MM_CID	24
#ifndef AT_RSEQ_FEATURE_SIZE
#define AT_RSEQ_FEATURE_SIZE	27
#endif

static struct percpu pc;
static u32 nr_indices;
static int cpus[2];		/* that this test may use; equal if one */
static const char *no_rseq;

/* --- slots --- */

static struct slot *slot_of_index(u32 index)
{
	return (struct slot *)(pc.slots + ((size_t)index << SLOTS_SHIFT) +
			       slot_at(ROW));
}

/* Its sheaf, in memory of the same index that is no slot of this test. */
static struct sheaf *sheaf_of_index(u32 index)
{
	return (struct sheaf *)(slot_of_index(index) + 1);
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
	size_t bytes;

	if (forced_fallback())
		no_rseq = "RN_PERCPU=fallback";
	else if (!&__rseq_size || !__rseq_size)
		no_rseq = "there is no rseq";
	if (no_rseq)
		return;
	nr_indices = sysconf(_SC_NPROCESSORS_CONF);
	bytes = (size_t)nr_indices << SLOTS_SHIFT;
	pc.rseq = __rseq_offset;
	pc.slots = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE |
			MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (pc.slots == MAP_FAILED)
		no_rseq = "no address space for slots";
	find_cpus();
}

/* As mm/percpu.c finds it. */
static bool has_mm_cid(void)
{
	return getauxval(AT_RSEQ_FEATURE_SIZE) >= RSEQ_MM_CID + sizeof(u32);
}

static void by_cpu_id(void)
{
	pc.index = __rseq_offset + offsetof(struct rseq, cpu_id);
}

static void by_mm_cid(void)
{
	pc.index = __rseq_offset + RSEQ_MM_CID;
}

static void new_slot(u32 index, unsigned int capacity)
{
	struct sheaf *s = sheaf_of_index(index);

	s->word = 0;
	s->capacity = capacity;
	*slot_of_index(index) = (struct slot){ .main = s, .sheaf = { s } };
}

/* Objects are numbers. */
static void *object(unsigned long n)
{
	return (void *)n;
}

#define FIRST	100UL
#define FILLED	3

static void fill_slots(void)
{
	for (u32 i = 0; i < nr_indices; i++) {
		new_slot(i, 8);
		for (unsigned int k = 0; k < FILLED; k++)
			sheaf_add(sheaf_of_index(i), object(FIRST + k));
	}
}

static bool is_as_filled(u32 index)
{
	return sheaf_of_index(index)->word == FILLED &&
		!slot_of_index(index)->active;
}

/* --- the three sequences --- */

#define VICTIM	0x1000UL
#define BESIDE	0x2000UL

/* Each returns what it leaves in its slot, or 0 when it did nothing. */
static u64 pop(u64 who)
{
	(void)who;
	return (u64)rseq_pop(&pc, slot_at(ROW));
}

static u64 left_by_pop(u32 index)
{
	struct sheaf *s = sheaf_of_index(index);

	ck_assert_uint_eq(sheaf_count(s), FILLED - 1);
	ck_assert_uint_eq(sheaf_operations(s), 1);
	return (u64)s->objects[FILLED - 1];
}

static u64 push(u64 who)
{
	return rseq_push(&pc, slot_at(ROW), object(who)) ? who : 0;
}

static u64 left_by_push(u32 index)
{
	struct sheaf *s = sheaf_of_index(index);

	ck_assert_uint_eq(sheaf_count(s), FILLED + 1);
	ck_assert_uint_eq(sheaf_operations(s), 1);
	return (u64)s->objects[FILLED];
}

static u64 update(u64 who)
{
	size_t main = offsetof(struct slot, main);
	size_t active = offsetof(struct slot, active);
	u32 index = rseq_read(pc.index);

	return rseq_update(&pc, slot_at(ROW), index, main,
			   (u64)sheaf_of_index(index), active, 0, active,
			   who) ? who : 0;
}

static u64 left_by_update(u32 index)
{
	ck_assert_uint_eq(sheaf_of_index(index)->word, FILLED);
	return (u64)slot_of_index(index)->active;
}

static const struct sequence {
	const char *name;
	u64 (*run)(u64 who);
	u64 (*left)(u32 index);
} sequences[] = {
	{ "pop", pop, left_by_pop },
	{ "push", push, left_by_push },
	{ "update", update, left_by_update },
};

static const struct sequence *seq;	/* of the running test */
static u64 aborts_before, by_victim, beside;

static void prepare(int i)
{
	seq = &sequences[i / STEPS];
	fill_slots();
	memset(inject_passed, 0, sizeof(inject_passed));
	inject_reached = 0;
	aborts_before = READ_ONCE(rseq_aborts);
	by_victim = beside = 0;
}

/* Until it is done: by chance it may be aborted, too. */
static void run_beside(void)
{
	while (!beside)
		beside = seq->run(BESIDE);
}

/* @nr slots are what the sequences have left, all others as they were. */
static void expect_done(unsigned int nr)
{
	unsigned int changed = 0;
	u64 left = 0;

	for (u32 i = 0; i < nr_indices; i++) {
		if (is_as_filled(i))
			continue;
		changed++;
		left += seq->left(i);
	}
	ck_assert_uint_eq(changed, nr);
	ck_assert_uint_eq(left, by_victim + beside);
}

static void expect_given_up(int step)
{
	ck_assert_msg(READ_ONCE(rseq_aborts) > aborts_before,
		      "%s, step %d: no abort", seq->name, step);
	ck_assert_uint_eq(by_victim, 0);
	expect_done(1);
}

/* --- stopped, and something happens --- */

/* Once it was at the step; something may happen to it before by chance. */
static void *run_victim(void *arg)
{
	pin(cpus[0]);
	do {
		by_victim = seq->run(VICTIM);
	} while (!by_victim && !READ_ONCE(inject_reached));
	return arg;
}

/* It turns round and round at @step on its CPU. */
static pthread_t stop_victim(int step)
{
	pthread_t victim;

	WRITE_ONCE(inject_spin, step);
	ck_assert_int_eq(pthread_create(&victim, NULL, run_victim, NULL), 0);
	pin(cpus[1]);
	while (READ_ONCE(inject_reached) != (u32)step)
		usleep(100);
	return victim;
}

/* It goes on, where it is not aborted. */
static void let_go(pthread_t victim)
{
	WRITE_ONCE(inject_spin, 0);
	pthread_join(victim, NULL);
}

/* The CPU is ours now: it can only be off it if it was preempted there. */
START_TEST(preempted)
{
	int step = _i % STEPS + 1;
	pthread_t victim;

	prepare(_i);
	victim = stop_victim(step);
	pin(cpus[0]);
	ck_assert_int_eq(sched_getcpu(), cpus[0]);
	WRITE_ONCE(inject_spin, 0);
	run_beside();
	let_go(victim);
	expect_given_up(step);
}
END_TEST

static bool one_cpu(const char *test, int i)
{
	if (cpus[0] != cpus[1])
		return false;
	if (!i)
		skip_part(test, "one CPU only");
	return true;
}

START_TEST(migrated)
{
	int step = _i % STEPS + 1;
	pthread_t victim;
	cpu_set_t other;

	if (one_cpu("migrated", _i))
		return;
	prepare(_i);
	victim = stop_victim(step);
	CPU_ZERO(&other);
	CPU_SET(cpus[1], &other);
	ck_assert_int_eq(pthread_setaffinity_np(victim, sizeof(other), &other),
			 0);
	/* The CPU that it left is ours. */
	pin(cpus[0]);
	WRITE_ONCE(inject_spin, 0);
	run_beside();
	let_go(victim);
	expect_given_up(step);
}
END_TEST

/* It goes on beside us. Where it was preempted by chance, once more. */
START_TEST(delayed)
{
	pthread_t victim;

	if (one_cpu("delayed", _i))
		return;
	for (int i = 0; i < 1000 && !by_victim; i++) {
		prepare(_i);
		victim = stop_victim(_i % STEPS + 1);
		usleep(1000);
		WRITE_ONCE(inject_spin, 0);
		run_beside();
		let_go(victim);
		expect_done(1 + (by_victim != 0));
	}
	ck_assert_uint_ne(by_victim, 0);
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
	run_beside();
}

START_TEST(signalled)
{
	struct sigaction action = { .sa_handler = on_trap };
	int step = _i % STEPS + 1;

	pin(cpus[0]);
	prepare(_i);
	sigaction(SIGILL, &action, NULL);
	inject_trap = step;
	while (!trapped && !by_victim)
		by_victim = seq->run(VICTIM);
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
		by_victim = seq->run(VICTIM);
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

static unsigned int collect(u32 index, bool seen[OBJECTS])
{
	struct sheaf *s = sheaf_of_index(index);

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
	u64 operations = 0, before = READ_ONCE(rseq_aborts);
	bool seen[OBJECTS] = { false };
	unsigned int found = 0;
	pthread_t t[THREADS];
	uint64_t random = 5;

	sigaction(SIGUSR1, &action, NULL);
	for (u32 i = 0; i < nr_indices; i++)
		new_slot(i, OBJECTS);
	for (unsigned long o = 1; o <= OBJECTS; o++)
		sheaf_add(sheaf_of_index(rseq_read(pc.index)), object(o));
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
	for (u32 i = 0; i < nr_indices; i++) {
		found += collect(i, seen);
		operations += sheaf_operations(sheaf_of_index(i));
	}
	ck_assert_uint_eq(found, OBJECTS);
	ck_assert_uint_eq(operations, pops + pushes);
	ck_assert_uint_gt(READ_ONCE(rseq_aborts) - before, 0);
}
END_TEST

static void add_all(Suite *s, const char *index, void (*by)(void))
{
	TCase *tc = tcase_create(index);

	tcase_add_checked_fixture(tc, by, NULL);
	tcase_add_loop_test(tc, preempted, 0, 3 * STEPS);
	tcase_add_loop_test(tc, migrated, 0, 3 * STEPS);
	tcase_add_loop_test(tc, delayed, 0, 3 * STEPS);
	tcase_add_loop_test(tc, signalled, 0, 3 * STEPS);
	tcase_add_test(tc, undisturbed);
	tcase_add_test(tc, all_at_once);
	tcase_set_timeout(tc, 30);
	suite_add_tcase(s, tc);
}

int main(void)
{
	Suite *s;

	setup();
	if (no_rseq) {
		puts(no_rseq);
		return 77;
	}
	s = suite_create("rseq");
	add_all(s, "cpu_id", by_cpu_id);
	if (has_mm_cid())
		add_all(s, "mm_cid", by_mm_cid);
	else
		skip_part("mm_cid", "the kernel has no mm_cid");
	return suite_main(s);
}

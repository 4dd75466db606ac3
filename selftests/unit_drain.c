// SPDX-License-Identifier: MIT
/*
 * How idle slots are emptied, step by step: what is in flight when they are
 * closed, a fence that is refused, a child in the middle of it.
 *
 * What other threads do meanwhile is in unit_drain_beside.
 */
#define _GNU_SOURCE
#include "drain.h"

#include <pthread.h>
#include <sys/wait.h>

/* --- in the middle of a sequence --- */

static struct rn_cache *c;
static void *kept[OBJECTS], *got;
static unsigned int nr_kept;
static struct slot *slot;	/* of the victim */
static struct sheaf *spare;
static bool ready, may_begin, ended, committed;
static int victim_tid;

static bool fit_for_all(const struct slot_view *v)
{
	return v->main && v->spare && sheaf_count(v->main) &&
	       sheaf_count(v->main) < v->main->capacity;
}

/* Two sheaves; the main one has objects and room. */
static void prepare_slot(struct slot_view *v)
{
	unsigned int row = row_on(c, numa_local_node());

	use(c);
	nr_kept = 0;
	do {
		must(nr_kept < OBJECTS);
		kept[nr_kept++] = rn_cache_alloc(c, 0);
		percpu_view(row, v);
	} while (!fit_for_all(v));
	slot = slot_of(row, v->index);
	spare = v->spare;
}

static bool do_swap(unsigned int row, const struct slot_view *v)
{
	return swap_injected(row, v);
}

static bool do_pop(unsigned int row, const struct slot_view *v)
{
	got = rseq_pop(&hot.pc, slot_at(row));
	return got;
}

static bool do_push(unsigned int row, const struct slot_view *v)
{
	return rseq_push(&hot.pc, slot_at(row), kept[nr_kept - 1]);
}

/* Each with the objects that are out when it has committed. */
static const struct {
	bool (*run)(unsigned int row, const struct slot_view *v);
	int more_out;
} sequences[] = {
	{ do_swap, 0 }, { do_pop, 1 }, { do_push, -1 },
};

/* What a test is of: a sequence, a step of it, and how slots are found. */
#define SEQUENCES	3
#define STEPS		4
#define COMBINATIONS	(2 * SEQUENCES * STEPS)

static int sequence;
static u32 step;

/* From here on main was read, and the mark is not seen any more. */
#define MAIN_READ	3

/* Stops in the middle of a sequence. */
static void *victim(void *arg)
{
	struct slot_view v;

	pin(nth_cpu(1));
	victim_tid = gettid();
	prepare_slot(&v);
	smp_store_release(&ready, true);
	wait_for_flag(&may_begin);
	committed = sequences[sequence].run(row_on(c, numa_local_node()), &v);
	smp_store_release(&ended, true);
	return arg;
}

static bool expect_closed(void)
{
	must(READ_ONCE(slot->main) == &closed_sheaf);
	return true;
}

/* The sequence goes on between the mark and the fence. */
static bool let_it_commit(void)
{
	expect_closed();
	WRITE_ONCE(inject_spin, 0);
	wait_for_flag(&ended);
	return true;
}

/* A tick beside a sequence that is at its step, unless it was aborted before. */
static void tick_beside(bool (*before)(void))
{
	pthread_t t;

	ready = may_begin = ended = committed = false;
	pthread_create(&t, NULL, victim, NULL);
	pin(nth_cpu(0));
	wait_for_flag(&ready);
	tick();
	inject_reached = 0;
	WRITE_ONCE(inject_spin, step);
	smp_store_release(&may_begin, true);
	while (READ_ONCE(inject_reached) != step && !READ_ONCE(ended))
		usleep(10);
	before_fence = before;
	tick();
	before_fence = NULL;
	WRITE_ONCE(inject_spin, 0);
	pthread_join(t, NULL);
}

/* All objects are where they should be, and go back. */
static void settle_objects(void)
{
	int out = nr_kept + (committed ? sequences[sequence].more_out : 0);

	expect_active(c, out);
	if (committed && sequence == 1)
		rn_cache_free(c, got);
	if (committed && sequence == 2)
		nr_kept--;
	while (nr_kept)
		rn_cache_free(c, kept[--nr_kept]);
	expect_active(c, 0);
	use(c);
	expect_active(c, 0);
}

/* The library looks at its variables when it is first used. */
static void set_up_index(int i)
{
	if (!forced_fallback())
		setenv("RN_PERCPU", i < SEQUENCES * STEPS ? "cpu" : "cid", 1);
	setup();
}

static bool can_stop(const char *test, int i)
{
	bool by_cid = i >= SEQUENCES * STEPS;

	c = caches[0];
	sequence = i / STEPS % SEQUENCES;
	step = i % STEPS + 1;
	if (!percpu_has_rseq() || nth_cpu(1) < 0) {
		if (!i)
			skip_part(test, "no rseq, or one CPU only");
		return false;
	}
	if (vmstat("percpu_index_mm_cid") == by_cid)
		return true;
	if (i == SEQUENCES * STEPS)
		skip_part(test, "the kernel has no mm_cid");
	return false;
}

START_TEST(aborted_by_the_fence)
{
	set_up_index(_i);
	if (!can_stop("aborted_by_the_fence", _i))
		return;
	tick_beside(expect_closed);
	ck_assert(!committed);
	ck_assert(slot_is_empty(slot));
	settle_objects();
}
END_TEST

/* As when its CPU is taken away: it goes on where the slot is another one. */
static bool move_it(void)
{
	cpu_set_t other;

	expect_closed();
	CPU_ZERO(&other);
	CPU_SET(nth_cpu(0), &other);
	/* It may have been preempted, and be no more. */
	must(!sched_setaffinity(victim_tid, sizeof(other), &other) ||
	     smp_load_acquire(&ended));
	wait_for_flag(&ended);
	return true;
}

START_TEST(moved_before_the_fence)
{
	set_up_index(_i);
	if (!can_stop("moved_before_the_fence", _i))
		return;
	tick_beside(move_it);
	ck_assert(!committed);
	ck_assert(slot_is_empty(slot));
	settle_objects();
}
END_TEST

/*
 * A swap opens the slot, which is in use then and keeps what it has; what a pop
 * or a push commits is seen by who empties it. The victim may be preempted, and
 * then there is nothing to see; so it is tried again. One that has not read main
 * finds the mark, however often.
 */
START_TEST(committed_before_the_fence)
{
	bool late;

	set_up_index(_i);
	if (!can_stop("committed_before_the_fence", _i))
		return;
	late = step >= MAIN_READ;
	for (int i = 0; i < (late ? 1000 : 3) && !committed; i++) {
		use(caches[1]);
		tick_beside(let_it_commit);
		ck_assert_uint_eq(held_by(caches[1]).slots, 0);
		ck_assert_uint_eq(held_by(c).closed, 0);
		if (committed && !sequence) {
			ck_assert_ptr_eq(slot->main, spare);
			ck_assert(slot->sheaf[0] && slot->sheaf[1]);
		} else {
			ck_assert(slot_is_empty(slot));
		}
		settle_objects();
	}
	ck_assert(committed == late);
}
END_TEST

/* --- the fence is refused --- */

static bool refuse(void)
{
	return false;
}

START_TEST(refused)
{
	struct held before, after;

	if (!percpu_has_rseq()) {
		skip_part("refused", "no rseq");
		return;
	}
	use_on_each_cpu(2);
	before = held_by_all();
	before_fence = refuse;
	tick();
	ck_assert_uint_eq(tick(), 0);
	ck_assert_int_eq(vmstat("slot_drains_refused"), 1);
	after = held_by_all();
	ck_assert_uint_eq(after.closed, 0);
	ck_assert_uint_eq(after.slots, before.slots);
	ck_assert_uint_eq(after.objects, before.objects);
	ck_assert_uint_eq(after.granted, before.granted);
	use_on_each_cpu(2);
	before_fence = NULL;
	tick();
	tick();
	expect_slots_empty();
	expect_active(caches[0], 0);
}
END_TEST

/* --- a child, of the thread that is at it --- */

static pid_t forked;

static bool fork_here(void)
{
	forked = fork();
	return true;
}

/* As a signal handler may; both go on. */
START_TEST(fork_within)
{
	void *p = rn_cache_alloc(caches[0], 0);
	int status;

	use_on_each_cpu(CACHES);
	if (!percpu_has_rseq()) {
		skip_part("fork_within", "no rseq");
		return;
	}
	tick();
	before_fence = fork_here;
	tick();
	before_fence = NULL;
	must(!held_by_all().slots && !held_by_all().closed);
	rn_cache_free(caches[0], p);
	use_on_each_cpu(CACHES);
	tick();
	tick();
	must(!held_by_all().slots);
	if (!forked)
		_exit(0);
	ck_assert_int_eq(waitpid(forked, &status, 0), forked);
	ck_assert_int_eq(status, 0);
	expect_active(caches[0], 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("drain");
	TCase *tc = tcase_create("steps");

	tcase_add_loop_test(tc, aborted_by_the_fence, 0, COMBINATIONS);
	tcase_add_loop_test(tc, moved_before_the_fence, 0, COMBINATIONS);
	tcase_add_loop_test(tc, committed_before_the_fence, 0, COMBINATIONS);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(s, tc);
	tc = tcase_create("drain");
	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, refused);
	tcase_add_test(tc, fork_within);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(s, tc);
	return suite_main(s);
}

// SPDX-License-Identifier: MIT
/*
 * While an entry is being evicted: what the callback may do, what other threads
 * see of it meanwhile, and what becomes of it in a child of fork().
 */
#define _GNU_SOURCE
#include "helpers.h"
#include "memcg.h"
#include "unified.h"

#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ENTRY	(4 * KIB)
#define TOTAL	(32 * ENTRY)
#define ENTRIES	16

/* The one that is evicted, as the test wants it. */
#define VICTIM	3

static bool pick_victim(uint64_t *page_id, void *arg)
{
	*page_id = VICTIM;
	return true;
}

static void start_with(bool (*evict)(uint64_t, void *, size_t, void *))
{
	pools_start(TOTAL, PATIENT(.victim = RN_POOLS_PICK, .pick = pick_victim,
				   .evict = evict,
				   .flags = RN_POOLS_STORAGE_HALF));
	for (uint64_t id = 0; id < ENTRIES; id++)
		pattern_set(entry_cached(id, ENTRY), ENTRY, id);
	ck_assert_uint_eq(storage_usage(), half_of(TOTAL));
}

static unsigned int nr_calls;

static void expect_evicted_once(void)
{
	storage_granted(ENTRY, 0);
	ck_assert_uint_eq(nr_calls, 1);
	ck_assert(!is_cached(VICTIM));
	ck_assert_uint_eq(nr_cached(0, ENTRIES), ENTRIES - 1);
	ck_assert_int_eq(rn_pools_destroy(), 0);
}

/* --- what a callback may do; a wrong answer ends the program --- */

static void must(bool ok, const char *what)
{
	if (!ok)
		ck_abort_msg("in a callback: %s; %s", what, strerror(errno));
}

static void *to_free[3];

static bool frees(uint64_t id, void *p, size_t bytes, void *arg)
{
	nr_calls++;
	rn_exec_free(to_free[0]);
	rn_exec_free(to_free[1]);
	rn_free(to_free[2]);
	return true;
}

START_TEST(may_free)
{
	start_with(frees);
	to_free[0] = exec_granted(100, 0);
	to_free[1] = exec_acquired(1, 100);
	to_free[2] = rn_alloc(100, 0);
	expect_evicted_once();
}
END_TEST

static bool allocates(uint64_t id, void *p, size_t bytes, void *arg)
{
	void *q;

	nr_calls++;
	q = rn_exec_alloc(100, RN_NOWAIT);
	must(q, "no execution memory, though it is free");
	rn_exec_free(q);
	errno = 0;
	must(!rn_storage_alloc(ENTRY, RN_NOWAIT) && errno == ENOMEM,
	     "storage, though there is none");
	q = rn_alloc(100, RN_NOWAIT);
	must(q, "no memory");
	rn_free(q);
	return true;
}

START_TEST(may_allocate)
{
	start_with(allocates);
	expect_evicted_once();
	ck_assert_int_eq(nr_calls, 1);
}
END_TEST

/* It is its own doing that the entry is busy. */
static bool asks_for_it(uint64_t id, void *p, size_t bytes, void *arg)
{
	nr_calls++;
	errno = 0;
	must(!rn_storage_pin(id, NULL) && errno == EBUSY, "pinned");
	errno = 0;
	must(!rn_storage_lookup(id, NULL) && errno == EBUSY, "found");
	errno = 0;
	must(!rn_storage_acquire(id, ENTRY) && errno == EBUSY, "acquired");
	must(rn_storage_unpin(id) < 0, "unpinned");
	must(pattern_ok(p, bytes, id), "contents");
	return true;
}

START_TEST(may_not_have_it)
{
	start_with(asks_for_it);
	expect_evicted_once();
}
END_TEST

static bool uses_others(uint64_t id, void *p, size_t bytes, void *arg)
{
	size_t n = 0;
	void *q;

	nr_calls++;
	q = rn_storage_pin(5, &n);
	must(q && n == ENTRY && pattern_ok(q, n, 5), "another");
	must(rn_storage_lookup(5, NULL) == q, "not found");
	must(!rn_storage_unpin(5), "not unpinned");
	must(!rn_storage_release(6), "not released");
	must(!rn_exec_release(1), "not released");
	must(rn_memcg_usage(rn_pools_memcg(RN_POOLS_TOTAL)) ==
	     (ENTRIES - 1) * ENTRY, "usage");
	return true;
}

START_TEST(may_use_others)
{
	start_with(uses_others);
	exec_acquired(1, 100);
	storage_granted(ENTRY, 0);
	ck_assert_uint_eq(nr_calls, 1);
	ck_assert_uint_ge(nr_cached(0, ENTRIES), ENTRIES - 2);
	ck_assert_int_eq(rn_pools_destroy(), 0);
}
END_TEST

/* --- beside a callback that takes its time --- */

static int in_callback;		/* thread id of who is in it */
static bool go_on, give_up;

static bool takes_time(uint64_t id, void *p, size_t bytes, void *arg)
{
	if (!pattern_ok(p, bytes, id))
		ck_abort_msg("the contents changed");
	__atomic_store_n(&in_callback, gettid(), __ATOMIC_RELEASE);
	while (!__atomic_load_n(&go_on, __ATOMIC_ACQUIRE))
		sleep_ms(1);
	__atomic_store_n(&in_callback, 0, __ATOMIC_RELEASE);
	return give_up;
}

/* A thread that asks for storage is in the callback when this returns. */
static void start_evicting(struct pool_asker *a)
{
	start_with(takes_time);
	give_up = true;
	start_asking(a, ASK_STORAGE, 0, ENTRY);
	while (!__atomic_load_n(&in_callback, __ATOMIC_ACQUIRE))
		sleep_ms(1);
}

static void end_evicting(struct pool_asker *a)
{
	__atomic_store_n(&go_on, true, __ATOMIC_RELEASE);
	expect_served(a);
}

enum { PIN, LOOKUP, ACQUIRE, NR_USES };

/* One use of the entry by another thread. */
struct user {
	pthread_t thread;
	int what, tid, error;
	void *got;
};

static void *use_it(void *arg)
{
	struct user *u = arg;

	__atomic_store_n(&u->tid, gettid(), __ATOMIC_RELEASE);
	errno = 0;
	if (u->what == PIN)
		u->got = rn_storage_pin(VICTIM, NULL);
	else if (u->what == LOOKUP)
		u->got = rn_storage_lookup(VICTIM, NULL);
	else
		u->got = rn_storage_acquire(VICTIM, ENTRY);
	u->error = errno;
	return NULL;
}

static void use_beside(struct user *u, int what)
{
	*u = (struct user){ .what = what };
	ck_assert_int_eq(pthread_create(&u->thread, NULL, use_it, u), 0);
	until_asleep(&u->tid);
}

/* It had to wait for this. */
static void expect_used(struct user *u, int error)
{
	ck_assert_int_eq(pthread_join(u->thread, NULL), 0);
	ck_assert_int_eq(!u->got, !!error);
	if (error)
		ck_assert_int_eq(u->error, error);
}

/* Who asks for it waits until it is gone. */
START_TEST(others_wait_until_it_is_gone)
{
	struct pool_asker a;
	struct user u;

	start_evicting(&a);
	use_beside(&u, _i);
	/* Others are there, and nobody waits for them. */
	entry_pinned(5);
	entry_unpin(5);
	entry_release(6);
	end_evicting(&a);
	expect_used(&u, _i == ACQUIRE ? 0 : ENOENT);
	ck_assert_int_eq(is_cached(VICTIM), _i == ACQUIRE);
	ck_assert_int_eq(rn_pools_destroy(), 0);
}
END_TEST

/* Or until it is known that it stays. */
START_TEST(others_wait_until_it_stays)
{
	struct pool_asker a;
	struct user u;

	start_evicting(&a);
	give_up = false;
	use_beside(&u, _i);
	/* The other's request is met by this one. */
	entry_release(6);
	end_evicting(&a);
	expect_used(&u, _i == ACQUIRE ? EEXIST : 0);
	ck_assert(is_cached(VICTIM));
	if (u.got)
		ck_assert(pattern_ok(u.got, ENTRY, VICTIM));
	ck_assert_int_eq(rn_pools_destroy(), 0);
}
END_TEST

/*
 * To release it is to wait for nobody: it is found no more, its id may be used
 * again, and its memory is there until the callback is over, whatever that
 * says.
 */
START_TEST(released_meanwhile)
{
	struct pool_asker a;

	start_evicting(&a);
	give_up = _i;
	entry_release(VICTIM);
	ck_assert_int_eq(rn_storage_release(VICTIM), -ENOENT);
	ck_assert(!is_cached(VICTIM));
	ck_assert_uint_eq(storage_usage(), half_of(TOTAL));
	entry_release(6);
	pattern_set(entry_acquired(VICTIM, ENTRY), ENTRY, VICTIM);
	end_evicting(&a);
	ck_assert(pattern_ok(entry_pinned(VICTIM), ENTRY, VICTIM));
	ck_assert_uint_eq(storage_usage(), half_of(TOTAL));
	ck_assert_uint_eq(nr_cached(0, ENTRIES), ENTRIES - 1);
	ck_assert_int_eq(rn_pools_destroy(), 0);
}
END_TEST

static bool releases_it(uint64_t id, void *p, size_t bytes, void *arg)
{
	nr_calls++;
	must(!rn_storage_release(id), "not released");
	must(rn_storage_release(id) == -ENOENT, "released twice");
	must(pattern_ok(p, bytes, id), "contents");
	return arg;
}

/* By its own callback: that it stays is too late then. */
START_TEST(may_release_it)
{
	pools_start(TOTAL, PATIENT(.victim = RN_POOLS_PICK, .pick = pick_victim,
				   .evict = releases_it,
				   .arg = _i ? &nr_calls : NULL,
				   .flags = RN_POOLS_STORAGE_HALF));
	for (uint64_t id = 0; id < ENTRIES; id++)
		pattern_set(entry_cached(id, ENTRY), ENTRY, id);
	expect_evicted_once();
}
END_TEST

/* An allocation is no place where a thread is cancelled in a callback. */
START_TEST(cancelled_in_a_callback)
{
	struct pool_asker a;

	start_evicting(&a);
	ck_assert_int_eq(pthread_cancel(a.thread), 0);
	sleep_ms(50);
	ck_assert_int_ne(__atomic_load_n(&in_callback, __ATOMIC_ACQUIRE), 0);
	__atomic_store_n(&go_on, true, __ATOMIC_RELEASE);
	pthread_join(a.thread, NULL);
	ck_assert_int_eq(__atomic_load_n(&in_callback, __ATOMIC_ACQUIRE), 0);
	ck_assert(!is_cached(VICTIM));
	/* It went on to its end, or gave back what it was granted. */
	ck_assert_uint_le(storage_usage(), half_of(TOTAL));
	if (a.got)
		rn_storage_free(a.got);
	ck_assert_uint_eq(storage_usage(), half_of(TOTAL) - ENTRY);
	storage_granted(ENTRY, 0);
	ck_assert_int_eq(rn_pools_destroy(), 0);
}
END_TEST

/* --- fork() meanwhile --- */

static void child_uses_the_pools(void)
{
	size_t n = 0;
	void *p;

	alarm(30);
	p = rn_storage_pin(5, &n);
	if (!p || n != ENTRY || !pattern_ok(p, n, 5))
		_exit(1);
	/* Nobody is evicting it here: it is an entry as any other. */
	p = rn_storage_pin(VICTIM, NULL);
	if (!p || !pattern_ok(p, ENTRY, VICTIM))
		_exit(2);
	if (rn_storage_unpin(VICTIM) || rn_storage_release(7))
		_exit(3);
	if (!rn_storage_alloc(ENTRY, 0) || !rn_exec_alloc(100, 0))
		_exit(4);
	go_on = true;
	if (!rn_storage_alloc(ENTRY, 0) || rn_storage_lookup(VICTIM, NULL))
		_exit(5);
	_exit(rn_pools_destroy() ? 6 : 0);
}

static void expect_good_end(pid_t pid)
{
	int status = -1;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}

START_TEST(forked_beside)
{
	struct pool_asker a;
	pid_t pid;

	start_evicting(&a);
	pid = fork();
	if (!pid)
		child_uses_the_pools();
	expect_good_end(pid);
	end_evicting(&a);
	ck_assert(!is_cached(VICTIM));
	ck_assert_int_eq(rn_pools_destroy(), 0);
}
END_TEST

/* Out of the callback itself: both go on with it. */
static pid_t child;

static bool forks(uint64_t id, void *p, size_t bytes, void *arg)
{
	nr_calls++;
	child = fork();
	return true;
}

START_TEST(forked_in_it)
{
	start_with(forks);
	storage_granted(ENTRY, 0);
	if (!child) {
		alarm(30);
		if (rn_storage_lookup(VICTIM, NULL) ||
		    !rn_storage_lookup(5, NULL))
			_exit(1);
		_exit(rn_pools_destroy() ? 2 : 0);
	}
	expect_good_end(child);
	ck_assert(!is_cached(VICTIM));
	ck_assert_int_eq(rn_pools_destroy(), 0);
}
END_TEST

/* --- several at a time --- */

static unsigned int nr_met;
static uint64_t met[2];
static pthread_barrier_t both;

/* Each asks for the entry of the other, who does not wait either. */
static bool meets_another(uint64_t id, void *p, size_t bytes, void *arg)
{
	unsigned int mine = __atomic_fetch_add(&nr_met, 1, __ATOMIC_ACQ_REL);

	must(mine < 2, "called once more");
	met[mine] = id;
	pthread_barrier_wait(&both);
	errno = 0;
	must(!rn_storage_pin(met[!mine], NULL) && errno == EBUSY, "pinned");
	errno = 0;
	must(!rn_storage_acquire(met[!mine], ENTRY) && errno == EBUSY,
	     "acquired");
	pthread_barrier_wait(&both);
	return pattern_ok(p, bytes, id);
}

/* Nobody waits for another's callback to have one of its own, or in it. */
START_TEST(two_at_a_time)
{
	struct pool_asker a[2];

	pthread_barrier_init(&both, NULL, 2);
	pools_start(TOTAL, PATIENT(.evict = meets_another,
				   .flags = RN_POOLS_STORAGE_HALF));
	for (uint64_t id = 0; id < ENTRIES; id++)
		pattern_set(entry_cached(id, ENTRY), ENTRY, id);
	for (int i = 0; i < 2; i++)
		start_asking(&a[i], ASK_STORAGE, 0, ENTRY);
	for (int i = 0; i < 2; i++)
		expect_served(&a[i]);
	ck_assert_uint_eq(nr_met, 2);
	ck_assert_uint_eq(nr_cached(0, ENTRIES), ENTRIES - 2);
	ck_assert_int_eq(rn_pools_destroy(), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pools_callback");
	TCase *tc = tcase_create("callback");

	tcase_add_test(tc, may_free);
	tcase_add_test(tc, may_allocate);
	tcase_add_test(tc, may_not_have_it);
	tcase_add_test(tc, may_use_others);
	tcase_add_loop_test(tc, others_wait_until_it_is_gone, 0, NR_USES);
	tcase_add_loop_test(tc, others_wait_until_it_stays, 0, NR_USES);
	tcase_add_loop_test(tc, released_meanwhile, 0, 2);
	tcase_add_loop_test(tc, may_release_it, 0, 2);
	tcase_add_test(tc, cancelled_in_a_callback);
	tcase_add_test(tc, forked_beside);
	tcase_add_test(tc, forked_in_it);
	tcase_add_test(tc, two_at_a_time);
	tcase_set_timeout(tc, 30);
	suite_add_tcase(s, tc);
	return suite_main(s);
}

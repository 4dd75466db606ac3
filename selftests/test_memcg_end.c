// SPDX-License-Identifier: MIT
/*
 * The end of groups, in each of its ways, and what becomes of groups in a child
 * of fork().
 */
#include "helpers.h"
#include "memcg.h"

#include <errno.h>
#include <pthread.h>
#include <rn/vmstat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PER_SIZE = 4, MOST = 1024 };

/* A group with objects of every class and runs, each with its contents. */
struct held {
	struct rn_memcg *m;
	char *p[MOST];
	size_t nr, bytes;
};

static void take_some(struct held *h, struct rn_memcg *m)
{
	h->m = m;
	h->nr = h->bytes = 0;
	for (size_t size = size_after(0); size; size = size_after(size)) {
		for (int i = 0; i < PER_SIZE; i++) {
			char *p = granted(m, size, 0);

			pattern_set(p, rn_size(p), (uintptr_t)m);
			h->bytes += rn_size(p);
			h->p[h->nr++] = p;
		}
	}
}

static void expect_whole(const struct held *h)
{
	for (size_t i = 0; i < h->nr; i++)
		ck_assert(pattern_ok(h->p[i], rn_size(h->p[i]),
				     (uintptr_t)h->m));
}

static void let_go(struct held *h)
{
	expect_whole(h);
	while (h->nr) {
		h->bytes -= rn_size(h->p[--h->nr]);
		rn_free(h->p[h->nr]);
	}
}

/* Lines of slabinfo that begin with the name of a group. */
static unsigned int caches_of(const char *name)
{
	char *text = dump_text(rn_slabinfo), start[80];
	unsigned int nr = 0;

	snprintf(start, sizeof(start), "\n%s:", name);
	for (const char *at = text; (at = strstr(at, start)); at++)
		nr++;
	free(text);
	return nr;
}

static int end(struct rn_memcg *m, enum rn_memcg_end how)
{
	return rn_memcg_destroy(m, how);
}

/* --- refused --- */

START_TEST(refuse)
{
	struct rn_memcg *top = group(NULL, "top"), *m = group(top, "busy");
	static struct held h;

	take_some(&h, m);
	while (h.nr) {
		ck_assert_int_eq(end(m, RN_MEMCG_REFUSE), -EBUSY);
		ck_assert_int_eq(end(top, RN_MEMCG_REFUSE), -EBUSY);
		ck_assert_uint_eq(rn_memcg_usage(m), h.bytes);
		/* It is as it was. */
		rn_free(granted(m, 100, 0));
		h.bytes -= rn_size(h.p[--h.nr]);
		rn_free(h.p[h.nr]);
	}
	ck_assert_int_gt(caches_of("busy"), 0);
	/* What lies in sheaves is nobody's. */
	ck_assert_int_eq(end(m, RN_MEMCG_REFUSE), 0);
	ck_assert_int_eq(caches_of("busy"), 0);
	ck_assert_int_eq(end(top, RN_MEMCG_REFUSE), 0);
}
END_TEST

START_TEST(children_first)
{
	struct rn_memcg *top = group(NULL, "top"), *m = group(top, "m");
	struct rn_memcg *low = group(m, "low");

	for (int how = RN_MEMCG_REFUSE; how <= RN_MEMCG_FREE; how++) {
		ck_assert_int_eq(end(top, how), -EBUSY);
		ck_assert_int_eq(end(m, how), -EBUSY);
	}
	group_end(low);
	ck_assert_int_eq(end(top, RN_MEMCG_FREE), -EBUSY);
	group_end(m);
	group_end(top);
}
END_TEST

/* --- the parent's --- */

START_TEST(reparent)
{
	struct rn_memcg *top = group(NULL, "top"), *m = group(top, "short");
	struct rn_memcg *beside = group(top, "beside");
	static struct held h;
	char *p;

	ck_assert_int_eq(end(top, RN_MEMCG_REPARENT), -EBUSY);
	take_some(&h, m);
	ck_assert_int_eq(end(m, RN_MEMCG_REPARENT), 0);
	ck_assert_uint_eq(rn_memcg_usage(top), h.bytes);
	ck_assert_uint_eq(rn_memcg_usage(beside), 0);
	expect_whole(&h);
	/* They grow where they are. */
	p = rn_realloc(h.p[0], 5000, 0);
	ck_assert_ptr_nonnull(p);
	ck_assert_uint_eq(rn_memcg_usage(top),
			  h.bytes - rn_size_roundup(1) + rn_size(p));
	h.p[0] = rn_realloc(p, 1, 0);
	pattern_set(h.p[0], rn_size(h.p[0]), (uintptr_t)m);
	ck_assert_uint_eq(rn_memcg_usage(top), h.bytes);
	/* They are not in use by the parent's children. */
	group_end(beside);
	ck_assert_int_eq(end(top, RN_MEMCG_REFUSE), -EBUSY);
	let_go(&h);
	ck_assert_uint_eq(rn_memcg_usage(top), 0);
	ck_assert_int_eq(end(top, RN_MEMCG_REFUSE), 0);
	ck_assert_uint_eq(caches_of("short"), 0);
}
END_TEST

START_TEST(reparent_a_root)
{
	struct rn_memcg *m = group(NULL, "root");
	void *p = granted(m, 100, 0);

	ck_assert_int_eq(end(m, RN_MEMCG_REPARENT), -EINVAL);
	ck_assert_uint_eq(rn_memcg_usage(m), rn_size(p));
	rn_free(p);
	group_end(m);
}
END_TEST

/* A max that was in the way is gone with the group; those above it are not. */
START_TEST(reparented_limits)
{
	struct rn_memcg *top = group_of(NULL, "top", 100 * 1024);
	struct rn_memcg *m = group_of(top, "short", 2048);
	void *p = granted(m, 1024, 0), *q;

	set_limit(m, RN_MEMCG_MIN, 50 * 1024);
	ck_assert_int_eq(end(m, RN_MEMCG_REPARENT), 0);
	q = rn_realloc(p, 40 * 1024, RN_NORETRY);
	ck_assert_ptr_nonnull(q);
	errno = 0;
	ck_assert_ptr_null(rn_realloc(q, 90 * 1024, RN_NORETRY));
	ck_assert_int_eq(errno, ENOMEM);
	ck_assert_uint_eq(rn_memcg_usage(top), rn_size(q));
	rn_free(q);
	rn_free(granted(top, 100 * 1024, RN_NORETRY));
	ck_assert_int_eq(end(top, RN_MEMCG_REFUSE), 0);
}
END_TEST

/* What is left of a group keeps its id no longer than its last object lives. */
START_TEST(reparent_again_and_again)
{
	enum { ROUNDS = 6000, ALIVE = 500 };
	struct rn_memcg *top = group(NULL, "top"), *m;
	static char *p[ALIVE];
	const int alive = ALIVE / LESS;
	size_t sum;

	for (int i = 0; i < ROUNDS / LESS + 2 * alive; i++) {
		char **place = &p[i % alive];

		rn_free(*place);
		m = group(top, "one-of-many");
		*place = granted(m, i % 50 ? 40 + i % 3 * 100 : 70000, 0);
		ck_assert_int_eq(end(m, RN_MEMCG_REPARENT), 0);
	}
	sum = 0;
	for (int i = 0; i < alive; i++)
		sum += rn_size(p[i]);
	ck_assert_uint_eq(rn_memcg_usage(top), sum);
	for (int i = 0; i < alive; i++)
		rn_free(p[i]);
	ck_assert_uint_eq(rn_memcg_usage(top), 0);
	ck_assert_int_eq(end(top, RN_MEMCG_REFUSE), 0);
	ck_assert_uint_eq(caches_of("one-of-many"), 0);
}
END_TEST

/* A line of them, the lowest with an object: each goes to the one above. */
START_TEST(reparent_a_line)
{
	enum { LONG = 20 };
	struct rn_memcg *top = group(NULL, "top"), *m[LONG];
	void *p;

	for (int i = 0; i < LONG; i++)
		m[i] = group(i ? m[i - 1] : top, "line");
	p = granted(m[LONG - 1], 3000, 0);
	for (int i = LONG - 1; i >= 0; i--) {
		ck_assert_int_eq(end(m[i], RN_MEMCG_REPARENT), 0);
		ck_assert_uint_eq(rn_memcg_usage(i ? m[i - 1] : top),
				  rn_size(p));
	}
	rn_free(p);
	ck_assert_uint_eq(rn_memcg_usage(top), 0);
	ck_assert_int_eq(end(top, RN_MEMCG_REFUSE), 0);
}
END_TEST

/* Others free what is left of groups, while groups are made and destroyed. */
static char *passed[256];
static bool over;

static void *free_passed(void *arg)
{
	unsigned int i = 0;

	while (!__atomic_load_n(&over, __ATOMIC_ACQUIRE))
		rn_free(__atomic_exchange_n(&passed[i++ % 256], NULL,
					    __ATOMIC_ACQ_REL));
	return NULL;
}

START_TEST(freed_meanwhile)
{
	struct rn_memcg *top[2] = { group(NULL, "a"), group(NULL, "b") }, *m;
	uint64_t random = 1;
	pthread_t t[2];

	for (int i = 0; i < 2; i++)
		pthread_create(&t[i], NULL, free_passed, NULL);
	for (int i = 0; i < 8000 / LESS; i++) {
		m = group(top[xorshift(&random) % 2], "short");
		rn_free(__atomic_exchange_n(&passed[xorshift(&random) % 256],
					    granted(m, 3000, 0),
					    __ATOMIC_ACQ_REL));
		ck_assert_int_eq(end(m, RN_MEMCG_REPARENT), 0);
	}
	__atomic_store_n(&over, true, __ATOMIC_RELEASE);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	for (int i = 0; i < 256; i++)
		rn_free(passed[i]);
	for (int i = 0; i < 2; i++) {
		ck_assert_uint_eq(rn_memcg_usage(top[i]), 0);
		ck_assert_int_eq(end(top[i], RN_MEMCG_REFUSE), 0);
	}
}
END_TEST

/* --- freed --- */

/* Of 2 MiB, on whatever memory. */
static long pageblocks(void)
{
	return vmstat_nodes("pageblocks_hugetlb") +
	       vmstat_nodes("pageblocks_thp") +
	       vmstat_nodes("pageblocks_small");
}

/* What a sanitizer knows about memory is resident, too. */
START_TEST(free_all)
{
	struct rn_memcg *top = group(NULL, "top"), *m, *beside;
	static struct held gone, stays, rest;
	long before = 0, blocks = 0, resident = 0;

	beside = group(top, "beside");
	take_some(&stays, beside);
	for (int round = 0; round < 5 + 40 / LESS; round++) {
		m = group(top, "gone");
		take_some(&gone, m);
		/* Some are in sheaves, and slabs of all kinds are there. */
		for (size_t i = 0; i < gone.nr; i += 3)
			rn_free(gone.p[i]);
		ck_assert_int_gt(caches_of("gone"), 0);
		ck_assert_int_eq(end(m, RN_MEMCG_FREE), 0);
		ck_assert_uint_eq(caches_of("gone"), 0);
		ck_assert_uint_eq(rn_memcg_usage(top), stays.bytes);
		if (round == 4) {
			before = vmstat("nr_caches");
			blocks = pageblocks();
			resident = status_value("VmRSS");
		}
	}
	ck_assert_int_eq(vmstat("nr_caches"), before);
	/* A round has some 60 MB: it was the same memory each time. */
	ck_assert_int_le(pageblocks(), blocks + 10);
	if (!SANITIZED)
		ck_assert_int_lt(status_value("VmRSS"), resident + 20000);
	expect_whole(&stays);
	take_some(&rest, top);
	expect_whole(&stays);
	let_go(&rest);
	let_go(&stays);
	group_end(beside);
	group_end(top);
}
END_TEST

/*
 * How long that takes is a matter of what is in use, not of the largest request
 * that was ever refused, nor of what was once in use.
 */
START_TEST(free_after_a_huge_request)
{
	size_t bytes = (size_t)vmstat("reservation_bytes") / 8 * 7;
	struct rn_memcg *m = group(NULL, "small");
	double start;
	void *p;

	p = granted(m, 3000, 0);
	p = granted(m, 300000, 0);
	p = rn_alloc(opaque(bytes), 0);
	rn_free(p);
	start = seconds();
	ck_assert_int_eq(end(m, RN_MEMCG_FREE), 0);
	ck_assert_double_lt(seconds() - start, 1);
	ck_assert_uint_eq(caches_of("small"), 0);
}
END_TEST

/* With what is left of groups that were below it. */
START_TEST(free_with_reparented)
{
	struct rn_memcg *top = group(NULL, "top"), *m, *low;
	static struct held h[3];

	for (int round = 0; round < 1 + 8 / LESS; round++) {
		m = group(top, "m");
		low = group(m, "low");
		take_some(&h[0], m);
		take_some(&h[1], low);
		ck_assert_int_eq(end(low, RN_MEMCG_REPARENT), 0);
		ck_assert_uint_eq(rn_memcg_usage(m), h[0].bytes + h[1].bytes);
		take_some(&h[2], top);
		ck_assert_int_eq(end(m, RN_MEMCG_FREE), 0);
		ck_assert_uint_eq(rn_memcg_usage(top), h[2].bytes);
		ck_assert_uint_eq(caches_of("m") + caches_of("low"), 0);
		let_go(&h[2]);
	}
	group_end(top);
}
END_TEST

/* --- fork() --- */

static void expect_child_ok(pid_t pid)
{
	int status = -1;

	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		ck_abort_msg("pid %d, status %#x", pid, status);
}

START_TEST(forked)
{
	struct rn_memcg *top = group_of(NULL, "top", 200UL << 20);
	struct rn_memcg *m = group(top, "m");
	static struct held h, more;
	pid_t pid;

	take_some(&h, m);
	pid = fork();
	if (!pid) {
		ck_assert_uint_eq(rn_memcg_usage(m), h.bytes);
		ck_assert_ptr_eq(rn_memcg_of(h.p[0]), m);
		take_some(&more, m);
		ck_assert_uint_eq(rn_memcg_usage(top), h.bytes + more.bytes);
		let_go(&h);
		ck_assert_uint_eq(rn_memcg_usage(top), more.bytes);
		let_go(&more);
		group_end(m);
		group_end(top);
		_exit(0);
	}
	expect_child_ok(pid);
	ck_assert_uint_eq(rn_memcg_usage(top), h.bytes);
	let_go(&h);
	group_end(m);
	group_end(top);
}
END_TEST

/* Threads that have room for two objects between them; some of them wait. */
enum { KEPT = 40, ROOM = 2, SIZE = 1024 };

static struct rn_memcg *shared;

static void *near_limit(void *arg)
{
	rn_gfp_t flags = (uintptr_t)arg % 2 ? RN_NOWAIT : 0;

	while (!__atomic_load_n(&over, __ATOMIC_ACQUIRE))
		rn_free(rn_memcg_alloc(shared, SIZE, flags));
	return NULL;
}

/* Charged is what has left the slabs, also what its thread had not got yet. */
static void child_is_right(void)
{
	struct slabinfo s;
	void *p;

	alarm(30);
	if (!slabinfo_of("shared:kmalloc-1024", &s))
		_exit(1);
	if (rn_memcg_usage(shared) != s.active * SIZE)
		_exit(2);
	if (rn_memcg_set(shared, RN_MEMCG_MAX, RN_MEMCG_NO_LIMIT))
		_exit(3);
	p = rn_memcg_alloc(shared, SIZE, 0);
	if (!p)
		_exit(4);
	rn_free(p);
	_exit(rn_memcg_usage(shared) == s.active * SIZE ? 0 : 5);
}

START_TEST(forked_meanwhile)
{
	void *kept[KEPT];
	pthread_t t[4];

	shared = group_of(NULL, "shared", (KEPT + ROOM) * SIZE);
	for (int i = 0; i < KEPT; i++)
		kept[i] = granted(shared, SIZE, 0);
	for (uintptr_t i = 0; i < ARRAY_LEN(t); i++)
		pthread_create(&t[i], NULL, near_limit, (void *)(i + 1));
	for (int i = 0; i < 300 / LESS; i++) {
		pid_t pid = fork();

		if (!pid)
			child_is_right();
		expect_child_ok(pid);
	}
	__atomic_store_n(&over, true, __ATOMIC_RELEASE);
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		pthread_join(t[i], NULL);
	ck_assert_uint_le(rn_memcg_peak(shared), (KEPT + ROOM) * SIZE);
	for (int i = 0; i < KEPT; i++)
		rn_free(kept[i]);
	group_end(shared);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("memcg_end");
	TCase *ends = tcase_create("ends");
	TCase *forks = tcase_create("forks");

	tcase_add_test(ends, refuse);
	tcase_add_test(ends, children_first);
	tcase_add_test(ends, reparent);
	tcase_add_test(ends, reparent_a_root);
	tcase_add_test(ends, reparented_limits);
	tcase_add_test(ends, reparent_again_and_again);
	tcase_add_test(ends, reparent_a_line);
	tcase_add_test(ends, freed_meanwhile);
	tcase_add_test(ends, free_all);
	tcase_add_test(ends, free_after_a_huge_request);
	tcase_add_test(ends, free_with_reparented);
	tcase_add_test(forks, forked);
	tcase_add_test(forks, forked_meanwhile);
	tcase_set_timeout(ends, 60);
	tcase_set_timeout(forks, 60);
	suite_add_tcase(s, ends);
	suite_add_tcase(s, forks);
	return suite_main(s);
}

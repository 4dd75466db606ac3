// SPDX-License-Identifier: MIT
/* Failures on purpose: each key, which calls are asked, and life after it. */
#include "helpers.h"

#include "debug/fault_inject.h"
#include "internal.h"

#include <errno.h>
#include <pthread.h>
#include <rn/debug.h>
#include <rn/fault_inject.h>
#include <rn/pages.h>
#include <rn/reclaim.h>
#include <search.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CALLS	1000

static void set(const char *name, const char *how)
{
	ck_assert_int_eq(rn_fault_set(name, how), 0);
}

/* Does the next object fail? */
static bool fails(size_t size)
{
	void *p;

	errno = 0;
	p = rn_alloc(opaque(size), 0);
	if (!p)
		ck_assert_int_eq(errno, ENOMEM);
	rn_free(p);
	return !p;
}

/* Of so many calls, which: one bit each of up to 64. */
static uint64_t failures(unsigned int calls)
{
	uint64_t which = 0;

	for (unsigned int i = 0; i < calls; i++)
		which |= (uint64_t)fails(64) << i;
	return which;
}

static unsigned int count_failures(unsigned int calls)
{
	unsigned int nr = 0;

	for (unsigned int i = 0; i < calls; i++)
		nr += fails(64);
	return nr;
}

/* --- what a text says --- */

static const char *const nonsense[] = {
	"", "1", "1,2,3", "1,2,3,4,5", "0,1,0,-1", "1,101,0,-1", "1,1,0,-2",
	"probability", "probability=", "probability=101", "probability=-1",
	"interval=0", "times=-2", "space=-1", "nth=x", "nth=1x", "verbose=3",
	"nth=1,", ",nth=1", "nth=1,,times=1", "what=1", "cache=",
	"cache=0123456789012345678901234567890123456789012345678901234567890123",
	"nth=99999999999999999999", "cache-filter=2", "1,1,0,-1,verbose=0",
};

START_TEST(nonsense_is_refused)
{
	set("failslab", "nth=3,verbose=0");
	ck_assert_int_eq(rn_fault_set("failslab", nonsense[_i]), -EINVAL);
	/* Nothing has changed. */
	ck_assert_uint_eq(failures(5), 1 << 2);
}
END_TEST

START_TEST(names)
{
	ck_assert_int_eq(rn_fault_set("fail", "nth=1"), -EINVAL);
	ck_assert_int_eq(rn_fault_set(NULL, "nth=1"), -EINVAL);
	ck_assert_int_eq(rn_fault_count("fail"), -EINVAL);
	for (int i = 0; i < NR_FAULT_KINDS; i++)
		set(fault_names[i], "nth=1000000");
	ck_assert_uint_eq(faults_armed, (1 << NR_FAULT_KINDS) - 1);
	for (int i = 0; i < NR_FAULT_KINDS; i++)
		set(fault_names[i], NULL);
	ck_assert_uint_eq(faults_armed, 0);
	ck_assert_int_eq(rn_fault_set("failslab", "stack=no_such_function"),
			 -ENOENT);
	ck_assert_uint_eq(faults_armed, 0);
}
END_TEST

START_TEST(nonsense_is_said)
{
	char *text;

	setenv("RN_FAILSLAB", "nth=1,tims=3", 1);
	stderr_catch();
	ck_assert(!fails(64));
	text = stderr_caught();
	ck_assert_str_eq(text, "libslab: RN_FAILSLAB=nth=1,tims=3: not "
			 "understood from \"tims=3\" on; ignored\n");
	free(text);
}
END_TEST

START_TEST(by_option)
{
	setenv("RN_FAILSLAB", "2,100,0,2", 1);
	stderr_catch();
	ck_assert_uint_eq(failures(8), 0x0a);
	free(stderr_caught());
	ck_assert_int_eq(rn_fault_count("failslab"), 2);
}
END_TEST

/* --- which calls --- */

START_TEST(nth)
{
	set("failslab", "nth=3,verbose=0");
	ck_assert_uint_eq(failures(64), 1 << 2);
	ck_assert_int_eq(rn_fault_count("failslab"), 1);
	set("failslab", "nth=1,probability=0,times=0,space=1000,verbose=0");
	ck_assert_uint_eq(failures(64), 1);
}
END_TEST

START_TEST(interval)
{
	set("failslab", "interval=4,verbose=0");
	ck_assert_uint_eq(failures(12), 0x888);
}
END_TEST

START_TEST(times)
{
	set("failslab", "times=2,verbose=0");
	ck_assert_uint_eq(failures(12), 3);
	set("failslab", "times=0,verbose=0");
	ck_assert_uint_eq(failures(12), 0);
}
END_TEST

START_TEST(space)
{
	set("failslab", "space=640,times=1,verbose=0");
	ck_assert_uint_eq(failures(20), 1 << 9);
	/* Pages. */
	set("failslab", NULL);
	set("fail_page_alloc", "space=8,times=1,verbose=0");
	rn_free_pages(rn_alloc_pages(2, RN_NORETRY, RN_NO_NODE), 2);
	ck_assert_int_eq(rn_fault_count("fail_page_alloc"), 0);
	ck_assert_ptr_null(rn_alloc_pages(2, RN_NORETRY, RN_NO_NODE));
}
END_TEST

START_TEST(probability)
{
	unsigned int nr;

	set("failslab", "probability=0,verbose=0");
	ck_assert_uint_eq(count_failures(CALLS), 0);
	set("failslab", "probability=100,verbose=0");
	ck_assert_uint_eq(count_failures(CALLS), CALLS);
	set("failslab", "probability=20,seed=1,verbose=0");
	nr = count_failures(CALLS);
	ck_assert_uint_ge(nr, 150);
	ck_assert_uint_le(nr, 250);
	ck_assert_uint_eq(rn_fault_count("failslab"), nr);
}
END_TEST

/* The same seed, the same failures. */
START_TEST(seed)
{
	uint64_t first, other;

	set("failslab", "probability=50,seed=7,verbose=0");
	first = failures(64);
	set("failslab", "probability=50,seed=8,verbose=0");
	other = failures(64);
	ck_assert_uint_ne(first, other);
	set("failslab", "probability=50,seed=7,verbose=0");
	ck_assert_uint_eq(failures(64), first);
}
END_TEST

/* --- filters --- */

static struct rn_cache *cache(const char *name, unsigned int flags)
{
	struct rn_cache_args args = {
		.sz = sizeof(args), .size = 64, .flags = flags,
	};
	struct rn_cache *c = rn_cache_create(name, &args);

	ck_assert_ptr_nonnull(c);
	return c;
}

static bool cache_fails(struct rn_cache *c)
{
	void *p = rn_cache_alloc(c, 0);

	rn_cache_free(c, p);
	return !p;
}

START_TEST(by_cache)
{
	struct rn_cache *c = cache("wanted", RN_NOMERGE);
	struct rn_cache *other = cache("other", RN_NOMERGE);

	set("failslab", "cache=wanted,verbose=0");
	ck_assert(cache_fails(c));
	ck_assert(!cache_fails(other));
	ck_assert(!fails(64));
	ck_assert(!fails(1 << 20));
	set("failslab", "cache=kmalloc-*,verbose=0");
	ck_assert(!cache_fails(c));
	ck_assert(fails(64));
	/* Who is kept out is not counted. */
	set("failslab", "cache=wanted,nth=2,verbose=0");
	ck_assert(!cache_fails(c));
	ck_assert(!cache_fails(other));
	ck_assert(cache_fails(c));
}
END_TEST

START_TEST(by_mark)
{
	struct rn_cache *marked, *by_letter;
	struct rn_cache *plain;

	setenv("RN_SLAB_DEBUG", "A,letter", 1);
	plain = cache("plain", 0);
	marked = cache("marked", RN_FAILSLAB);
	by_letter = cache("letter", 0);
	ck_assert_ptr_ne(marked, plain);
	ck_assert_ptr_ne(by_letter, plain);
	ck_assert_ptr_ne(cache("too", 0), marked);
	set("failslab", "cache-filter=1,verbose=0");
	ck_assert(cache_fails(marked));
	ck_assert(cache_fails(by_letter));
	ck_assert(!cache_fails(plain));
	ck_assert(!fails(64));
	ck_assert(!fails(1 << 20));
}
END_TEST

/* Marked is not debugged: its slots are open. */
START_TEST(mark_costs_nothing)
{
	struct rn_cache_args args = {
		.sz = sizeof(args), .size = 64, .flags = RN_FAILSLAB,
	};
	struct rn_cache *c = rn_cache_create("marked", &args);

	ck_assert_uint_eq(rn_cache_size(c), 64);
	ck_assert_int_eq(rn_cache_destroy(c), 0);
}
END_TEST

static void *fails_in_thread(void *is_task)
{
	rn_fault_task(is_task != NULL);
	return fails(64) ? is_task : NULL;
}

START_TEST(by_task)
{
	pthread_t t;
	char yes;
	void *ret;

	set("failslab", "task-filter=1,verbose=0");
	ck_assert(!fails(64));
	rn_fault_task(1);
	ck_assert(fails(64));
	ck_assert_int_eq(pthread_create(&t, NULL, fails_in_thread, &yes),
			 0);
	pthread_join(t, &ret);
	ck_assert_ptr_eq(ret, &yes);
	ck_assert_int_eq(pthread_create(&t, NULL, fails_in_thread, NULL), 0);
	pthread_join(t, &ret);
	rn_fault_task(0);
	ck_assert_int_eq(rn_fault_count("failslab"), 2);
}
END_TEST

static int failed_below;

static int compare(const void *a, const void *b)
{
	failed_below = fails(64);
	return *(const int *)a != *(const int *)b;
}

static bool fails_below_lfind(void)
{
	int key = 1, table = 1;
	size_t nr = 1;

	ck_assert_ptr_eq(lfind(&key, &table, &nr, sizeof(key), compare),
			 &table);
	return failed_below;
}

START_TEST(by_function)
{
	set("failslab", "stack=lfind,verbose=0");
	ck_assert(!fails(64));
	ck_assert(fails_below_lfind());
	set("failslab", "reject=lfind,verbose=0");
	ck_assert(fails(64));
	ck_assert(!fails_below_lfind());
}
END_TEST

START_TEST(by_address)
{
	char how[128];
	const char *from = (const char *)(uintptr_t)fails_below_lfind;

	snprintf(how, sizeof(how), "stack=%p-%p,verbose=0", (void *)from,
		 (void *)(from + 64));
	set("failslab", how);
	ck_assert(!fails(64));
	set("failslab", "stack=0x1000-0x2000,verbose=0");
	ck_assert(!fails_below_lfind());
	ck_assert_int_eq(rn_fault_set("failslab", "stack=0x2000-0x1000"),
			 -ENOENT);
}
END_TEST

/* --- the report --- */

START_TEST(report_line)
{
	char *text;

	rn_free(rn_alloc(64, 0));
	set("failslab", "nth=1,seed=5");
	stderr_catch();
	ck_assert(fails(60));
	text = stderr_caught();
	ck_assert_str_eq(text, "libslab: FAULT_INJECTION: forcing a failure: "
			 "name failslab, interval 1, probability 100, space 0, "
			 "times -1, nth 1, seed 5, call 1, size 60, "
			 "kmalloc-64\n");
	free(text);
	set("failslab", "nth=1,verbose=2");
	stderr_catch();
	ck_assert(fails(1 << 20));
	text = stderr_caught();
	ck_assert_ptr_nonnull(strstr(text, "size 1048576\nCPU: "));
	ck_assert_ptr_nonnull(strstr(text, "\nCall Trace:\n\t"));
	free(text);
}
END_TEST

/* --- what fails --- */

START_TEST(all_ways)
{
	struct rn_cache *c = cache("any", 0);
	void *p = rn_alloc(64, 0), *many[4];

	set("failslab", "verbose=0");
	ck_assert_ptr_null(rn_zalloc(opaque(64), 0));
	ck_assert_ptr_null(rn_alloc(opaque(5000), 0));
	ck_assert_ptr_null(rn_alloc(opaque(1 << 20), 0));
	ck_assert_ptr_null(rn_calloc(4, opaque(64), 0));
	ck_assert_ptr_null(rn_strdup("text", 0));
	ck_assert_ptr_null(rn_cache_zalloc(c, 0));
	ck_assert_ptr_null(rn_cache_alloc_node(c, 0, RN_NO_NODE));
	ck_assert_uint_eq(rn_alloc_bulk(64, 0, 4, many), 0);
	ck_assert_uint_eq(rn_cache_alloc_bulk(c, 0, 4, many), 0);
	ck_assert_ptr_null(rn_realloc(p, 5000, 0));
	ck_assert_ptr_eq(rn_alloc(0, 0), RN_ZERO_SIZE_PTR);
	set("failslab", NULL);
	/* The old one is as it was. */
	p = rn_realloc(p, 5000, 0);
	ck_assert_ptr_nonnull(p);
	rn_free(p);
	ck_assert_int_eq(rn_cache_destroy(c), 0);
	ck_assert_int_eq(rn_validate(NULL), 0);
}
END_TEST

START_TEST(nofail)
{
	void *p;

	set("failslab", "verbose=0");
	set("fail_page_alloc", "verbose=0");
	for (size_t size = 8; size <= 1 << 22; size *= 2) {
		p = rn_alloc(opaque(size), RN_NOFAIL);
		ck_assert_ptr_nonnull(p);
		rn_free(p);
	}
	p = rn_alloc_pages(3, RN_NOFAIL, RN_NO_NODE);
	ck_assert_ptr_nonnull(p);
	rn_free_pages(p, 3);
	ck_assert_int_eq(rn_fault_count("failslab"), 0);
	ck_assert_int_eq(rn_fault_count("fail_page_alloc"), 0);
}
END_TEST

/* Off again, the fast paths are open: nothing is counted. */
START_TEST(off)
{
	set("failslab", "nth=1000000");
	ck_assert(!fails(64));
	set("failslab", NULL);
	ck_assert_uint_eq(count_failures(CALLS), 0);
	ck_assert_int_eq(rn_fault_count("failslab"), 0);
}
END_TEST

START_TEST(pages)
{
	set("fail_page_alloc", "verbose=0");
	ck_assert_ptr_null(rn_alloc(1 << 20, RN_NORETRY));
	ck_assert_ptr_null(rn_alloc_pages(0, RN_NORETRY, RN_NO_NODE));
	ck_assert_ptr_null(rn_alloc(4000, RN_NORETRY));
	ck_assert_int_ge(rn_fault_count("fail_page_alloc"), 3);
	set("fail_page_alloc", "nth=1,verbose=0");
	/* Once is made up for. */
	ck_assert(!fails(6000));
	ck_assert_int_eq(rn_fault_count("fail_page_alloc"), 1);
}
END_TEST

/* Without the kernel's help it cannot start, and says so. */
START_TEST(no_start)
{
	char *text;

	set("fail_mmap", "verbose=0");
	stderr_catch();
	ck_assert(fails(64));
	text = stderr_caught();
	ck_assert_ptr_nonnull(strstr(text, "cannot start: "));
	free(text);
	ck_assert(fails(1 << 20));
	ck_assert_ptr_null(rn_alloc_pages(0, 0, RN_NO_NODE));
	ck_assert_int_gt(rn_fault_count("fail_mmap"), 0);
}
END_TEST

static const char *const system_calls[] = { "fail_mmap", "fail_mbind" };

/* What there is works on; more there is, as soon as the kernel gives it. */
START_TEST(no_more)
{
	const char *name = system_calls[_i];
	void *few, *many;

	few = rn_alloc(64, 0);
	ck_assert_ptr_nonnull(few);
	set(name, "verbose=0");
	many = rn_alloc(64UL << 20, RN_NORETRY);
	ck_assert_int_gt(rn_fault_count(name), 0);
	rn_free(many);
	ck_assert(!fails(64));
	set(name, NULL);
	many = rn_alloc(64UL << 20, 0);
	ck_assert_ptr_nonnull(many);
	memset(many, 1, 64UL << 20);
	rn_free(many);
	rn_free(few);
	ck_assert_int_eq(rn_validate(NULL), 0);
}
END_TEST

/* What is reserved is there, or the reserve is refused. */
START_TEST(no_populate)
{
	size_t bytes = 16UL << 20;

	rn_free(rn_alloc(64, 0));
	set("fail_populate", "verbose=0");
	ck_assert_int_eq(rn_reserve(bytes, RN_NO_NODE, 0), -ENOMEM);
	ck_assert_int_gt(rn_fault_count("fail_populate"), 0);
	set("fail_populate", NULL);
	ck_assert_int_eq(rn_reserve(bytes, RN_NO_NODE, 0), 0);
}
END_TEST

START_TEST(no_thread)
{
	rn_free(rn_alloc(64, 0));
	set("fail_thread", "nth=1,verbose=0");
	ck_assert_int_eq(rn_background_start(), -EAGAIN);
	ck_assert_int_eq(rn_fault_count("fail_thread"), 1);
	ck_assert_int_eq(rn_background_start(), 0);
	rn_background_stop();
}
END_TEST

/* --- threads --- */

#define THREADS	4

static void *count_some(void *arg)
{
	*(unsigned int *)arg = count_failures(CALLS);
	return NULL;
}

/* Nothing is lost of what is counted. */
START_TEST(threads)
{
	unsigned int nr[THREADS], all = 0;
	pthread_t t[THREADS];

	set("failslab", "interval=3,times=777,verbose=0");
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, count_some,
						&nr[i]), 0);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(t[i], NULL);
		all += nr[i];
	}
	ck_assert_uint_eq(all, 777);
	ck_assert_int_eq(rn_fault_count("failslab"), 777);
}
END_TEST

/* --- RN_FAULT_CHECK --- */

START_TEST(check_passes)
{
	setenv("RN_FAULT_CHECK", "1", 1);
	ck_assert(!fails(64));
	set("failslab", "verbose=0");
	exit(0);
}
END_TEST

START_TEST(check_finds_lost_pages)
{
	setenv("RN_FAULT_CHECK", "1", 1);
	ck_assert(!fails(64));
	ck_assert_uint_ne(pages_alloc(3, 0, 0, NULL), NO_PFN);
	exit(0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("fault_inject");
	TCase *tc = tcase_create("options");

	tcase_add_loop_test(tc, nonsense_is_refused, 0, ARRAY_LEN(nonsense));
	tcase_add_test(tc, names);
	tcase_add_test(tc, nonsense_is_said);
	tcase_add_test(tc, by_option);
	suite_add_tcase(s, tc);
	tc = tcase_create("which");
	tcase_add_test(tc, nth);
	tcase_add_test(tc, interval);
	tcase_add_test(tc, times);
	tcase_add_test(tc, space);
	tcase_add_test(tc, probability);
	tcase_add_test(tc, seed);
	tcase_add_test(tc, by_cache);
	tcase_add_test(tc, by_mark);
	tcase_add_test(tc, mark_costs_nothing);
	tcase_add_test(tc, by_task);
	tcase_add_test(tc, by_function);
	tcase_add_test(tc, by_address);
	tcase_add_test(tc, report_line);
	suite_add_tcase(s, tc);
	tc = tcase_create("what");
	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, all_ways);
	tcase_add_test(tc, nofail);
	tcase_add_test(tc, off);
	tcase_add_test(tc, pages);
	tcase_add_test(tc, no_start);
	tcase_add_loop_test(tc, no_more, 0, ARRAY_LEN(system_calls));
	tcase_add_test(tc, no_populate);
	tcase_add_test(tc, no_thread);
	tcase_add_test(tc, threads);
	suite_add_tcase(s, tc);
	tc = tcase_create("check");
	tcase_add_exit_test(tc, check_passes, 0);
	tcase_add_test_raise_signal(tc, check_finds_lost_pages, SIGABRT);
	suite_add_tcase(s, tc);
	return suite_main(s);
}

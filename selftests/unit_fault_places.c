// SPDX-License-Identifier: MIT
/* Failures by place: each once, one in a process, and what is left to check. */
#include "given.h"
#include "helpers.h"

#include "debug/fault_inject.h"
#include "internal.h"
#include "zone.h"

#include <errno.h>
#include <rn/fault_inject.h>
#include <rn/slab.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static char file[] = "/tmp/places.XXXXXX";

static void once(const char *name)
{
	char how[FAULT_PATH_LEN];

	snprintf(how, sizeof(how), "once=%s,verbose=0", file);
	ck_assert_int_eq(rn_fault_set(name, how), 0);
}

static bool fails(void)
{
	void *p = rn_alloc(opaque(64), 0);

	rn_free(p);
	return !p;
}

/* Two places, each reached twice: a bit for each call that failed. */
static int calls(void)
{
	int failed = 0;

	for (size_t i = 0; i < opaque(2); i++) {
		failed |= fails() << (2 * i);
		failed |= fails() << (2 * i + 1);
	}
	return failed;
}

/* What @function returns in a process of its own. */
static int in_child(int (*function)(void))
{
	pid_t pid = fork();
	int status;

	ck_assert_int_ge(pid, 0);
	if (!pid)
		_exit(function());
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void setup(void)
{
	int fd = mkstemp(file);

	ck_assert_int_ge(fd, 0);
	close(fd);
	rn_free(rn_alloc(64, 0));
}

static void teardown(void)
{
	rn_fault_set("failslab", NULL);
	unlink(file);
}

/* One in a process; then the next place; then none is left. */
static void expect_each_once(int (*function)(void))
{
	static const int failed[] = { 1, 2, 0, 0 };

	/* One call for all: where it is made is a part of the place. */
	for (size_t i = 0; i < opaque(ARRAY_LEN(failed)); i++)
		ck_assert_int_eq(in_child(function), failed[i]);
}

START_TEST(each_place_fails_once)
{
	once("failslab");
	expect_each_once(calls);
}
END_TEST

static int calls_anew(void)
{
	once("failslab");
	return calls();
}

/* The file is what remembers. */
START_TEST(by_another_mapping)
{
	for (size_t i = 0; i < opaque(2); i++) {
		expect_each_once(calls_anew);
		ck_assert_int_eq(truncate(file, 0), 0);
	}
}
END_TEST

static int cache_and_object(void)
{
	struct rn_cache_args args = { .sz = sizeof(args), .size = 7 << 10 };
	struct rn_cache *c;
	int failed;

	args.flags = RN_NOMERGE;
	c = rn_cache_create("it", &args);
	failed = (c ? 0 : 1) | fails() << 1;
	rn_cache_destroy(c);
	return failed;
}

/* Whichever kind it is; and the same stack is another place for another. */
START_TEST(of_all_kinds_one)
{
	ck_assert_int_eq(in_child(cache_and_object), 0);
	once("failslab");
	once("fail_meta");
	for (int i = 0; i < 64; i++) {
		int failed = in_child(cache_and_object);

		ck_assert_int_ne(failed, 3);
		if (!failed)
			return;
	}
	ck_abort_msg("there is no end");
}
END_TEST

START_TEST(no_such_folder)
{
	ck_assert_int_eq(rn_fault_set("failslab", "nth=1,verbose=0"), 0);
	ck_assert_int_eq(rn_fault_set("failslab", "once=/nowhere/at/all"),
			 -ENOENT);
	ck_assert_int_eq(rn_fault_set("failslab", "once="), -EINVAL);
	/* Nothing has changed. */
	ck_assert(fails());
}
END_TEST

/* A cache that cannot be made costs nothing, however often it is tried. */
START_TEST(no_metadata_is_lost)
{
	struct rn_cache_args args = {
		.sz = sizeof(args), .size = 64, .flags = RN_NOMERGE,
	};
	struct rn_cache *c = rn_cache_create("first", &args);
	u64 before, each;

	/* All classes are there now. */
	ck_assert_ptr_nonnull(c);
	before = meta_bytes();
	ck_assert_ptr_nonnull(rn_cache_create("second", &args));
	each = meta_bytes() - before;
	for (int nth = 1; nth <= 4; nth++) {
		char how[32];

		snprintf(how, sizeof(how), "nth=%d,verbose=0", nth);
		before = meta_bytes();
		ck_assert_int_eq(rn_fault_set("fail_meta", how), 0);
		errno = 0;
		c = rn_cache_create("third", &args);
		ck_assert_uint_eq(meta_bytes() - before, c ? each : 0);
		if (c)
			break;
		ck_assert_int_eq(errno, ENOMEM);
	}
	ck_assert_int_eq(rn_fault_set("fail_meta", NULL), 0);
	ck_assert_ptr_nonnull(c);
}
END_TEST

static int check(void)
{
	return rn_fault_check();
}

static void expect_check(int bad, const char *what)
{
	int got;

	stderr_catch();
	got = check();
	ck_assert_int_eq(said(what), bad);
	ck_assert_int_eq(got, bad);
}

/* Also where calls fail: that is over. */
START_TEST(check_finds_nothing)
{
	ck_assert_int_eq(rn_fault_set("failslab", "verbose=0"), 0);
	ck_assert(fails());
	expect_check(0, "RN_FAULT_CHECK");
	ck_assert(!fails());
}
END_TEST

START_TEST(check_finds_lost_pages)
{
	init_given();
	pages_given(3);
	expect_check(1, "RN_FAULT_CHECK: pages are in use and nobody's");
	options.fault_check = FAULT_CHECK_UNOWNED;
	expect_check(0, "RN_FAULT_CHECK");
}
END_TEST

START_TEST(check_finds_a_wrong_count)
{
	struct zone *z;

	init_given();
	z = &zones[numa_local_node()];
	z->pages[0].free++;
	expect_check(1, "RN_FAULT_CHECK: free pages do not add up");
	z->pages[0].free--;
	expect_check(0, "RN_FAULT_CHECK");
}
END_TEST

static int option_is_read(void)
{
	setenv("RN_FAULT_CHECK", "yes", 1);
	stderr_catch();
	options_read();
	return said("RN_FAULT_CHECK=yes is not 0, 1 or unowned; ignored");
}

/* As the first call: it reads what is to fail, and then has nothing fail. */
static int check_comes_first(void)
{
	setenv("RN_FAILSLAB", "probability=100,verbose=0", 1);
	return rn_fault_check();
}

START_TEST(check_begins)
{
	ck_assert_int_eq(in_child(check_comes_first), 0);
}
END_TEST

START_TEST(nonsense_is_said)
{
	ck_assert_int_eq(in_child(option_is_read), 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("fault_places");
	TCase *tc = tcase_create("places");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, each_place_fails_once);
	tcase_add_test(tc, by_another_mapping);
	tcase_add_test(tc, of_all_kinds_one);
	tcase_add_test(tc, no_such_folder);
	tcase_add_test(tc, no_metadata_is_lost);
	suite_add_tcase(s, tc);
	tc = tcase_create("check");
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, check_finds_nothing);
	tcase_add_test(tc, check_finds_lost_pages);
	tcase_add_test(tc, check_finds_a_wrong_count);
	tcase_add_test(tc, check_begins);
	tcase_add_test(tc, nonsense_is_said);
	suite_add_tcase(s, tc);
	return suite_main(s);
}

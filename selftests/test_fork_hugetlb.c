// SPDX-License-Identifier: MIT
/*
 * fork() of a heap that fills the hugetlb pool to its last page: parent and
 * child both write to all of it, and neither is killed.
 */
#include <rn/pages.h>
#include <rn/slab.h>
#include <rn/vmstat.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "helpers.h"
#include "hugepages.h"

#define MIB	((size_t)1 << 20)
#define BLOCK	(2 * MIB)
#define BLOCKS	6
#define SMALL	2000

static const char *no_huge;
static char *large[BLOCKS - 1];
static char *small[SMALL];

static size_t small_size(int i)
{
	return 16 + i % 500;
}

static void setup(void)
{
	no_huge = huge_begin();
}

/* Small objects in the first blocks, large ones in the others. */
static void heap_make(int pool)
{
	ck_assert_int_eq(huge_set_free(pool), 0);
	setenv("RN_LADDER", "hugetlb,small", 1);
	for (int i = 0; i < SMALL; i++) {
		small[i] = rn_alloc(small_size(i), 0);
		ck_assert_ptr_nonnull(small[i]);
		pattern_set(small[i], small_size(i), i);
	}
	for (int i = 0; i < BLOCKS - 1; i++) {
		large[i] = rn_alloc(BLOCK, 0);
		ck_assert_ptr_nonnull(large[i]);
		pattern_set(large[i], BLOCK, i);
	}
}

static bool heap_ok(uint64_t seed)
{
	bool ok = true;

	for (int i = 0; i < SMALL; i++)
		ok &= pattern_ok(small[i], small_size(i), seed + i);
	for (int i = 0; i < BLOCKS - 1; i++)
		ok &= pattern_ok(large[i], BLOCK, seed + i);
	return ok;
}

static void heap_write(uint64_t seed)
{
	for (int i = 0; i < SMALL; i++)
		pattern_set(small[i], small_size(i), seed + i);
	for (int i = 0; i < BLOCKS - 1; i++)
		pattern_set(large[i], BLOCK, seed + i);
}

/* What a child finds wrong, as its exit status. */
enum { FINE, NOT_INHERITED, NOT_WRITTEN, NO_NEW };

static int child(void)
{
	char *p;

	if (!heap_ok(0))
		return NOT_INHERITED;
	heap_write(1000000);
	for (int i = 0; i < SMALL; i++) {
		p = rn_alloc(300, RN_ZERO);
		if (!p || !all_zero(p, 300))
			return NO_NEW;
		memset(p, 1, 300);
		if (i % 2)
			rn_free(p);
	}
	p = rn_alloc(3 * BLOCK, 0);
	if (!p)
		return NO_NEW;
	memset(p, 1, 3 * BLOCK);
	rn_free(p);
	if (!heap_ok(1000000))
		return NOT_WRITTEN;
	for (int i = 0; i < SMALL; i++)
		rn_free(small[i]);
	for (int i = 0; i < BLOCKS - 1; i++)
		rn_free(large[i]);
	rn_shrink_all();
	return FINE;
}

static void fork_and_check(void)
{
	int status;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		_exit(child());
	heap_write(2000000);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status), "the child was killed by signal %d",
		      WTERMSIG(status));
	ck_assert_int_eq(WEXITSTATUS(status), FINE);
	ck_assert(heap_ok(2000000));
	heap_write(0);
}

START_TEST(pool_without_a_page_left)
{
	if (no_huge) {
		skip_part("pool_without_a_page_left", no_huge);
		return;
	}
	heap_make(BLOCKS);
	ck_assert_int_ge(vmstat_nodes("pageblocks_hugetlb"), BLOCKS - 1);
	fork_and_check();
	ck_assert_int_eq(vmstat("fork_hugetlb_copied"), 1);
	/* And once more: the parent's pages are its own again. */
	fork_and_check();
	ck_assert_int_eq(vmstat("fork_hugetlb_copied"), 2);
	ck_assert_int_eq(vmstat("fork_hugetlb_shared"), 0);
}
END_TEST

START_TEST(pool_with_enough_left)
{
	if (no_huge) {
		skip_part("pool_with_enough_left", no_huge);
		return;
	}
	heap_make(3 * BLOCKS);
	fork_and_check();
	ck_assert_int_eq(vmstat("fork_hugetlb_shared"), 1);
	ck_assert_int_eq(vmstat("fork_hugetlb_copied"), 0);
}
END_TEST

/* RN_FORK=copy: not even then is a page shared. */
START_TEST(copy_is_asked_for)
{
	if (no_huge) {
		skip_part("copy_is_asked_for", no_huge);
		return;
	}
	setenv("RN_FORK", "copy", 1);
	heap_make(3 * BLOCKS);
	fork_and_check();
	ck_assert_int_eq(vmstat("fork_hugetlb_shared"), 0);
	ck_assert_int_eq(vmstat("fork_hugetlb_copied"), 1);
}
END_TEST

/* Two children at once may copy twice as much. */
START_TEST(pool_with_enough_for_one)
{
	int go[2], status;
	char byte;
	pid_t pid;

	if (no_huge) {
		skip_part("pool_with_enough_for_one", no_huge);
		return;
	}
	ck_assert_int_eq(pipe(go), 0);
	heap_make(3 * BLOCKS - 2);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		close(go[1]);
		_exit(read(go[0], &byte, 1) == 0 ? child() : NO_NEW);
	}
	fork_and_check();
	heap_write(0);
	close(go[1]);
	close(go[0]);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status), "the child was killed by signal %d",
		      WTERMSIG(status));
	ck_assert_int_eq(WEXITSTATUS(status), FINE);
	ck_assert_int_eq(vmstat("fork_hugetlb_copied"), 1);
}
END_TEST

/* A heap without hugetlb costs fork() nothing. */
START_TEST(no_hugetlb_no_work)
{
	int status;
	pid_t pid;

	setenv("RN_LADDER", "small", 1);
	ck_assert_ptr_nonnull(small[0] = rn_alloc(100, 0));
	pid = fork();
	if (pid == 0)
		_exit(0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(vmstat("fork_hugetlb_shared"), 0);
	ck_assert_int_eq(vmstat("fork_hugetlb_copied"), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("fork_hugetlb");
	TCase *t = tcase_create("fork");

	tcase_set_timeout(t, 60);
	tcase_add_unchecked_fixture(t, setup, huge_end);
	tcase_add_test(t, pool_without_a_page_left);
	tcase_add_test(t, pool_with_enough_left);
	tcase_add_test(t, copy_is_asked_for);
	tcase_add_test(t, pool_with_enough_for_one);
	tcase_add_test(t, no_hugetlb_no_work);
	suite_add_tcase(s, t);
	return suite_main(s);
}

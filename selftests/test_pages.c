// SPDX-License-Identifier: MIT
/*
 * Whole pages and large objects through the public functions alone: what they
 * return, refuse and report.
 */
#include <rn/pages.h>
#include <rn/slab.h>
#include <rn/vmstat.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "helpers.h"
#include "hugepages.h"

#define MIB	((size_t)1 << 20)
#define BLOCK	(2 * MIB)

START_TEST(every_order)
{
	void *p[RN_MAX_ORDER + 1];

	for (unsigned int order = 0; order <= RN_MAX_ORDER; order++) {
		size_t bytes = RN_PAGE_SIZE << order;

		/* Lazily touched, or a GiB would be filled here. */
		p[order] = rn_alloc_pages(order, 0, RN_NO_NODE);
		ck_assert_ptr_nonnull(p[order]);
		ck_assert_uint_eq((uintptr_t)p[order] %
				  (bytes < BLOCK ? bytes : BLOCK), 0);
		pattern_set(p[order], RN_PAGE_SIZE, order);
		pattern_set((char *)p[order] + bytes - 64, 64, order);
		ck_assert_uint_eq(rn_size(p[order]), bytes);
	}
	for (unsigned int order = 1; order <= RN_MAX_ORDER; order++) {
		ck_assert(pattern_ok(p[order], RN_PAGE_SIZE, order));
		rn_free_pages(p[order], order);
	}
	rn_free_pages(p[0], 0);
	rn_free_pages(NULL, 3);
}
END_TEST

START_TEST(bad_arguments)
{
	static const struct {
		unsigned int order;
		rn_gfp_t flags;
		int node;
	} bad[] = {
		{ RN_MAX_ORDER + 1, 0, RN_NO_NODE },
		{ 64, 0, RN_NO_NODE },
		{ 0, RN_GFP_MASK + 1, RN_NO_NODE },
		{ 0, 0, -2 },
		{ 0, 0, 4096 },
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		errno = 0;
		ck_assert_ptr_null(rn_alloc_pages(bad[i].order, bad[i].flags,
						  bad[i].node));
		ck_assert_int_eq(errno, EINVAL);
	}
}
END_TEST

START_TEST(zeroed_after_use)
{
	for (int i = 0; i < 50; i++) {
		unsigned char *p = rn_alloc_pages(i % 11, RN_ZERO, RN_NO_NODE);

		ck_assert_ptr_nonnull(p);
		ck_assert(all_zero(p, RN_PAGE_SIZE << i % 11));
		memset(p, 0xa5, RN_PAGE_SIZE << i % 11);
		rn_free_pages(p, i % 11);
	}
}
END_TEST

START_TEST(nodes_of_addresses)
{
	char on_stack, *p = rn_alloc_pages(2, 0, RN_NO_NODE);
	int node = rn_addr_to_node(p);

	ck_assert_int_ge(node, 0);
	ck_assert_int_eq(rn_addr_to_node(p + 3 * RN_PAGE_SIZE + 17), node);
	ck_assert_int_eq(rn_addr_to_node(&on_stack), -EFAULT);
	ck_assert_int_eq(rn_addr_to_node(NULL), -EFAULT);
	rn_free_pages(p, 2);
	p = rn_alloc_pages(0, RN_THISNODE, node);
	ck_assert_ptr_nonnull(p);
	ck_assert_int_eq(rn_addr_to_node(p), node);
	rn_free_pages(p, 0);
}
END_TEST

/* The exact sizes: what is beyond the last page is another's. */
START_TEST(large_sizes_are_exact)
{
	static const size_t sizes[] = {
		65 * 1024, 100000, BLOCK - 1, BLOCK, BLOCK + 1, 5 * BLOCK + 4097,
		70 * MIB + 1,
	};
	char *p[ARRAY_LEN(sizes)];

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		p[i] = rn_alloc(sizes[i], 0);
		ck_assert_ptr_nonnull(p[i]);
		ck_assert_uint_eq(rn_size(p[i]), (sizes[i] + RN_PAGE_SIZE - 1) &
				  ~(RN_PAGE_SIZE - 1));
		pattern_set(p[i], sizes[i], i);
	}
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
		ck_assert(pattern_ok(p[i], sizes[i], i));
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
		rn_free(p[i]);
}
END_TEST

START_TEST(too_large_is_refused)
{
	errno = 0;
	ck_assert_ptr_null(rn_alloc(opaque((size_t)1 << 46), 0));
	ck_assert_int_eq(errno, ENOMEM);
	errno = 0;
	ck_assert_ptr_null(rn_alloc(opaque(SIZE_MAX / 2), RN_ZERO));
	ck_assert_int_eq(errno, ENOMEM);
}
END_TEST

/* A mark in each page, by its place in the object and not by its address. */
static void mark(char *p, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		if (i % RN_PAGE_SIZE == 100)
			p[i] = i / RN_PAGE_SIZE * 37 + 11;
}

static bool marked(const char *p, size_t n)
{
	for (size_t i = 100; i < n; i += RN_PAGE_SIZE)
		if (p[i] != (char)(i / RN_PAGE_SIZE * 37 + 11))
			return false;
	return true;
}

START_TEST(realloc_keeps_contents)
{
	size_t n = 40000;
	char *p = rn_alloc(n, 0), *wall[64];
	int walls = 0;

	mark(p, 0, n);
	while (n < 300 * MIB) {
		size_t more = n * 3 / 2 + 4711;

		/* Something in the way every other time. */
		if (walls % 2 == 0)
			wall[walls / 2] = rn_alloc(BLOCK, 0);
		walls++;
		p = rn_realloc(p, more, 0);
		ck_assert_ptr_nonnull(p);
		ck_assert(marked(p, n));
		mark(p, n, more);
		n = more;
	}
	for (; n > 40000; n = n / 2) {
		p = rn_realloc(p, n, 0);
		ck_assert_ptr_nonnull(p);
		ck_assert(marked(p, n));
	}
	rn_free(p);
	for (int i = 0; i < walls; i += 2)
		rn_free(wall[i / 2]);
}
END_TEST

START_TEST(shrink_gives_back)
{
	void *p[40];
	long before, after;

	setenv("RN_LADDER", "small", 1);
	for (size_t i = 0; i < ARRAY_LEN(p); i++) {
		p[i] = rn_alloc(BLOCK, 0);
		memset(p[i], 1, BLOCK);
	}
	before = status_value("VmRSS");
	for (size_t i = 0; i < ARRAY_LEN(p); i++)
		rn_free(p[i]);
	rn_shrink_all();
	after = status_value("VmRSS");
	ck_assert_int_lt(after, before - 39 * 2048);
	ck_assert_int_eq(vmstat_nodes("pageblocks_idle"), 0);
}
END_TEST

START_TEST(reserve_serves_nowait)
{
	void *p;

	ck_assert_int_eq(rn_reserve(8 * MIB, RN_NO_NODE, 0), 0);
	ck_assert_int_eq(vmstat_nodes("pageblocks_reserved"), 4);
	p = rn_alloc(6 * MIB, RN_NOWAIT);
	ck_assert_ptr_nonnull(p);
	rn_free(p);
	rn_shrink_all();
	ck_assert_int_eq(vmstat_nodes("pageblocks_idle"), 4);
}
END_TEST

START_TEST(reserve_refuses)
{
	ck_assert_int_eq(rn_reserve(MIB, -7, 0), -EINVAL);
	ck_assert_int_eq(rn_reserve(MIB, RN_NO_NODE, 0x80), -EINVAL);
	ck_assert_int_eq(rn_reserve(MIB, RN_NO_NODE, RN_RESERVE_SHIFT(14)),
			 -EINVAL);
	ck_assert_int_eq(rn_reserve((size_t)1 << 50, RN_NO_NODE, 0), -ENOMEM);
	ck_assert_int_eq(vmstat_nodes("pageblocks_reserved"), 0);
}
END_TEST

/* A step down is counted, and of a reserve it is said. */
START_TEST(step_down_is_said)
{
	const char *why = huge_begin();
	char *text;

	if (why) {
		skip_part("step_down_is_said", why);
		return;
	}
	if (huge_set_free(1))
		ck_abort_msg("the pool cannot be set to one page");
	stderr_catch();
	ck_assert_int_eq(rn_reserve(6 * MIB, RN_NO_NODE, 0), 0);
	text = stderr_caught();
	huge_end();
	ck_assert_str_eq(text, "libslab: reserved 6 MiB, but 4 MiB of it not "
			 "in hugetlb pages: pool_empty\n");
	free(text);
	ck_assert_int_eq(vmstat_nodes("pageblocks_hugetlb"), 1);
	ck_assert_int_gt(vmstat("ladder_step_down_hugetlb_pool_empty"), 0);
}
END_TEST

/* --- what ends in a report --- */

static void *victim;

static void free_wrong_order(void)
{
	rn_free_pages(victim, 3);
}

static void free_not_head(void)
{
	rn_free_pages((char *)victim + RN_PAGE_SIZE, 2);
}

static void free_unaligned(void)
{
	rn_free_pages((char *)victim + 8, 2);
}

static void free_foreign(void)
{
	rn_free_pages(&victim, 0);
}

static void free_twice(void)
{
	rn_free_pages(victim, 2);
	rn_free_pages(victim, 2);
}

static void nofail_invalid(void)
{
	victim = rn_alloc_pages(99, RN_NOFAIL, RN_NO_NODE);
}

static const struct {
	void (*crime)(void);
	const char *message;	/* after the pointer */
} crimes[] = {
	{ free_wrong_order, ": order 3, but it has 4 pages\n" },
	{ free_not_head, ": not an allocated run, or freed twice\n" },
	{ free_unaligned, ": not the start of a page\n" },
	{ free_foreign, ": not from rn_alloc_pages\n" },
	{ free_twice, ": not an allocated run, or freed twice\n" },
	{ nofail_invalid, "rn_alloc_pages(99, 0x4, -1): invalid, and "
		"RN_NOFAIL\n" },
};

START_TEST(reported_and_aborted)
{
	int fds[2], status;
	char text[512] = "";
	ssize_t n;
	pid_t pid;

	ck_assert_int_eq(pipe(fds), 0);
	victim = rn_alloc_pages(2, 0, RN_NO_NODE);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		dup2(fds[1], STDERR_FILENO);
		signal(SIGABRT, SIG_DFL);
		crimes[_i].crime();
		_exit(0);
	}
	close(fds[1]);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	n = read(fds[0], text, sizeof(text) - 1);
	ck_assert_int_gt(n, 0);
	close(fds[0]);
	ck_assert_msg(!strncmp(text, "libslab: rn_", 12) &&
		      strstr(text, crimes[_i].message), "said: %s", text);
	rn_free_pages(victim, 2);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pages");
	TCase *pages = tcase_create("pages");
	TCase *large = tcase_create("large");
	TCase *memory = tcase_create("memory");
	TCase *crash = tcase_create("crash");

	tcase_set_timeout(pages, 60);
	tcase_set_timeout(large, 60);
	tcase_set_timeout(memory, 60);
	tcase_add_test(pages, every_order);
	tcase_add_test(pages, bad_arguments);
	tcase_add_test(pages, zeroed_after_use);
	tcase_add_test(pages, nodes_of_addresses);
	tcase_add_test(large, large_sizes_are_exact);
	tcase_add_test(large, too_large_is_refused);
	tcase_add_test(large, realloc_keeps_contents);
	tcase_add_test(memory, shrink_gives_back);
	tcase_add_test(memory, reserve_serves_nowait);
	tcase_add_test(memory, reserve_refuses);
	tcase_add_test(memory, step_down_is_said);
	tcase_add_loop_test(crash, reported_and_aborted, 0, ARRAY_LEN(crimes));
	suite_add_tcase(s, pages);
	suite_add_tcase(s, large);
	suite_add_tcase(s, memory);
	suite_add_tcase(s, crash);
	return suite_main(s);
}

// SPDX-License-Identifier: MIT
/*
 * How much stack the library uses, of a thread that may have 16 KiB in all.
 */
#define _GNU_SOURCE
#include "helpers.h"

#include <pthread.h>
#include <rn/pages.h>
#include <rn/slab.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define STACK	(256UL << 10)
#define PAINT	0xa5
#define SMALL	(16UL << 10)	/* PTHREAD_STACK_MIN */

/* The bytes of its stack that a thread used which does @what. */
static size_t stack_used(void *(*what)(void *))
{
	unsigned char *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pthread_attr_t attr;
	pthread_t thread;
	size_t unused = 0;

	ck_assert_ptr_ne(stack, MAP_FAILED);
	memset(stack, PAINT, STACK);
	pthread_attr_init(&attr);
	ck_assert_int_eq(pthread_attr_setstack(&attr, stack, STACK), 0);
	ck_assert_int_eq(pthread_create(&thread, &attr, what, NULL), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	while (stack[unused] == PAINT)
		unused++;
	munmap(stack, STACK);
	return STACK - unused;
}

static void *do_nothing(void *arg)
{
	return arg;
}

static void *resize(void *p, size_t size)
{
	p = rn_realloc(p, size, 0);
	ck_assert_ptr_nonnull(p);
	return p;
}

/* The library starts in it, and then takes each of its ways. */
static void *use_all(void *arg)
{
	void *p = NULL;

	for (size_t size = 8; size <= 64UL << 20; size *= 2)
		p = resize(p, size);
	p = resize(p, 5000);
	rn_free(p);
	for (size_t size = 8; size <= 64UL << 20; size *= 2)
		rn_free(rn_zalloc(size, 0));
	rn_shrink_all();
	return arg;
}

static void *fork_once(void *arg)
{
	int status = -1;
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	waitpid(pid, &status, 0);
	ck_assert_int_eq(status, 0);
	return arg;
}

START_TEST(small_stack)
{
	size_t base = stack_used(do_nothing);
	size_t all = stack_used(use_all), forks = stack_used(fork_once);

	printf("of a stack: %zu bytes, %zu with use, %zu with fork()\n", base,
	       all, forks);
	/* And as much again for who calls. */
	ck_assert_uint_le(all - base, (SMALL - base) / 2);
	ck_assert_uint_le(forks - base, (SMALL - base) / 2);
}
END_TEST

int main(void)
{
	Suite *s;
	TCase *tc;

	if (SANITIZED || emulator()) {
		puts("a sanitizer or an emulator has a stack of its own");
		return 77;
	}
	s = suite_create("stack");
	tc = tcase_create("stack");
	tcase_add_test(tc, small_stack);
	tcase_set_timeout(tc, 30);
	suite_add_tcase(s, tc);
	return suite_main(s);
}

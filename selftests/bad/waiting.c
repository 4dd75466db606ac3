// SPDX-License-Identifier: MIT
/*
 * Waits 2 ms in each allocation of one size, and makes a futex call more that
 * waits for nothing: how often a program waits in it, and how long, is known.
 */
#define _GNU_SOURCE
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SLOW_SIZE	54321

extern void *__libc_malloc(size_t n);

void *malloc(size_t n)
{
	static const struct timespec two_ms = { .tv_nsec = 2000000 };
	static unsigned int word;

	if (n == SLOW_SIZE) {
		syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &two_ms);
		syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1);
	}
	return __libc_malloc(n);
}

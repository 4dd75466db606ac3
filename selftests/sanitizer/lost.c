// SPDX-License-Identifier: MIT
/*
 * memcheck: 77 bytes in 1 blocks are definitely lost
 * memcheck: main \(lost\.c
 * memcheck: 100,000 bytes in 1 blocks are definitely lost
 * slab: clean
 * asan: LeakSanitizer: detected memory leaks
 * asan: Direct leak of 77 byte\(s\) in 1 object\(s\)
 * asan: Direct leak of 100000 byte\(s\)
 * asan: lose .*lost\.c
 * asan: SUMMARY: AddressSanitizer: 100077 byte\(s\) leaked in 2 alloc
 */
#include "fault.h"

static __attribute__((noinline)) void lose(size_t size)
{
	store(must_alloc(size), 0);
}

/* What registers and the stack still have is none of it. */
static __attribute__((noinline)) void wipe(void)
{
	char *room = hide(__builtin_alloca(4096));

	memset(room, 0, 4096);
	hide(room);
}

int main(void)
{
	lose(77);
	lose(100000);
	wipe();
	return 0;
}

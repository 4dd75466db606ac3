// SPDX-License-Identifier: MIT
/*
 * Not a mistake but what test_gdb.sh looks at: objects that are held back for a
 * sanitizer, which this program only pretends to have.
 */
#include "crash.h"

#ifdef __has_feature
#define HAS_ASAN	__has_feature(address_sanitizer)
#elif defined(__SANITIZE_ADDRESS__)
#define HAS_ASAN	1
#else
#define HAS_ASAN	0
#endif

#if !HAS_ASAN
void __asan_poison_memory_region(const volatile void *p, size_t size);
void __asan_unpoison_memory_region(const volatile void *p, size_t size);

void __asan_poison_memory_region(const volatile void *p, size_t size)
{
	(void)p;
	(void)size;
}

void __asan_unpoison_memory_region(const volatile void *p, size_t size)
{
	(void)p;
	(void)size;
}
#endif

/* What the debugger is asked about. */
char *used, *held, *run, *held_run;

int main(void)
{
	used = rn_alloc(40, 0);
	held = rn_alloc(40, 0);
	run = rn_alloc(200000, 0);
	held_run = rn_alloc(200000, 0);
	rn_free(held);
	rn_free(held_run);
	abort();
}

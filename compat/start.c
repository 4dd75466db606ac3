// SPDX-License-Identifier: MIT
/*
 * What is to be known before the program starts. Memory has been allocated long
 * before that: nothing here is needed for it.
 */
#include "compat.h"

#include <unistd.h>

/* There only in programs that a sanitizer was compiled into. */
extern void __asan_init(void) __attribute__((weak));
extern void __hwasan_init(void) __attribute__((weak));
extern void __msan_init(void) __attribute__((weak));
extern void __tsan_init(void) __attribute__((weak));

/* Its malloc is one of its own; two of them would free each other's memory. */
static __attribute__((constructor)) void refuse_sanitizers(void)
{
	if (!__asan_init && !__hwasan_init && !__msan_init && !__tsan_init)
		return;
	report("the program has a sanitizer, which brings a malloc of its own: "
	       "start it without libslabmalloc");
	_exit(1);
}

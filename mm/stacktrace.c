// SPDX-License-Identifier: MIT
/*
 * Stacks, by the C library's unwinder. That loads another library at its first
 * call, which allocates; so the first call is made ahead (stack_prepare()). Until
 * then a stack is the one frame that every slow path knows.
 *
 * Unwinding itself neither allocates nor takes a lock of ours. The names of
 * functions are looked for when they are printed, where no lock is held: that
 * takes the loader's.
 */
#define _GNU_SOURCE
#include "sanitizer.h"

#include <dlfcn.h>
#include <execinfo.h>
#include <link.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

/* Frames of our own, before the caller's. */
#define OUR_FRAMES	16

enum { UNPREPARED, PREPARING, PREPARED };

static int state;

void stack_prepare(void)
{
	int before = UNPREPARED;
	void *frame;

	if (!__atomic_compare_exchange_n(&state, &before, PREPARING, false,
					 __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return;
	backtrace(&frame, 1);
	smp_store_release(&state, PREPARED);
}

noinline unsigned int stack_save(const void **frames, const void *caller)
{
	void *all[STACK_DEPTH + OUR_FRAMES];
	int nr = 0, first = 0;

	if (smp_load_acquire(&state) == PREPARED)
		nr = backtrace(all, ARRAY_SIZE(all));
	while (caller && first < nr && all[first] != caller)
		first++;
	if (first == nr) {
		frames[0] = caller;
		return caller != NULL;
	}
	nr = min(nr - first, STACK_DEPTH);
	memcpy(frames, all + first, nr * sizeof(*frames));
	return nr;
}

/* A return address is behind the call, perhaps in the next function. */
const char *stack_symbol(char buf[SYMBOL_LEN], const void *address)
{
	const char *at = (const char *)address, *file;
	struct link_map *map = NULL;
	size_t len = 0;
	Dl_info info;

	if (!dladdr1(at - 1, &info, (void **)&map, RTLD_DL_LINKMAP) || !map) {
		snprintf(buf, SYMBOL_LEN, "%p", address);
		return buf;
	}
	if (info.dli_sname)
		len = snprintf(buf, SYMBOL_LEN / 2, "%s+%#lx ", info.dli_sname,
			       (unsigned long)(at - (char *)info.dli_saddr));
	len = min(len, (size_t)SYMBOL_LEN / 2 - 1);
	file = strrchr(info.dli_fname, '/');
	/* As addr2line wants it. */
	snprintf(buf + len, SYMBOL_LEN - len, "[%s+%#lx]",
		 file ? file + 1 : info.dli_fname,
		 (unsigned long)((uintptr_t)at - map->l_addr));
	return buf;
}

/* The first moment at which that can be done, and before threads. */
static __attribute__((constructor)) void prepare_constructor(void)
{
	if (secure_getenv("RN_SLAB_DEBUG") || sanitizer_wants_stacks())
		stack_prepare();
}

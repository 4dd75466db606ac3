// SPDX-License-Identifier: MIT
/*
 * Stacks, by the C library's unwinder. That loads another library at its first
 * call, which allocates; so the first call is made ahead (stack_prepare()).
 * Until then a stack is the one frame that every slow path knows.
 *
 * Unwinding itself neither allocates nor takes a lock. The names of functions
 * are looked for when a report is made, outside of the gate and of all locks:
 * that takes the loader's, whose owner may allocate, wait for who forks, and
 * with him for all who are inside.
 */
#define _GNU_SOURCE
#include "sanitizer.h"

#include <dlfcn.h>
#include <execinfo.h>
#include <link.h>
#include <sched.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

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

noinline unsigned int stack_unwind(const void *frames[STACK_MAX])
{
	if (smp_load_acquire(&state) != PREPARED)
		return 0;
	return backtrace((void **)frames, STACK_MAX);
}

noinline unsigned int stack_save_deep(const void **frames, unsigned int most,
				      const void *caller)
{
	void *all[STACK_DEPTH_MOST + OUR_FRAMES];
	int nr = 0, first = 0;

	if (smp_load_acquire(&state) == PREPARED)
		nr = backtrace(all, most + OUR_FRAMES);
	if (!nr) {
		frames[0] = caller;
		return caller != NULL;
	}
	while (first < nr && all[first] != caller)
		first++;
	if (first == nr)
		first = 0;
	nr = min(nr - first, (int)most);
	memcpy(frames, all + first, nr * sizeof(*frames));
	return nr;
}

unsigned int stack_save(const void **frames, const void *caller)
{
	return stack_save_deep(frames, STACK_DEPTH, caller);
}

void stack_lookup(const void *address, const char **function,
		  const char **file)
{
	struct link_map *map = NULL;
	Dl_info info;

	*function = *file = NULL;
	if (!dladdr1((const char *)address - 1, &info, (void **)&map,
		     RTLD_DL_LINKMAP))
		return;
	*function = info.dli_sname;
	*file = info.dli_fname;
}

void track_make(struct track *t, const void *caller)
{
	t->when = clock_ms();
	t->tid = syscall(SYS_gettid);
	t->cpu = sched_getcpu();
	t->nr = stack_save(t->frames, caller);
}

/* A return address is behind the call, perhaps in the next function. */
struct symbol stack_symbol(const void *address)
{
	struct symbol s = { .address = address };
	const char *at = address;
	struct link_map *map = NULL;
	Dl_info info;

	if (thread_self.depth ||
	    !dladdr1(at - 1, &info, (void **)&map, RTLD_DL_LINKMAP) || !map)
		return s;
	s.file = strrchr(info.dli_fname, '/');
	s.file = s.file ? s.file + 1 : info.dli_fname;
	s.place = (uintptr_t)at - map->l_addr;
	s.function = info.dli_sname;
	if (s.function)
		s.offset = at - (char *)info.dli_saddr;
	return s;
}

const char *symbol_text(char buf[SYMBOL_LEN], const struct symbol *s)
{
	size_t len = 0;

	if (!s->file) {
		snprintf(buf, SYMBOL_LEN, "%p", s->address);
		return buf;
	}
	if (s->function)
		len = snprintf(buf, SYMBOL_LEN / 2, "%s+%#lx ", s->function,
			       s->offset);
	len = min(len, (size_t)SYMBOL_LEN / 2 - 1);
	snprintf(buf + len, SYMBOL_LEN - len, "[%s+%#lx]", s->file, s->place);
	return buf;
}

/* The first moment at which that can be done, and before threads. */
static __attribute__((constructor)) void prepare_constructor(void)
{
	if (secure_getenv("RN_SLAB_DEBUG") || secure_getenv("RN_KFENCE") ||
	    secure_getenv("RN_PROFILE") || sanitizer_wants_stacks())
		stack_prepare();
}

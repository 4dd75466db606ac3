// SPDX-License-Identifier: MIT
/*
 * Initialisation, at the first call of the library and not before: a program
 * that links it and allocates nothing pays nothing. Only RN_RESERVE, which is
 * a wish to own memory from the start, is looked for in a constructor, and the
 * handlers of fork() are registered in one (mm/fork.c).
 */
#define _GNU_SOURCE
#include "slab.h"

#include <stdlib.h>
#include <string.h>

#include <rn/vmstat.h>

static struct lock init_lock;
bool mm_initialised;
static int init_error;

static int init_floors(void)
{
	int ret = fork_init();

	if (!ret)
		ret = mempolicy_init();
	if (!ret)
		ret = sparse_init();
	if (!ret)
		ret = page_alloc_init();
	if (!ret)
		ret = percpu_init();
	if (!ret)
		ret = slab_init();
	kmalloc_init();
	return ret;
}

/* RN_RESERVE is a condition of the program's: without it, it does not run. */
static void reserve_at_start(void)
{
	unsigned int flags = options.huge_shift != PAGEBLOCK_SHIFT ?
			     RN_RESERVE_SHIFT(options.huge_shift) : 0;
	int ret;

	if (!options.reserve)
		return;
	ret = rn_reserve(options.reserve, RN_NO_NODE, flags);
	if (ret)
		bug("RN_RESERVE: %zu bytes cannot be had: %s",
		    options.reserve, error_text(-ret));
}

/* Inside the gate: who forks meanwhile does not leave the child half of it. */
void mm_init_slow(void)
{
	unsigned int ticket = gate_enter();
	bool first;

	lock(&init_lock);
	first = !mm_initialised;
	if (first) {
		options_read();
		init_error = init_floors();
		if (init_error)
			report("cannot start: %s", error_text(-init_error));
		else
			percpu_open_fast_paths();
		smp_store_release(&mm_initialised, true);
	}
	unlock(&init_lock);
	gate_exit(ticket);
	if (first && !init_error) {
		slabinfo_init();
		reserve_at_start();
	}
}

int mm_init_error(void)
{
	return -init_error;
}

static __attribute__((constructor)) void reserve_constructor(void)
{
	if (secure_getenv("RN_RESERVE"))
		mm_init();
}

/**
 * rn_version() - the version of the library
 *
 * Context: any.
 * Return: for instance "0.1.0".
 */
RN_API const char *rn_version(void)
{
	return RN_VERSION;
}

// SPDX-License-Identifier: MIT
/*
 * The RN_* environment variables that are there to find faults of the program,
 * or to make them harmless.
 * The rules are those of mm/options.c.
 */
#define _GNU_SOURCE
#include "internal.h"

#include <stdlib.h>
#include <string.h>

static void read_slab_debug(void)
{
	const char *value = secure_getenv("RN_SLAB_DEBUG_ACTION");

	options.slab_debug = secure_getenv("RN_SLAB_DEBUG");
	if (!value || !strcmp(value, "abort"))
		return;
	if (!strcmp(value, "continue"))
		options.slab_debug_continue = true;
	else
		report("RN_SLAB_DEBUG_ACTION=%s is not abort or continue; "
		       "ignored", value);
}

static void read_hardening(void)
{
	read_switch("RN_HARDENED", &options.hardened);
	read_switch("RN_FREELIST_RANDOM", &options.freelist_random);
	read_switch("RN_INIT_ON_ALLOC", &options.init_on_alloc);
	read_switch("RN_INIT_ON_FREE", &options.init_on_free);
	read_switch("RN_RANDOM_KMALLOC_CACHES", &options.random_caches);
	options.freelist_random |= options.hardened;
}

void read_debug_options(void)
{
	read_slab_debug();
	read_hardening();
}

// SPDX-License-Identifier: MIT
/*
 * The RN_* environment variables that are there to find faults of the program.
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

void read_debug_options(void)
{
	read_slab_debug();
	read_switch("RN_SANITIZER", &options.sanitizer);
	read_size("RN_QUARANTINE", &options.quarantine);
}

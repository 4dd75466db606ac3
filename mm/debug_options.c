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

static void read_profile(void)
{
	options.profile = secure_getenv("RN_PROFILE");
	read_signal("RN_PROFILE_SIGNAL", &options.profile_signal);
	read_size("RN_PROFILE_INTERVAL", &options.profile_interval);
	if (!options.profile &&
	    (options.profile_signal || options.profile_interval))
		report("RN_PROFILE is not set: no profile is made");
}

static void read_leaks(void)
{
	const char *value = secure_getenv("RN_LEAKS_EXITCODE");
	char *end;
	long code;

	read_switch("RN_LEAKS", &options.leaks);
	options.leaks_ignore = secure_getenv("RN_LEAKS_IGNORE");
	if (!value)
		return;
	code = strtol(value, &end, 10);
	if (end == value || *end || code < 0 || code > 255)
		report("RN_LEAKS_EXITCODE=%s is not a number of 0 to 255; "
		       "ignored", value);
	else
		options.leaks_exitcode = (int)code;
}

void read_debug_options(void)
{
	read_slab_debug();
	read_profile();
	read_leaks();
}

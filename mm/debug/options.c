// SPDX-License-Identifier: MIT
/*
 * The RN_* environment variables that are there to find faults of the program,
 * or to make them harmless.
 * The rules are those of mm/options.c.
 */
#define _GNU_SOURCE
#include "kfence.h"
#include "sanitizer.h"

#include <stdlib.h>
#include <string.h>

static void read_slab_debug(void)
{
	const char *value = secure_getenv("RN_SLAB_DEBUG_ACTION");

	options.slab_debug = secure_getenv("RN_SLAB_DEBUG");
	/* As memcheck does after an error. */
	options.slab_debug_continue = sanitizer_find() == SANITIZER_MEMCHECK;
	if (!value)
		return;
	if (!strcmp(value, "abort") || !strcmp(value, "continue"))
		options.slab_debug_continue = *value == 'c';
	else
		report("RN_SLAB_DEBUG_ACTION=%s is not abort or continue; "
		       "ignored", value);
}

static void read_number(const char *name, unsigned int most,
			unsigned int *where)
{
	const char *value = secure_getenv(name);
	unsigned long n;
	char *end;

	if (!value)
		return;
	errno = 0;
	n = strtoul(value, &end, 10);
	if (errno || *value < '0' || *value > '9' || *end || !n || n > most)
		report("%s=%s is not a number from 1 to %u; ignored", name,
		       value, most);
	else
		*where = n;
}

/* Samples are taken in the background, unless RN_BACKGROUND says otherwise. */
static void read_kfence(void)
{
	options.kfence_interval = KFENCE_INTERVAL;
	options.kfence_objects = KFENCE_OBJECTS;
	read_switch("RN_KFENCE", &options.kfence);
	read_number("RN_KFENCE_INTERVAL", INT32_MAX, &options.kfence_interval);
	read_number("RN_KFENCE_OBJECTS", KFENCE_OBJECTS_MAX,
		    &options.kfence_objects);
	if (options.kfence && sanitizer_find()) {
		report("RN_KFENCE: a sanitizer sees all objects; ignored");
		options.kfence = false;
	}
	options.background |= options.kfence;
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
	read_text("RN_LEAKS_IGNORE", &options.leaks_ignore);
	if (!value)
		return;
	code = strtol(value, &end, 10);
	if (end == value || *end || code < 0 || code > 255)
		report("RN_LEAKS_EXITCODE=%s is not a number of 0 to 255; "
		       "ignored", value);
	else
		options.leaks_exitcode = (int)code;
}

/* Which of @values it is; @otherwise: not set, or none, and they are @named. */
static unsigned int read_word(const char *name, const char *const *values,
			      unsigned int nr, const char *named,
			      unsigned int otherwise)
{
	const char *value = secure_getenv(name);

	for (unsigned int i = 0; value && i < nr; i++)
		if (!strcmp(value, values[i]))
			return i;
	if (value)
		report("%s=%s is not %s; ignored", name, value, named);
	return otherwise;
}

static void read_fault_check(void)
{
	static const char *const values[] = {
		[FAULT_CHECK_OFF] = "0", [FAULT_CHECK_ALL] = "1",
		[FAULT_CHECK_UNOWNED] = "unowned",
	};

	options.fault_check = read_word("RN_FAULT_CHECK", values,
					ARRAY_SIZE(values), "0, 1 or unowned",
					options.fault_check);
}

static void read_sanitizer(void)
{
	static const char *const values[] = {
		[SANITIZE_OFF] = "0", [SANITIZE_DEFAULT] = "1",
		[SANITIZE_SLAB] = "slab", [SANITIZE_MALLOC] = "malloc",
	};

	options.sanitizer = read_word("RN_SANITIZER", values,
				      ARRAY_SIZE(values),
				      "0, 1, slab or malloc",
				      options.sanitizer);
}

static void read_quarantine(void)
{
	const char *value = secure_getenv("RN_QUARANTINE");

	if (value && !strcmp(value, "0"))
		options.quarantine = 0;
	else
		read_size("RN_QUARANTINE", &options.quarantine);
}

void read_debug_options(void)
{
	read_sanitizer();
	read_slab_debug();
	read_kfence();
	read_hardening();
	read_profile();
	read_leaks();
	read_fault_check();
	read_quarantine();
}

// SPDX-License-Identifier: MIT
/*
 * Allocates a known amount in each of a few functions, for test_profile.sh:
 *   profiled              and ends, with what it has
 *   profiled call FILE... of each, after the profile was written there
 *   profiled signal       after SIGUSR2
 *   profiled cache        after the end of a cache with objects
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <rn/profile.h>
#include <rn/slab.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define noinline __attribute__((noinline))

/* Not to be left out, nor a jump at the end; loops are not to be unrolled. */
static void *volatile kept;

/* 40 MB, which stay. */
static noinline void hoard(void)
{
	for (volatile int i = 0; i < 40000; i++)
		kept = rn_alloc(1000, 0);
}

/* 30 MB, which go. */
static noinline void churn(void)
{
	for (volatile int i = 0; i < 60000; i++) {
		kept = rn_alloc(500, 0);
		rn_free(kept);
	}
}

/* 10 MiB in one piece each. */
static noinline void lump(void)
{
	for (volatile int i = 0; i < 10; i++)
		kept = rn_alloc(1 << 20, 0);
}

static noinline void one(struct rn_cache *c)
{
	kept = rn_cache_alloc(c, 0);
}

static noinline void three(struct rn_cache *c)
{
	for (volatile int i = 0; i < 3; i++)
		kept = rn_cache_alloc(c, 0);
}

static int end_cache(void)
{
	struct rn_cache_args args = {
		.sz = sizeof(args), .size = 100, .flags = RN_STORE_USER,
	};
	struct rn_cache *c = rn_cache_create("left", &args);

	one(c);
	three(c);
	return rn_cache_destroy(c) ? 0 : 1;
}

static int write_to(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
	int ret = strstr(path, ".heap") ? rn_profile_write_text(fd) :
		rn_profile_write(fd);

	return ret || close(fd);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (!strcmp(what, "cache"))
		return end_cache();
	if (!strcmp(what, "call") && rn_profile_start(64 << 10))
		return 1;
	hoard();
	churn();
	lump();
	if (!strcmp(what, "signal"))
		raise(SIGUSR2);
	for (int i = 2; i < argc; i++)
		if (write_to(argv[i]))
			return 1;
	/* What atexit() has registered is not to see it. */
	if (!strcmp(what, "signal"))
		_exit(0);
	return 0;
}

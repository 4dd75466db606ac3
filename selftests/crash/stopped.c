// SPDX-License-Identifier: MIT
/*
 * Not a mistake but what test_gdb.sh looks at, from a debugger and in a core
 * file: it has objects in each state, writes its own figures, and aborts.
 */
#define _GNU_SOURCE
#include "crash.h"

#include <rn/vmstat.h>
#include <sys/mman.h>

/* Less than half of a slab; as double_free_hollow; a run of pages. */
enum { FEW = 20, MANY = 16384, EACH = 4096, LARGE = 200000 };

struct thing {
	char name[72];
};

/* What the debugger is asked about. */
struct thing *used, *unused, *cached, *fresh, *written, *absent;
void *hollow, *kept, *large, *gone;

/* The library has globals of these names. */
int mem = 1, hot = 2, pool = 3, opened = 4;

static void *things[FEW], *many[MANY];

static struct rn_cache *few_things(const char *name)
{
	struct rn_cache_args args = {
		.sz = sizeof(args), .size = sizeof(struct thing),
		.flags = RN_NOMERGE,
	};
	struct rn_cache *c = rn_cache_create(name, &args);

	if (!c || rn_cache_alloc_bulk(c, 0, FEW, things) != FEW)
		exit(1);
	return c;
}

static void in_sheaf(void)
{
	struct rn_cache *c = few_things("others");

	cached = things[0];
	rn_cache_free(c, cached);
}

/* In the list of free ones what was freed first comes last. */
static void in_slab(void)
{
	struct rn_cache *c = few_things("things");

	used = things[0];
	unused = things[3];
	written = things[2];
	fresh = used + 2 * FEW;
	for (int i = 1; i < 4; i++)
		rn_cache_free(c, things[i]);
	/* To the slab, past the sheaf. */
	rn_cache_shrink(c);
	memset(written, 1, sizeof(*written));
}

/* As if it were on a page of a kind that core files are to lack. */
static void in_no_core_file(void)
{
	struct rn_cache *c = few_things("absent");

	absent = things[0];
	rn_cache_free(c, things[1]);
	rn_cache_free(c, things[2]);
	rn_cache_shrink(c);
	if (madvise(absent, EACH, MADV_DONTDUMP))
		exit(1);
}

static void in_pages(void)
{
	if (rn_alloc_bulk(EACH, 0, MANY, many) != MANY)
		exit(1);
	for (int i = 0; i < MANY; i++) {
		memset(many[i], 1, EACH);
		if (i % 8)
			rn_free(many[i]);
	}
	rn_shrink_all();
	kept = many[MANY / 2];
	hollow = many[MANY / 2 + 1];
	large = rn_alloc(LARGE, 0);
	if (!large)
		exit(1);
}

int main(void)
{
	in_pages();
	in_sheaf();
	in_slab();
	in_no_core_file();
	gone = rn_alloc(LARGE, 0);
	rn_free(gone);
	printf("%p %p %d\n", (void *)used, large, mem + hot + pool + opened);
	fflush(stdout);
	if (rn_slabinfo(1) || rn_vmstat(1))
		return 1;
	abort();
}

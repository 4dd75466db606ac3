// SPDX-License-Identifier: MIT
/* KIND: the misuse of an object that lies between guard pages. */
#include "crash.h"

#define PAGE	4096
#define SIZE	60		/* of objects that have 64 bytes elsewhere */

static char *volatile p;

static int at_left(const char *q)
{
	return (uintptr_t)q % PAGE == 0;
}

/* A guarded one is as long as was asked for. */
static char *guarded(int left)
{
	for (;;) {
		p = rn_alloc(SIZE, 0);
		if (rn_size(p) == SIZE && at_left(p) == left)
			return p;
		rn_free(p);
	}
}

static void touch(char *at, int write)
{
	volatile char *v = blame(at);

	if (write)
		*v = 1;
	else
		(void)*v;
}

static void free_at(long offset)
{
	guarded(1);
	rn_free(blame(p + offset));
}

static void free_twice(void)
{
	rn_free(guarded(1));
	rn_free(blame(p));
}

static void touch_freed(int write)
{
	char *q = guarded(1);

	rn_free(q);
	touch(q + 8, write);
}

static void corrupt(void)
{
	char *q = blame(guarded(0) + SIZE);

	*q = 1;
	rn_free(q - SIZE);
}

static void free_wrong(void)
{
	struct rn_cache_args args = { .sz = sizeof(args), .size = 64,
				      .flags = RN_NOMERGE };
	struct rn_cache *c = rn_cache_create("apples", &args);

	rn_cache_free(c, blame(guarded(1)));
}

static void run(const char *kind)
{
	if (!strcmp(kind, "left_read"))
		touch(guarded(1) - 1, 0);
	else if (!strcmp(kind, "left_write"))
		touch(guarded(1) - 8, 1);
	else if (!strcmp(kind, "right_read"))
		touch(guarded(0) + 64, 0);
	else if (!strcmp(kind, "right_write"))
		touch(guarded(0) + 64, 1);
	else if (!strcmp(kind, "freed_read"))
		touch_freed(0);
	else if (!strcmp(kind, "freed_write"))
		touch_freed(1);
	else if (!strcmp(kind, "nobody"))
		touch(guarded(1) + 20 * PAGE, 0);
	else if (!strcmp(kind, "twice"))
		free_twice();
	else if (!strcmp(kind, "middle"))
		free_at(8);
	else if (!strcmp(kind, "guard"))
		free_at(PAGE);
	else if (!strcmp(kind, "corrupt"))
		corrupt();
	else if (!strcmp(kind, "wrong"))
		free_wrong();
}

int main(int argc, char **argv)
{
	run(argc > 1 ? argv[1] : "");
	return 0;
}

// SPDX-License-Identifier: MIT
/*
 * hardened KIND: does what RN_HARDENED=1 finds in the call itself, and ends at
 * once, before anything has to go back to a slab.
 */
#include "crash.h"

#include <unistd.h>

static void construct(void *object)
{
	memset(object, 1, 48);
}

static void twice(void)
{
	void *p = blame(rn_alloc(64, 0));

	rn_free(p);
	rn_free(p);
}

/* Others are freed between the two. */
static void later(void)
{
	void *p = blame(rn_alloc(64, 0)), *q = rn_alloc(64, 0);

	rn_free(p);
	rn_free(q);
	rn_free(p);
}

static void sized(void)
{
	void *p = blame(rn_alloc(1000, 0));

	rn_free_sized(p, 1000);
	rn_free_sized(p, 1000);
}

static void of_cache(void)
{
	struct rn_cache_args args = {
		.sz = sizeof(args), .size = 48, .ctor = construct,
	};
	struct rn_cache *c = rn_cache_create("made", &args);
	void *p = blame(rn_cache_alloc(c, 0));

	rn_cache_free(c, p);
	rn_cache_free(c, p);
}

static void middle(void)
{
	rn_free(blame((char *)rn_alloc(64, 0) + 8));
}

static void odd(void)
{
	rn_free(blame((char *)rn_alloc(64, 0) + 3));
}

static void gone(void)
{
	void *p = blame(rn_alloc(64, 0));

	rn_free(p);
	rn_shrink_all();
	rn_free(p);
}

/* The next allocation is of the same object. */
static void written(void)
{
	char *p = blame(rn_alloc(64, 0));

	rn_free(p);
	memset(p, 0x41, 64);
	blame(rn_alloc(64, 0));
}

/* Nobody allocates it again. */
static void flushed(void)
{
	char *p = blame(rn_alloc(64, 0));

	rn_free(p);
	memset(p, 0x41, 64);
	rn_shrink_all();
}

static void beyond_made(void)
{
	struct rn_cache_args args = {
		.sz = sizeof(args), .size = 48, .ctor = construct,
	};
	struct rn_cache *c = rn_cache_create("made", &args);
	char *p = blame(rn_cache_alloc(c, 0));

	memset(p, 0x41, 49);
	rn_cache_free(c, p);
}

/* It stays where it is, and ends sooner. */
static void beyond_shrunk(void)
{
	char *p = blame(rn_realloc(rn_alloc(100, 0), 90, 0));

	memset(p, 0x41, 91);
	rn_free(p);
}

static void beyond_moved(void)
{
	char *p = blame(rn_alloc(100, 0));

	memset(p, 0x41, 101);
	rn_free(rn_realloc(p, 90, 0));
}

/* An object that has another one behind it, which is in *@next. */
static char *with_next(char **next)
{
	char *p[1000];

	for (int i = 0; i < 1000; i++) {
		p[i] = rn_alloc(64, 0);
		for (int k = 0; k < i; k++) {
			if (p[k] - p[i] != 128 && p[i] - p[k] != 128)
				continue;
			*next = p[p[k] < p[i] ? i : k];
			return blame(p[p[k] < p[i] ? k : i]);
		}
	}
	return NULL;
}

static void before(void)
{
	char *next;

	with_next(&next);
	memset(next - 1, 0x41, 1);
	rn_free(next);
}

/* Nobody has that, nor frees what is behind it. */
static void before_free(void)
{
	char *next;

	rn_free(with_next(&next));
	memset(next - 1, 0x41, 1);
	rn_shrink_all();
}

static void cleared(void)
{
	char *p;

	setenv("RN_INIT_ON_FREE", "1", 1);
	p = blame(rn_alloc(64, 0));
	rn_free(p);
	memset(p + 63, 0x41, 1);
	blame(rn_alloc(64, 0));
}

static void sized_run(void)
{
	rn_free_sized(blame(rn_alloc(100000, 0)), 200000);
}

static const struct {
	const char *name;
	void (*run)(void);
} kinds[] = {
	{ "twice", twice }, { "later", later }, { "sized", sized },
	{ "of_cache", of_cache }, { "middle", middle }, { "odd", odd },
	{ "gone", gone }, { "written", written }, { "flushed", flushed },
	{ "beyond_made", beyond_made }, { "beyond_shrunk", beyond_shrunk },
	{ "beyond_moved", beyond_moved }, { "before", before },
	{ "before_free", before_free }, { "cleared", cleared },
	{ "sized_run", sized_run },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (argc == 2 && !strcmp(argv[1], kinds[i].name))
			kinds[i].run();
	_exit(0);
}

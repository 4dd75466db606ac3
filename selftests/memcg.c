// SPDX-License-Identifier: MIT
#include "memcg.h"
#include "helpers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Above it an object is a run of pages. */
#define CLASS_MOST	65536

/* The longest of the runs. */
#define RUN_MOST	(4UL << 20)

struct rn_memcg *group(struct rn_memcg *parent, const char *name)
{
	struct rn_memcg *m = rn_memcg_create(parent, name);

	ck_assert_msg(m, "%s: %s", name, strerror(errno));
	return m;
}

struct rn_memcg *group_of(struct rn_memcg *parent, const char *name,
			  size_t max)
{
	struct rn_memcg *m = group(parent, name);

	set_limit(m, RN_MEMCG_MAX, max);
	return m;
}

void set_limit(struct rn_memcg *m, enum rn_memcg_limit limit, size_t bytes)
{
	ck_assert_int_eq(rn_memcg_set(m, limit, bytes), 0);
	ck_assert_uint_eq(rn_memcg_get(m, limit), bytes);
}

void group_end(struct rn_memcg *m)
{
	ck_assert_uint_eq(rn_memcg_usage(m), 0);
	ck_assert_int_eq(rn_memcg_destroy(m, RN_MEMCG_REFUSE), 0);
}

void *granted(struct rn_memcg *m, size_t size, rn_gfp_t flags)
{
	void *p = rn_memcg_alloc(m, size, flags);

	ck_assert_msg(p, "%s, %zu bytes: %s", rn_memcg_name(m), size,
		      strerror(errno));
	ck_assert_ptr_eq(rn_memcg_of(p), m);
	return p;
}

void declined(struct rn_memcg *m, size_t size, rn_gfp_t flags, int error)
{
	size_t before = rn_memcg_usage(m);

	errno = 0;
	ck_assert_ptr_null(rn_memcg_alloc(m, size, flags));
	ck_assert_int_eq(errno, error);
	ck_assert_uint_eq(rn_memcg_usage(m), before);
}

static struct rn_memcg *dumped;

static int dump_stat(int fd)
{
	return rn_memcg_stat(dumped, fd);
}

long memcg_figure(struct rn_memcg *m, const char *name)
{
	char *text;
	long n;

	dumped = m;
	text = dump_text(dump_stat);
	n = number_after(text, name);
	free(text);
	return n;
}

size_t charged(struct rn_memcg *m)
{
	return memcg_figure(m, "current") + memcg_figure(m, "stock");
}

double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

void until_held(struct rn_memcg *m, unsigned long times)
{
	const struct timespec ms = { .tv_nsec = 1000000 };
	double end = seconds() + 10;

	while (rn_memcg_event(m, RN_MEMCG_EVENT_HELD) < times &&
	       seconds() < end)
		nanosleep(&ms, NULL);
	ck_assert_uint_ge(rn_memcg_event(m, RN_MEMCG_EVENT_HELD), times);
	/* It is counted just before the request is in the queue. */
	nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
}

size_t size_after(size_t size)
{
	if (size < CLASS_MOST)
		return class_size(size + 1);
	size = size == CLASS_MOST ? size + 1 : size * 3 / 2;
	return size < RUN_MOST ? size : 0;
}

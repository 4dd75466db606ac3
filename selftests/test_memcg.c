// SPDX-License-Identifier: MIT
/*
 * Groups with memory limits: how they are made, what is charged to them, and
 * what a max declines. Nobody waits here (test_memcg_wait), and groups end when
 * they are empty (test_memcg_end).
 */
#include "helpers.h"
#include "memcg.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- making one --- */

static void refused(struct rn_memcg *parent, const char *name)
{
	errno = 0;
	ck_assert_ptr_null(rn_memcg_create(parent, name));
	ck_assert_int_eq(errno, EINVAL);
}

START_TEST(names)
{
	static const char *const bad[] = {
		"", " ", "a b", "a/b", "a:b", "a\n", "\"", "\\", "gr\xc3\xbc",
	};
	char longest[65], copied[] = "copied";
	struct rn_memcg *m, *twin;

	refused(NULL, NULL);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		refused(NULL, bad[i]);
	memset(longest, 'n', sizeof(longest) - 1);
	longest[64] = '\0';
	refused(NULL, longest);
	longest[63] = '\0';
	m = group(NULL, longest);
	ck_assert_str_eq(rn_memcg_name(m), longest);
	group_end(m);
	m = group(NULL, copied);
	copied[0] = 'C';
	ck_assert_str_eq(rn_memcg_name(m), "copied");
	/* A name is a name; nothing is looked up by it. */
	twin = group(m, "copied");
	ck_assert_ptr_ne(twin, m);
	group_end(twin);
	group_end(m);
	group_end(group(NULL, "All-of_the.others09"));
}
END_TEST

START_TEST(first_limits)
{
	struct rn_memcg *m = group(NULL, "new");

	ck_assert_uint_eq(rn_memcg_get(m, RN_MEMCG_MIN), 0);
	ck_assert_uint_eq(rn_memcg_get(m, RN_MEMCG_LOW), 0);
	ck_assert_uint_eq(rn_memcg_get(m, RN_MEMCG_HIGH), RN_MEMCG_NO_LIMIT);
	ck_assert_uint_eq(rn_memcg_get(m, RN_MEMCG_MAX), RN_MEMCG_NO_LIMIT);
	ck_assert_uint_eq(rn_memcg_usage(m), 0);
	ck_assert_uint_eq(rn_memcg_peak(m), 0);
	for (int i = 0; i < RN_MEMCG_NR_EVENTS; i++)
		ck_assert_uint_eq(rn_memcg_event(m, i), 0);
	set_limit(m, RN_MEMCG_MIN, 1);
	set_limit(m, RN_MEMCG_LOW, 2);
	set_limit(m, RN_MEMCG_HIGH, 3);
	set_limit(m, RN_MEMCG_MAX, 4);
	ck_assert_uint_eq(rn_memcg_get(m, RN_MEMCG_MIN), 1);
	group_end(m);
}
END_TEST

START_TEST(bad_arguments)
{
	struct rn_memcg *m = group(NULL, "m");

	ck_assert_int_eq(rn_memcg_set(NULL, RN_MEMCG_MAX, 1), -EINVAL);
	ck_assert_int_eq(rn_memcg_set(m, RN_MEMCG_MAX + 1, 1), -EINVAL);
	ck_assert_uint_eq(rn_memcg_get(m, RN_MEMCG_MAX + 1), 0);
	ck_assert_uint_eq(rn_memcg_event(m, RN_MEMCG_NR_EVENTS), 0);
	ck_assert_int_eq(rn_memcg_set_timeout(NULL, 1), -EINVAL);
	ck_assert_int_eq(rn_memcg_stat(NULL, 1), -EINVAL);
	ck_assert_int_eq(rn_memcg_stat(m, -1), -EINVAL);
	ck_assert_int_eq(rn_memcg_json(NULL, 1), -EINVAL);
	ck_assert_int_eq(rn_memcg_json(m, -1), -EINVAL);
	ck_assert_int_eq(rn_memcg_destroy(NULL, RN_MEMCG_FREE), 0);
	ck_assert_int_eq(rn_memcg_destroy(m, RN_MEMCG_FREE + 1), -EINVAL);
	group_end(m);
}
END_TEST

/* 4,095 at a time, and as many again when those are gone. */
START_TEST(too_many)
{
	enum { MOST = 4095 };
	static struct rn_memcg *m[MOST];

	for (int round = 0; round < 2; round++) {
		int nr = round ? MOST / LESS : MOST;

		for (int i = 0; i < nr; i++)
			m[i] = group(i ? m[i / 2] : NULL, "one-of-many");
		errno = 0;
		if (nr == MOST) {
			ck_assert_ptr_null(rn_memcg_create(NULL, "too-many"));
			ck_assert_int_eq(errno, ENOSPC);
		}
		for (int i = nr - 1; i >= 0; i--)
			ck_assert_int_eq(rn_memcg_destroy(m[i],
							  RN_MEMCG_REFUSE), 0);
	}
}
END_TEST

/* --- what is charged --- */

enum { TREE = 4, PER_SIZE = 3 };

/* A line of groups, each in the one before. */
static void line_of_groups(struct rn_memcg *m[TREE])
{
	for (int i = 0; i < TREE; i++)
		m[i] = group(i ? m[i - 1] : NULL, "line");
}

static void end_line(struct rn_memcg *m[TREE])
{
	for (int i = TREE - 1; i >= 0; i--)
		group_end(m[i]);
}

/* The i-th has bytes[i] itself, and with that what all below it have. */
static void expect_usage(struct rn_memcg *m[TREE], const size_t bytes[TREE])
{
	size_t below = 0;

	for (int i = TREE - 1; i >= 0; i--) {
		below += bytes[i];
		ck_assert_uint_eq(rn_memcg_usage(m[i]), below);
		ck_assert_uint_ge(rn_memcg_peak(m[i]), below);
	}
}

START_TEST(real_size)
{
	size_t bytes[TREE] = { 0 }, nr = 0;
	static void *p[8192];
	struct rn_memcg *m[TREE];

	line_of_groups(m);
	for (size_t size = size_after(0); size; size = size_after(size)) {
		for (int i = 0; i < PER_SIZE * TREE; i++) {
			void *new = granted(m[i % TREE], size, 0);

			ck_assert_uint_eq(rn_size(new), class_size(size));
			bytes[i % TREE] += rn_size(new);
			pattern_set(new, rn_size(new), size);
			p[nr++] = new;
		}
		expect_usage(m, bytes);
	}
	for (size_t i = 0; i < nr; i++) {
		bytes[i % TREE] -= rn_size(p[i]);
		rn_free(p[i]);
		if (i % 16 == 0)
			expect_usage(m, bytes);
	}
	expect_usage(m, (size_t[TREE]){ 0 });
	end_line(m);
}
END_TEST

/* Every function that frees. */
START_TEST(frees)
{
	struct rn_memcg *m = group(NULL, "freed");

	for (size_t size = size_after(0); size; size = size_after(size)) {
		void *p[6];

		for (size_t i = 0; i < ARRAY_LEN(p); i++)
			p[i] = granted(m, size, 0);
		rn_free(p[0]);
		rn_free_sized(p[1], size);
		rn_free_sensitive(p[2]);
		ck_assert_uint_eq(rn_memcg_usage(m), 3 * rn_size(p[3]));
		rn_free_bulk(2, p + 3);
		ck_assert_uint_eq(rn_memcg_usage(m), rn_size(p[5]));
		rn_free(p[5]);
		ck_assert_uint_eq(rn_memcg_usage(m), 0);
	}
	group_end(m);
}
END_TEST

START_TEST(zeroed)
{
	struct rn_memcg *m = group(NULL, "zeroed");

	for (size_t size = size_after(0); size; size = size_after(size)) {
		/* A run is memory of its own; others share slabs. */
		size_t nr = size > 65536 ? 2 : 20;
		void *p[20];

		for (int round = 0; round < 2; round++) {
			for (size_t i = 0; i < nr; i++) {
				p[i] = granted(m, size, RN_ZERO);
				ck_assert(all_zero(p[i], rn_size(p[i])));
				memset(p[i], 0xff, rn_size(p[i]));
			}
			for (size_t i = 0; i < nr; i++)
				rn_free(p[i]);
		}
	}
	group_end(m);
}
END_TEST

START_TEST(bad_requests)
{
	struct rn_memcg *m = group(NULL, "bad");

	errno = 0;
	ck_assert_ptr_null(rn_memcg_alloc(NULL, 8, 0));
	ck_assert_int_eq(errno, EINVAL);
	for (unsigned int bit = 0; bit < 32; bit++) {
		rn_gfp_t flag = 1U << bit;

		if (flag & RN_GFP_MASK && flag != RN_HUGETLB)
			continue;
		declined(m, 100, flag, EINVAL);
		declined(m, 100000, flag, EINVAL);
	}
	declined(m, opaque(RN_MAX_SIZE + 1), 0, ENOMEM);
	declined(m, opaque((size_t)-1), 0, ENOMEM);
	ck_assert_ptr_eq(rn_memcg_alloc(m, 0, 0), RN_ZERO_SIZE_PTR);
	ck_assert_ptr_null(rn_memcg_of(RN_ZERO_SIZE_PTR));
	rn_free(RN_ZERO_SIZE_PTR);
	group_end(m);
}
END_TEST

static void is_of(const char *p, size_t size, const struct rn_memcg *m)
{
	ck_assert_ptr_eq(rn_memcg_of(p), m);
	ck_assert_ptr_eq(rn_memcg_of(p + size / 2), m);
	ck_assert_ptr_eq(rn_memcg_of(p + size - 1), m);
}

START_TEST(whose)
{
	struct rn_memcg *m[2] = { group(NULL, "one"), group(NULL, "other") };
	char *theirs = malloc(100);

	for (size_t size = size_after(0); size; size = size_after(size)) {
		char *p[3] = {
			granted(m[0], size, 0), granted(m[1], size, 0),
			rn_alloc(size, 0),
		};

		for (int i = 0; i < 3; i++)
			is_of(p[i], size, i < 2 ? m[i] : NULL);
		/* What was a group's is whose it is next. */
		for (int i = 0; i < 3; i++)
			rn_free(p[i]);
		for (int i = 2; i >= 0; i--)
			p[i] = i < 2 ? granted(m[i], size, 0) :
				       rn_alloc(size, 0);
		for (int i = 0; i < 3; i++) {
			is_of(p[i], size, i < 2 ? m[i] : NULL);
			rn_free(p[i]);
		}
	}
	ck_assert_ptr_null(rn_memcg_of(NULL));
	ck_assert_ptr_null(rn_memcg_of(&m));
	ck_assert_ptr_null(rn_memcg_of("text"));
	ck_assert_ptr_null(rn_memcg_of(theirs));
	free(theirs);
	group_end(m[0]);
	group_end(m[1]);
}
END_TEST

/* --- rn_realloc() --- */

START_TEST(resized)
{
	static const size_t to[] = {
		1, 8, 9, 100, 5000, 65536, 65537, 70000, 200000, 3000000,
		2000000, 100001, 65536, 33000, 300000, 40, 1000000, 1,
	};
	struct rn_memcg *top = group(NULL, "top"), *m = group(top, "resized");
	size_t had = 1, nr = ARRAY_LEN(to);
	char *p = granted(m, had, 0);

	mark_bytes(p, 0, had);
	for (size_t i = 0; i < 3 * nr; i++) {
		size_t size = to[i * 7 % nr];
		rn_gfp_t flags = i % 2 ? RN_ZERO : 0;

		p = rn_realloc(p, size, flags);
		ck_assert_ptr_nonnull(p);
		ck_assert_uint_ge(rn_size(p), size);
		ck_assert_ptr_eq(rn_memcg_of(p), m);
		ck_assert_uint_eq(rn_memcg_usage(m), rn_size(p));
		ck_assert_uint_eq(rn_memcg_usage(top), rn_size(p));
		ck_assert(bytes_marked(p, size < had ? size : had));
		mark_bytes(p, 0, size);
		had = size;
	}
	rn_free(p);
	group_end(m);
	group_end(top);
}
END_TEST

/* Old and new are there at the same time; who is declined keeps the old. */
START_TEST(resize_declined)
{
	static const size_t to[] = { 2000, 65536, 100000, 5000000 };
	struct rn_memcg *m = group_of(NULL, "small", 3000);
	char *p = granted(m, 1024, 0);

	mark_bytes(p, 0, 1024);
	for (size_t i = 0; i < ARRAY_LEN(to); i++) {
		errno = 0;
		ck_assert_ptr_null(rn_realloc(p, to[i], RN_NOWAIT));
		ck_assert_int_eq(errno, ENOMEM);
		ck_assert_uint_eq(rn_memcg_usage(m), 1024);
		ck_assert(bytes_marked(p, 1024));
	}
	rn_free(p);
	group_end(m);
}
END_TEST

/* --- what it says of itself --- */

static struct rn_memcg *shown;

static int dump_stat(int fd)
{
	return rn_memcg_stat(shown, fd);
}

static int dump_json(int fd)
{
	return rn_memcg_json(shown, fd);
}

/* The lines of the text as the members of an object: one is the other. */
static void text_to_json(const char *text, char *json, size_t size)
{
	char name[64], value[32];
	int n = snprintf(json, size, "{\"name\":\"%s\"", rn_memcg_name(shown));
	int used;

	for (; sscanf(text, "%63s %31s\n%n", name, value, &used) == 2;
	     text += used)
		n += snprintf(json + n, size - n, ",\"%s\":%s", name,
			      strcmp(value, "max") ? value : "null");
	ck_assert_str_eq(text, "");
	snprintf(json + n, size - n, "}\n");
}

static void expect_same(struct rn_memcg *m)
{
	char expected[4096], *text, *json;

	shown = m;
	text = dump_text(dump_stat);
	json = dump_text(dump_json);
	text_to_json(text, expected, sizeof(expected));
	ck_assert_str_eq(json, expected);
	free(text);
	free(json);
}

static void expect_figures(struct rn_memcg *m)
{
	static const char *const events[RN_MEMCG_NR_EVENTS] = {
		[RN_MEMCG_EVENT_LOW] = "events.low",
		[RN_MEMCG_EVENT_HIGH] = "events.high",
		[RN_MEMCG_EVENT_MAX] = "events.max",
		[RN_MEMCG_EVENT_FAIL] = "events.fail",
		[RN_MEMCG_EVENT_EVICTED] = "events.evicted",
		[RN_MEMCG_EVENT_HELD] = "events.held",
		[RN_MEMCG_EVENT_BORROWED] = "events.borrowed",
	};

	for (int i = 0; i < RN_MEMCG_NR_EVENTS; i++)
		ck_assert_int_eq(memcg_figure(m, events[i]),
				 rn_memcg_event(m, i));
	ck_assert_int_eq(memcg_figure(m, "current"), rn_memcg_usage(m));
	ck_assert_int_eq(memcg_figure(m, "peak"), rn_memcg_peak(m));
	ck_assert_int_eq(memcg_figure(m, "min"), rn_memcg_get(m, RN_MEMCG_MIN));
	ck_assert_int_eq(memcg_figure(m, "low"), rn_memcg_get(m, RN_MEMCG_LOW));
}

START_TEST(text)
{
	struct rn_memcg *m = group(NULL, "in.words");
	void *p;

	expect_same(m);
	expect_figures(m);
	set_limit(m, RN_MEMCG_MIN, 1000);
	set_limit(m, RN_MEMCG_LOW, 2000);
	set_limit(m, RN_MEMCG_HIGH, 400000);
	set_limit(m, RN_MEMCG_MAX, 500000);
	p = granted(m, 3000, 0);
	declined(m, 499999, RN_NOWAIT, ENOMEM);
	expect_same(m);
	expect_figures(m);
	ck_assert_int_eq(memcg_figure(m, "current"), rn_size(p));
	ck_assert_int_eq(memcg_figure(m, "high"), 400000);
	ck_assert_int_eq(memcg_figure(m, "max"), 500000);
	ck_assert_int_gt(memcg_figure(m, "failcnt"), 0);
	rn_free(p);
	group_end(m);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("memcg");
	TCase *made = tcase_create("made");
	TCase *use = tcase_create("use");

	tcase_add_test(made, names);
	tcase_add_test(made, first_limits);
	tcase_add_test(made, bad_arguments);
	tcase_add_test(made, too_many);
	tcase_add_test(use, real_size);
	tcase_add_test(use, frees);
	tcase_add_test(use, zeroed);
	tcase_add_test(use, bad_requests);
	tcase_add_test(use, whose);
	tcase_add_test(use, resized);
	tcase_add_test(use, resize_declined);
	tcase_add_test(use, text);
	tcase_set_timeout(made, 60);
	tcase_set_timeout(use, 60);
	suite_add_tcase(s, made);
	suite_add_tcase(s, use);
	return suite_main(s);
}

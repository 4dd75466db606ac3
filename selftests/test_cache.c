// SPDX-License-Identifier: MIT
/*
 * Caches: their shapes, merging, constructors, and their end.
 */
#include "helpers.h"

#include <errno.h>
#include <pthread.h>
#include <rn/pages.h>
#include <rn/slab.h>
#include <rn/vmstat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct node240 {
	char bytes[240];
};

struct node248 {
	struct node248 *next;
	char bytes[240];
};

static struct rn_cache_args shape(size_t size, size_t align,
				  unsigned int flags)
{
	return (struct rn_cache_args){
		.sz = sizeof(struct rn_cache_args), .size = size,
		.align = align, .flags = flags,
	};
}

static struct rn_cache *make(const char *name, size_t size, size_t align,
			     unsigned int flags)
{
	struct rn_cache_args args = shape(size, align, flags);
	struct rn_cache *c = rn_cache_create(name, &args);

	ck_assert_msg(c, "%s: %s", name, strerror(errno));
	return c;
}

static struct slabinfo line_of(const struct rn_cache *c)
{
	struct slabinfo s;

	ck_assert_msg(slabinfo_of(rn_cache_name(c), &s), "%s is not there",
		      rn_cache_name(c));
	return s;
}

/* --- what is refused --- */

static void refused(const char *name, const struct rn_cache_args *args)
{
	errno = 0;
	ck_assert_ptr_null(rn_cache_create(name, args));
	ck_assert_int_eq(errno, EINVAL);
}

START_TEST(bad_arguments)
{
	static const size_t bad_align[] = { 3, 24, 8191, 8192, 1UL << 40 };
	static const size_t bad_size[] = { 0, 65537, SIZE_MAX };
	struct rn_cache_args good = shape(100, 0, 0), args;

	refused(NULL, &good);
	refused("", &good);
	refused("bad", NULL);
	refused("struct ", &good);
	for (size_t i = 0; i < ARRAY_LEN(bad_align); i++) {
		args = shape(100, bad_align[i], 0);
		refused("bad", &args);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad_size); i++) {
		args = shape(bad_size[i], 0, 0);
		refused("bad", &args);
	}
	for (unsigned int bit = 4; bit < 32; bit++) {
		args = shape(100, 0, 1U << bit);
		if (bit < 8 || bit > 13)
			refused("bad", &args);
	}
	args = good;
	args.sz = 0;
	refused("bad", &args);
	args.sz = sizeof(args) + 8;
	refused("bad", &args);
	args = good;
	args.useroffset = 90;
	args.usersize = 11;
	refused("bad", &args);
	args.useroffset = SIZE_MAX;
	refused("bad", &args);
	ck_assert_int_eq(rn_cache_destroy(NULL), 0);
}
END_TEST

/* --- shapes --- */

START_TEST(alignments)
{
	for (size_t align = 1; align <= 4096; align *= 2) {
		struct rn_cache *c = make("aligned", 20, align, RN_NOMERGE);
		void *p[100];

		ck_assert_uint_eq(rn_cache_alloc_bulk(c, 0, ARRAY_LEN(p), p),
				  ARRAY_LEN(p));
		for (size_t i = 0; i < ARRAY_LEN(p); i++) {
			size_t least = align < 8 ? 8 : align;

			ck_assert_uint_eq((uintptr_t)p[i] % least, 0);
			pattern_set(p[i], rn_cache_size(c), i);
		}
		for (size_t i = 0; i < ARRAY_LEN(p); i++)
			ck_assert(pattern_ok(p[i], rn_cache_size(c), i));
		rn_cache_free_bulk(c, ARRAY_LEN(p), p);
		ck_assert_int_eq(rn_cache_destroy(c), 0);
	}
}
END_TEST

/* No object of up to a line lies across two, larger ones start on one. */
START_TEST(hwcache_align)
{
	static const size_t some[] = { 8, 12, 20, 33, 64, 100, 1000 };

	for (size_t k = 0; k < ARRAY_LEN(some); k++) {
		size_t size = some[k];
		struct rn_cache *c = make("lines", size, 0,
					  RN_HWCACHE_ALIGN | RN_NOMERGE);
		void *p[100];

		ck_assert_uint_eq(rn_cache_alloc_bulk(c, 0, ARRAY_LEN(p), p),
				  ARRAY_LEN(p));
		for (size_t i = 0; i < ARRAY_LEN(p); i++) {
			size_t in_line = (uintptr_t)p[i] % 64;

			ck_assert_msg(!in_line || in_line + size <= 64,
				      "%zu bytes at %p", size, p[i]);
		}
		rn_cache_free_bulk(c, ARRAY_LEN(p), p);
		ck_assert_int_eq(rn_cache_destroy(c), 0);
	}
}
END_TEST

/* Of a canary. */
static size_t behind(void)
{
	return all_hardened() ? sizeof(void *) : 0;
}

/* Every size from 1 byte to 64 KiB: exact, usable, apart from one another. */
START_TEST(sizes)
{
	for (size_t size = 1; size <= 65536; size += size < 300 ? 7 : 997) {
		struct rn_cache *c = make("sized", size, 0, RN_NOMERGE);
		struct slabinfo s;
		void *p[30];

		ck_assert_uint_ge(rn_cache_size(c), size);
		ck_assert_uint_lt(rn_cache_size(c), size + 8);
		for (size_t i = 0; i < ARRAY_LEN(p); i++) {
			p[i] = rn_cache_alloc(c, 0);
			ck_assert_uint_eq(rn_size(p[i]), rn_cache_size(c));
			pattern_set(p[i], rn_cache_size(c), i);
		}
		for (size_t i = 0; i < ARRAY_LEN(p); i++)
			ck_assert(pattern_ok(p[i], rn_cache_size(c), i));
		s = line_of(c);
		ck_assert_uint_eq(s.active, ARRAY_LEN(p));
		ck_assert_uint_eq(s.size, rn_cache_size(c) + behind());
		ck_assert_uint_eq(s.objects, s.slabs * s.per_slab);
		/* Nothing but the tail is lost, and that is under an eighth. */
		ck_assert_uint_eq(s.per_slab,
				  s.pages_per_slab * 4096 / s.size);
		ck_assert_uint_le(s.pages_per_slab * 4096 % s.size,
				  s.pages_per_slab * 4096 / 8);
		for (size_t i = 0; i < ARRAY_LEN(p); i++)
			rn_cache_free(c, p[i]);
		ck_assert_int_eq(rn_cache_destroy(c), 0);
	}
}
END_TEST

static void wastes_only_the_tail(struct rn_cache *c, size_t size)
{
	struct slabinfo s;

	ck_assert_ptr_nonnull(c);
	s = line_of(c);
	ck_assert_uint_eq(s.size, size + behind());
	ck_assert_uint_lt(s.pages_per_slab * 4096 - s.per_slab * s.size,
			  s.size);
	ck_assert_uint_eq(rn_cache_size(c), size);
}

START_TEST(type_cache)
{
	struct rn_cache *c = RN_CACHE(struct node248);
	struct node248 *p = rn_cache_alloc(c, 0);

	wastes_only_the_tail(c, sizeof(struct node248));
	wastes_only_the_tail(RN_CACHE(struct node240), sizeof(struct node240));
	ck_assert_str_eq(rn_cache_name(c), all_hardened() ? "kmalloc-256"
							  : "node248");
	/* Another place, the same cache. */
	ck_assert_ptr_eq(RN_CACHE(struct node248), c);
	memset(p, 1, sizeof(*p));
	rn_cache_free(c, p);
}
END_TEST

static struct rn_cache *seen[8];
static pthread_barrier_t together;

static void *look_up(void *arg)
{
	struct rn_cache **where = arg;

	pthread_barrier_wait(&together);
	*where = RN_CACHE(struct node248);
	rn_cache_free(*where, rn_cache_alloc(*where, 0));
	return NULL;
}

START_TEST(type_cache_race)
{
	pthread_t t[ARRAY_LEN(seen)];
	struct rn_cache *c;

	pthread_barrier_init(&together, NULL, ARRAY_LEN(seen));
	for (size_t i = 0; i < ARRAY_LEN(seen); i++)
		pthread_create(&t[i], NULL, look_up, &seen[i]);
	for (size_t i = 0; i < ARRAY_LEN(seen); i++)
		pthread_join(t[i], NULL);
	c = RN_CACHE(struct node248);
	for (size_t i = 0; i < ARRAY_LEN(seen); i++)
		ck_assert_ptr_eq(seen[i], c);
	ck_assert_uint_eq(line_of(c).active, 0);
}
END_TEST

/* --- merging --- */

START_TEST(merging)
{
	struct rn_cache *a = make("first", 1672, 0, 0);
	struct rn_cache *b = make("second", 1671, 0, 0);
	struct rn_cache *alone = make("alone", 1672, 0, RN_NOMERGE);
	struct slabinfo s;
	void *p, *q;

	/* One cache, by the name of the first. */
	ck_assert_str_eq(rn_cache_name(a), "first");
	ck_assert_str_eq(rn_cache_name(b), "first");
	ck_assert_str_eq(rn_cache_name(alone), "alone");
	ck_assert(!slabinfo_of("second", &s));
	p = rn_cache_alloc(a, 0);
	q = rn_cache_alloc(b, 0);
	ck_assert_uint_eq(line_of(a).active, 2);
	ck_assert_uint_eq(line_of(alone).active, 0);
	rn_cache_free(a, p);
	/* It lives as long as one of them does. */
	ck_assert_int_eq(rn_cache_destroy(a), 0);
	ck_assert_uint_eq(line_of(b).active, 1);
	p = rn_cache_alloc(b, 0);
	rn_cache_free(b, p);
	rn_cache_free(b, q);
	ck_assert_int_eq(rn_cache_destroy(b), 0);
	ck_assert(!slabinfo_of("first", &s));
	ck_assert_int_eq(rn_cache_destroy(alone), 0);
}
END_TEST

static void do_nothing(void *object)
{
}

START_TEST(not_merged)
{
	struct rn_cache_args args = shape(1672, 0, 0);
	struct rn_cache *c[5] = { make("plain", 1672, 0, 0) };

	/* Something is different about each of these. */
	args.ctor = do_nothing;
	c[1] = rn_cache_create("with-ctor", &args);
	args = shape(1672, 0, 0);
	args.usersize = 8;
	c[2] = rn_cache_create("with-region", &args);
	c[3] = make("aligned-512", 1672, 512, 0);
	c[4] = make("hugetlb", 1672, 0, RN_CACHE_HUGETLB);
	for (size_t i = 0; i < ARRAY_LEN(c); i++)
		for (size_t k = 0; k < i; k++)
			ck_assert_str_ne(rn_cache_name(c[i]),
					 rn_cache_name(c[k]));
	for (size_t i = 0; i < ARRAY_LEN(c); i++)
		ck_assert_int_eq(rn_cache_destroy(c[i]), 0);
}
END_TEST

/* --- constructors --- */

struct built {
	unsigned long magic;
	unsigned long uses;
	void *other;
};

#define MAGIC 0x600d0b1ec7UL

static unsigned int built;
static struct rn_cache *others;

static void build(void *object)
{
	struct built *b = object;

	*b = (struct built){ .magic = MAGIC };
	b->other = rn_cache_alloc(others, 0);
	built++;
}

START_TEST(constructor)
{
	enum { MANY = 3000 };
	static struct built *p[MANY];
	struct rn_cache_args args = shape(sizeof(struct built), 0, 0);
	unsigned long uses = 0;
	struct rn_cache *c;
	struct slabinfo s;

	others = make("others", 40, 0, RN_NOMERGE);
	args.ctor = build;
	c = rn_cache_create("built", &args);
	for (int round = 1; round <= 3; round++) {
		for (int i = 0; i < MANY; i++) {
			p[i] = rn_cache_alloc(c, 0);
			ck_assert_uint_eq(p[i]->magic, MAGIC);
			ck_assert_ptr_nonnull(p[i]->other);
			p[i]->uses++;
		}
		for (int i = 0; i < MANY; i++)
			rn_cache_free(c, p[i]);
	}
	/* Called once for each, and what was counted outlived each free. */
	s = line_of(c);
	ck_assert_uint_ge(built, MANY);
	ck_assert_uint_le(built, s.objects);
	ck_assert_uint_eq(line_of(others).active, built);
	for (int i = 0; i < MANY; i++) {
		p[i] = rn_cache_alloc(c, 0);
		uses += p[i]->uses;
	}
	ck_assert_uint_le(uses, 3 * MANY);
	ck_assert_uint_ge(uses, 3 * MANY - 3 * (built - MANY));
	for (int i = 0; i < MANY; i++)
		rn_cache_free(c, p[i]);
	ck_assert_int_eq(rn_cache_destroy(c), 0);
}
END_TEST

/* --- use --- */

START_TEST(bulk_zero_node)
{
	struct rn_cache *c = make("bulk", 72, 0, RN_NOMERGE);
	static void *p[1000];

	ck_assert_uint_eq(rn_cache_alloc_bulk(c, 0, 1000, p), 1000);
	for (size_t i = 0; i < 1000; i++)
		memset(p[i], 0xff, 72);
	ck_assert_uint_eq(line_of(c).active, 1000);
	rn_cache_free_bulk(c, 1000, p);
	ck_assert_uint_eq(line_of(c).active, 0);
	for (size_t i = 0; i < 1000; i++) {
		p[i] = i % 2 ? rn_cache_zalloc(c, 0)
			     : rn_cache_alloc(c, RN_ZERO);
		ck_assert(all_zero(p[i], 72));
	}
	for (size_t i = 0; i < 1000; i++)
		rn_free(p[i]);
	ck_assert_uint_eq(line_of(c).active, 0);
	p[0] = rn_cache_alloc_node(c, RN_ZERO, RN_NO_NODE);
	ck_assert(all_zero(p[0], 72));
	p[1] = rn_cache_alloc_node(c, RN_THISNODE, rn_addr_to_node(p[0]));
	ck_assert_int_eq(rn_addr_to_node(p[1]), rn_addr_to_node(p[0]));
	rn_cache_free(c, p[0]);
	rn_cache_free(c, p[1]);
	rn_cache_free(c, NULL);
	ck_assert_uint_eq(rn_cache_alloc_bulk(c, 1U << 20, 10, p), 0);
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_int_eq(rn_cache_destroy(c), 0);
}
END_TEST

START_TEST(user_region)
{
	struct rn_cache_args args = shape(200, 0, 0);
	struct rn_cache *c;
	char *p;

	args.useroffset = 40;
	args.usersize = 60;
	c = rn_cache_create("region", &args);
	p = rn_cache_alloc(c, 0);
	ck_assert_int_eq(rn_check_object(p + 40, 60), 0);
	ck_assert_int_eq(rn_check_object(p + 99, 1), 0);
	ck_assert_int_eq(rn_check_object(p + 39, 10), -EFAULT);
	ck_assert_int_eq(rn_check_object(p + 40, 61), -EFAULT);
	ck_assert_int_eq(rn_check_object(p + 100, 1), -EFAULT);
	ck_assert_int_eq(rn_check_object(p, 200), -EFAULT);
	rn_cache_free(c, p);
	ck_assert_int_eq(rn_cache_destroy(c), 0);
}
END_TEST

START_TEST(shrinking)
{
	enum { MANY = 20000 };
	static void *p[MANY];
	struct rn_cache *c = make("shrinking", 200, 0, RN_NOMERGE);
	struct slabinfo full, s;

	ck_assert_uint_eq(rn_cache_alloc_bulk(c, 0, MANY, p), MANY);
	full = line_of(c);
	ck_assert_uint_ge(full.objects, MANY);
	/* One object of each slab keeps its slab. */
	for (size_t i = 0; i < MANY; i++)
		pattern_set(p[i], 200, i);
	for (size_t i = 0; i < MANY; i++)
		if (i % full.per_slab)
			rn_cache_free(c, p[i]);
	ck_assert_int_eq(rn_cache_shrink(c), 0);
	s = line_of(c);
	ck_assert_uint_eq(s.active, (MANY + full.per_slab - 1) /
			  full.per_slab);
	ck_assert_uint_ge(s.slabs, 1);
	ck_assert_uint_le(s.slabs, s.active);
	for (size_t i = 0; i < MANY; i += full.per_slab) {
		ck_assert(pattern_ok(p[i], 200, i));
		rn_cache_free(c, p[i]);
	}
	rn_cache_shrink(c);
	s = line_of(c);
	ck_assert_uint_eq(s.active, 0);
	ck_assert_uint_eq(s.slabs, 0);
	ck_assert_uint_eq(s.objects, 0);
	p[0] = rn_cache_alloc(c, 0);
	ck_assert_ptr_nonnull(p[0]);
	rn_cache_free(c, p[0]);
	ck_assert_int_eq(rn_cache_destroy(c), 0);
}
END_TEST

START_TEST(busy)
{
	struct rn_cache *c = make("busy", 1672, 0, RN_NOMERGE);
	char expected[200];
	struct slabinfo s;
	void *p[3];
	char *text;

	for (int i = 0; i < 3; i++) {
		p[i] = rn_cache_alloc(c, 0);
		pattern_set(p[i], 1672, i);
	}
	rn_cache_free(c, rn_cache_alloc(c, 0));
	s = line_of(c);
	stderr_catch();
	ck_assert_int_eq(rn_cache_destroy(c), -EBUSY);
	text = stderr_caught();
	snprintf(expected, sizeof(expected), "libslab: rn_cache_destroy(busy): "
		 "3 of %lu objects are still allocated\n",
		 s.slabs * s.per_slab);
	ck_assert_str_eq(text, expected);
	free(text);
	/* It is as it was. */
	ck_assert_uint_eq(line_of(c).active, 3);
	for (int i = 0; i < 3; i++) {
		ck_assert(pattern_ok(p[i], 1672, i));
		rn_cache_free(c, p[i]);
	}
	ck_assert_int_eq(rn_cache_destroy(c), 0);
	ck_assert(!slabinfo_of("busy", &s));
}
END_TEST

START_TEST(many_caches)
{
	enum { CACHES = SANITIZED ? 1250 : 5000 };
	static struct rn_cache *c[CACHES];
	static void *p[CACHES];
	struct slabinfo s;
	char name[32];
	long before;

	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < CACHES; i++) {
			snprintf(name, sizeof(name), "many-%d", i);
			c[i] = make(name, 24 + i % 200, 0, RN_NOMERGE);
			p[i] = rn_cache_alloc(c[i], 0);
			pattern_set(p[i], 24 + i % 200, i);
		}
		ck_assert_int_ge(vmstat("nr_caches"), CACHES);
		ck_assert(slabinfo_of("many-1234", &s));
		ck_assert_uint_eq(s.active, 1);
		for (int i = 0; i < CACHES; i++) {
			ck_assert(pattern_ok(p[i], 24 + i % 200, i));
			rn_cache_free(c[i], p[i]);
		}
		before = vmstat("nr_caches");
		for (int i = 0; i < CACHES; i++)
			ck_assert_int_eq(rn_cache_destroy(c[i]), 0);
		ck_assert_int_eq(vmstat("nr_caches"), before - CACHES);
	}
}
END_TEST

/* Blanks would break the columns of slabinfo. */
START_TEST(names)
{
	char long_name[200];
	struct rn_cache *c = make("struct two words", 1672, 0, RN_NOMERGE);

	ck_assert_str_eq(rn_cache_name(c), "two_words");
	ck_assert_int_eq(rn_cache_destroy(c), 0);
	memset(long_name, 'n', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = '\0';
	c = make(long_name, 1672, 0, RN_NOMERGE);
	ck_assert_uint_eq(strlen(rn_cache_name(c)), 63);
	line_of(c);
	ck_assert_int_eq(rn_cache_destroy(c), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("cache");
	TCase *shapes = tcase_create("shapes");
	TCase *use = tcase_create("use");

	tcase_add_test(shapes, bad_arguments);
	tcase_add_test(shapes, alignments);
	tcase_add_test(shapes, hwcache_align);
	tcase_add_test(shapes, sizes);
	tcase_add_test(shapes, type_cache);
	tcase_add_test(shapes, type_cache_race);
	tcase_add_test(shapes, merging);
	tcase_add_test(shapes, not_merged);
	tcase_add_test(shapes, names);
	tcase_add_test(use, constructor);
	tcase_add_test(use, bulk_zero_node);
	tcase_add_test(use, user_region);
	tcase_add_test(use, shrinking);
	tcase_add_test(use, busy);
	tcase_add_test(use, many_caches);
	tcase_set_timeout(shapes, 30);
	tcase_set_timeout(use, 60);
	suite_add_tcase(s, shapes);
	suite_add_tcase(s, use);
	return suite_main(s);
}

// SPDX-License-Identifier: MIT
/*
 * Objects between guard pages: where they lie, what is known of them, and how
 * long they stay protected. Their misuse is in unit_kfence_fault.c, and which
 * objects they are in unit_kfence_sample.c.
 */
#define _GNU_SOURCE
#include "guarded.h"

#include <rn/memcg.h>
#include <rn/pages.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static char *try_guarded_of(struct rn_cache *c)
{
	kfence_gate = c->row;
	return rn_cache_alloc_node(c, 0, RN_NO_NODE);
}

static char *guarded_of(struct rn_cache *c)
{
	char *p = try_guarded_of(c);

	ck_assert(kfence_has(p));
	return p;
}

static struct rn_cache *cache(size_t size, size_t align, unsigned int flags,
			      void (*ctor)(void *))
{
	struct rn_cache_args args = {
		.sz = sizeof(args), .size = size, .align = align,
		.flags = flags | RN_NOMERGE, .ctor = ctor,
	};
	struct rn_cache *c = rn_cache_create("guarded", &args);

	ck_assert_ptr_nonnull(c);
	return c;
}

/* --- options --- */

static const struct {
	const char *name, *value;
} nonsense[] = {
	{ "RN_KFENCE", "2" }, { "RN_KFENCE", "yes" },
	{ "RN_KFENCE_INTERVAL", "0" }, { "RN_KFENCE_INTERVAL", "-1" },
	{ "RN_KFENCE_INTERVAL", "10s" }, { "RN_KFENCE_INTERVAL", "" },
	{ "RN_KFENCE_INTERVAL", "99999999999999999999" },
	{ "RN_KFENCE_OBJECTS", "0" }, { "RN_KFENCE_OBJECTS", "16384" },
};

START_TEST(nonsense_is_said)
{
	char line[100];

	setenv(nonsense[_i].name, nonsense[_i].value, 1);
	snprintf(line, sizeof(line), "%s=%s is not", nonsense[_i].name,
		 nonsense[_i].value);
	stderr_catch();
	init_given();
	ck_assert_int_eq(said(line), 1);
	ck_assert(!options.kfence);
	ck_assert_uint_eq(options.kfence_interval, 100);
	ck_assert_uint_eq(options.kfence_objects, 255);
}
END_TEST

START_TEST(off_by_default)
{
	struct sigaction now;

	init_given();
	ck_assert(!options.kfence && !options.background);
	ck_assert_uint_eq(kfence_pool.bytes, 0);
	ck_assert(!kfence_has(NULL));
	ck_assert_int_eq(vmstat("kfence_allocs"), -1);
	ck_assert_int_eq(sigaction(SIGSEGV, NULL, &now), 0);
	ck_assert(SANITIZED || now.sa_handler == SIG_DFL);
}
END_TEST

/* --- where they lie --- */

static const size_t sizes[] = {
	1, 7, 8, 13, 16, 60, 64, 100, 112, 1000, 1024, 2049, 4000, 4096,
};

/* Often enough that it lies at either end. */
START_TEST(ends_of_a_page)
{
	size_t size = sizes[_i], page, align;
	int ends[2] = { 0 };

	start("abort");
	page = page_bytes();
	align = class_align(rn_size_roundup(size));
	for (int i = 0; i < 200; i++) {
		char *p = guarded(size);
		size_t at = (uintptr_t)p % page;

		ck_assert_uint_eq((uintptr_t)p % align, 0);
		ck_assert(at == 0 || page - at - size < align);
		ck_assert(is_protected(p - at - 1));
		ck_assert(is_protected(p - at + page));
		ck_assert_uint_eq(rn_size(p), size);
		memset(p, 1, size);
		ends[at != 0]++;
		rn_free(p);
		ck_assert(is_protected(p));
	}
	if (page - size >= align)
		ck_assert(ends[0] > 50 && ends[1] > 50);
	ck_assert_int_eq(vmstat("kfence_allocs"), 200);
	ck_assert_int_eq(vmstat("kfence_frees"), 200);
	ck_assert_int_eq(vmstat("kfence_current"), 0);
	ck_assert_int_eq(vmstat("kfence_bugs"), 0);
}
END_TEST

/* What was freed first comes first. */
START_TEST(protected_for_long)
{
	char *p[3 * OBJECTS];

	start("abort");
	for (int i = 0; i < 3 * OBJECTS; i++) {
		p[i] = guarded(page_bytes());
		rn_free(p[i]);
		for (int k = max(i - OBJECTS + 1, 0); k < i; k++)
			ck_assert_ptr_ne(p[k], p[i]);
		if (i >= OBJECTS)
			ck_assert_ptr_eq(p[i - OBJECTS], p[i]);
	}
}
END_TEST

/* --- what is known of them --- */

START_TEST(questions)
{
	char *p;

	start("abort");
	p = guarded(60);
	ck_assert_int_eq(rn_check_object(p, 60), 0);
	ck_assert_int_eq(rn_check_object(p + 59, 1), 0);
	ck_assert_int_eq(rn_check_object(p, 61), -EFAULT);
	ck_assert_int_eq(rn_check_object(p - 1, 1), -EFAULT);
	ck_assert_int_ge(rn_addr_to_node(p), 0);
	ck_assert_ptr_null(rn_memcg_of(p));
	ck_assert_int_eq(rn_validate(row_to_cache(size_to_row(60))), 0);
	stderr_catch();
	ck_assert_int_eq(rn_dump_obj(p), 0);
	ck_assert_int_eq(said("size=60, cache=kmalloc-64\n\nallocated by"), 1);
	rn_free(p);
	ck_assert_int_eq(rn_check_object(p, 1), -EFAULT);
	ck_assert_int_eq(rn_addr_to_node(p), -EFAULT);
	stderr_catch();
	ck_assert_int_eq(rn_dump_obj(p), 0);
	ck_assert_int_eq(said("\nfreed by task "), 1);
	stderr_catch();
	ck_assert_int_eq(rn_dump_obj((char *)kfence_pool.base), -ENOENT);
	ck_assert_int_eq(said("between guarded objects"), 1);
}
END_TEST

START_TEST(zeroed)
{
	char *p;

	start("abort");
	for (int i = 0; i < 2 * OBJECTS; i++) {
		p = try_guarded(1000, RN_ZERO);
		ck_assert(kfence_has(p));
		ck_assert(all_zero(p, 1000));
		memset(p, 1, 1000);
		rn_free_sized(p, 1000);
	}
}
END_TEST

/* It may shrink where it is, and grows elsewhere. */
START_TEST(resized)
{
	char *p, *q;

	start("abort");
	p = guarded(1000);
	mark_bytes(p, 0, 1000);
	ck_assert_ptr_eq(rn_realloc(p, 600, 0), p);
	q = rn_realloc(p, 1001, 0);
	ck_assert(!kfence_has(q));
	ck_assert(bytes_marked(q, 600));
	ck_assert(is_protected(p));
	rn_free(q);
	p = guarded(1000);
	q = rn_realloc(p, 100, 0);
	ck_assert(!kfence_has(q));
	ck_assert_int_eq(vmstat("kfence_current"), 0);
	rn_free_sensitive(guarded(100));
	ck_assert_int_eq(vmstat("kfence_current"), 0);
}
END_TEST

static int made;

static void construct(void *p)
{
	memset(p, 0x11, 40);
	made++;
}

START_TEST(of_caches)
{
	struct rn_cache *c, *aligned;
	char *p;

	start("abort");
	c = cache(40, 0, 0, construct);
	aligned = cache(100, 512, 0, NULL);
	p = guarded_of(c);
	ck_assert_int_eq(made, 1);
	ck_assert_int_eq(p[39], 0x11);
	rn_cache_free(c, p);
	rn_cache_free(c, guarded_of(c));
	ck_assert_int_eq(made, 2);
	for (int i = 0; i < 20; i++) {
		p = guarded_of(aligned);
		ck_assert_uint_eq((uintptr_t)p % 512, 0);
		ck_assert_uint_eq(rn_size(p), rn_cache_size(aligned));
		rn_cache_free(aligned, p);
	}
	ck_assert_int_eq(rn_cache_destroy(aligned), 0);
	ck_assert_int_eq(rn_cache_destroy(c), 0);
}
END_TEST

/* Those that are out count; and what is freed outlives its cache. */
START_TEST(destroyed)
{
	struct rn_cache *c;
	char *p;

	start("continue");
	c = cache(40, 0, 0, NULL);
	p = guarded_of(c);
	stderr_catch();
	ck_assert_int_eq(rn_cache_destroy(c), -EBUSY);
	ck_assert_int_eq(said("1 of 1 objects are still allocated"), 1);
	rn_cache_free(c, p);
	ck_assert_int_eq(rn_cache_destroy(c), 0);
	stderr_catch();
	rn_free(p);
	ck_assert_int_eq(said("cache=<destroyed>"), 1);
}
END_TEST

START_TEST(not_these)
{
	struct rn_cache *debugged;
	struct rn_memcg *group;
	char *p;

	start("abort");
	debugged = cache(40, 0, RN_POISON, NULL);
	ck_assert(!kfence_has(try_guarded_of(debugged)));
	ck_assert(!kfence_has(try_guarded(page_bytes() + 1, 0)));
	kfence_gate = size_to_row(64);
	ck_assert(!kfence_has(rn_alloc_node(64, 0, numa_local_node())));
	ck_assert(!kfence_has(rn_alloc_node(64, RN_THISNODE, RN_NO_NODE)));
	group = rn_memcg_create(NULL, "group");
	ck_assert_ptr_nonnull(group);
	p = rn_memcg_alloc(group, 64, 0);
	ck_assert_ptr_nonnull(p);
	kfence_gate = ptr_to_row(p);
	ck_assert(!kfence_has(rn_memcg_alloc(group, 64, 0)));
	ck_assert_int_eq(vmstat("kfence_allocs"), 0);
}
END_TEST

/* --- a pool that is full --- */

START_TEST(full)
{
	char *p[OBJECTS];
	int i = 0;

	start("abort");
	/* Of one place, until a quarter is left; then others have it. */
	while (kfence_has(p[i] = try_guarded(64, 0)))
		i++;
	ck_assert_int_eq(i, OBJECTS - OBJECTS / 4);
	ck_assert_int_eq(vmstat("kfence_skipped_covered"), 1);
	p[i++] = guarded(65);
	p[i++] = guarded(66);
	p[i++] = guarded(67);
	p[i++] = guarded(68);
	ck_assert(kfence_is_full());
	ck_assert(!kfence_has(try_guarded(69, 0)));
	ck_assert_int_eq(vmstat("kfence_skipped_full"), 1);
	ck_assert_int_eq(vmstat("kfence_current"), OBJECTS);
	while (i--)
		rn_free(p[i]);
	rn_free(guarded(64));
	ck_assert_int_eq(vmstat("kfence_current"), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("kfence");
	TCase *tc = tcase_create("kfence");

	tcase_add_loop_test(tc, nonsense_is_said, 0, ARRAY_LEN(nonsense));
	tcase_add_test(tc, off_by_default);
	tcase_add_loop_test(tc, ends_of_a_page, 0, ARRAY_LEN(sizes));
	tcase_add_test(tc, protected_for_long);
	tcase_add_test(tc, questions);
	tcase_add_test(tc, zeroed);
	tcase_add_test(tc, resized);
	tcase_add_test(tc, of_caches);
	tcase_add_test(tc, destroyed);
	tcase_add_test(tc, not_these);
	tcase_add_test(tc, full);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(s, tc);
	return suite_main(s);
}

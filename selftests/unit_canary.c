// SPDX-License-Identifier: MIT
/*
 * Canaries behind objects (RN_HARDENED): what stays as it was, and where they
 * are looked at. What is found at a free is in test_crash.
 */
#include "unit_harden.h"

#include <rn/debug.h>
#include <stdio.h>
#include <string.h>

/* What was asked for, and aligned as without. */
START_TEST(canaries_keep_promises)
{
	size_t natural[2000];

	for (size_t size = 1; size < 2000; size++)
		natural[size] = class_align(class_size(size));
	set_option("RN_HARDENED");
	for (size_t size = 1; size < 2000; size++) {
		char *p = rn_alloc(size, 0), *q;
		size_t most = rn_size_roundup(size);

		ck_assert_uint_eq(rn_size(p), size);
		ck_assert_uint_eq((uintptr_t)p % natural[size], 0);
		/* To ask for that takes no more. */
		q = rn_alloc(most, 0);
		ck_assert(p && q);
		ck_assert_ptr_eq(row_to_cache(ptr_to_row(p)),
				 row_to_cache(ptr_to_row(q)));
		ck_assert_uint_eq(rn_size_roundup(most), most);
		pattern_set(p, size, 1);
		pattern_set(q, most, 2);
		rn_free_sized(p, size);
		rn_free_sized(q, most);
	}
	ck_assert_int_eq(rn_validate(NULL), 0);
}
END_TEST

/* Objects have as many bytes as without the library knew of it. */
START_TEST(without_there_are_none)
{
	struct rn_cache *c = new_cache(64, NULL);

	ck_assert_uint_eq(c->canary, 0);
	ck_assert_uint_eq(c->size, 64);
	ck_assert_uint_eq(c->usable, 64);
	ck_assert_int_eq(rn_cache_destroy(c), 0);
	ck_assert_uint_eq(rn_size(rn_alloc(64, 0)), 64);
}
END_TEST

/* A canary gives the slab's key away to nobody, nor is it another one's. */
START_TEST(canaries_differ)
{
	struct rn_cache *c;
	struct page *slab;
	u64 seen[2];
	char *p;

	set_option("RN_HARDENED");
	c = new_cache(64, NULL);
	slab = new_slab(c);
	for (int i = 0; i < 2; i++) {
		p = slab_object(c, slab, i);
		seen[i] = *(u64 *)(p + c->canary);
		ck_assert_uint_ne(seen[i], link_mark(slab, (u64 *)(p +
							   c->canary)));
		ck_assert(!canary_is_lost(c, slab, p));
	}
	ck_assert_uint_ne(seen[0], seen[1]);
	memcpy(p + c->canary, seen, sizeof(u64));
	ck_assert(canary_is_lost(c, slab, p));
	memcpy(p + c->canary, seen + 1, sizeof(u64));
	slab_put(c, slab);
	ck_assert_int_eq(rn_cache_destroy(c), 0);
}
END_TEST

/* In use or not, and nothing is ended or lost by it. */
START_TEST(validate_finds_canaries)
{
	char *p, was, *text, said[100];

	set_option("RN_HARDENED");
	p = rn_alloc(opaque(60), 0);
	ck_assert_int_eq(rn_validate(NULL), 0);
	for (size_t at = 60; at < 128; at += 17) {
		was = p[at];
		p[at] ^= 1;
		stderr_catch();
		ck_assert_int_eq(rn_validate(row_to_cache(ptr_to_row(p))), 1);
		text = stderr_caught();
		snprintf(said, sizeof(said), "object %p: written beyond its "
			 "end", (void *)p);
		ck_assert_msg(strstr(text, said), "\"%s\"", text);
		free(text);
		p[at] = was;
	}
	ck_assert_int_eq(rn_validate(NULL), 0);
	rn_free(p);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("canary");
	TCase *tc = tcase_create("canary");

	tcase_add_test(tc, canaries_keep_promises);
	tcase_add_test(tc, without_there_are_none);
	tcase_add_test(tc, canaries_differ);
	tcase_add_test(tc, validate_finds_canaries);
	tcase_set_timeout(tc, 30);
	suite_add_tcase(s, tc);
	return suite_main(s);
}

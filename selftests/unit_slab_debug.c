// SPDX-License-Identifier: MIT
/*
 * Debugged caches: how RN_SLAB_DEBUG is understood, what lies around objects,
 * and that the program goes on with RN_SLAB_DEBUG_ACTION=continue.
 */
#include "helpers.h"

#include "slab_debug.h"

#include <stdlib.h>
#include <string.h>

#define F RN_CONSISTENCY_CHECKS
#define Z RN_RED_ZONE
#define P RN_POISON
#define U RN_STORE_USER
#define T RN_TRACE

/* Before the first call of the library, in the child of each test. */
static void set_option(const char *value)
{
	setenv("RN_SLAB_DEBUG", value, 1);
	setenv("RN_SLAB_DEBUG_ACTION", "continue", 1);
	mm_init();
}

static struct rn_cache *cache(const char *name, size_t size, size_t align,
			      unsigned int flags)
{
	struct rn_cache_args args = {
		.sz = sizeof(args), .size = size, .align = align,
		.flags = flags,
	};
	struct rn_cache *c = rn_cache_create(name, &args);

	ck_assert_ptr_nonnull(c);
	return c;
}

/* The compiler knows that nobody may, and would leave it out. */
static noinline void spoil(void *p, long at)
{
	((volatile char *)p)[at] = 1;
}

/* Of what is caught: how often @what is in it. */
static int said(const char *what)
{
	char *text = stderr_caught();
	int nr = 0;

	for (char *p = text; (p = strstr(p, what)); p++)
		nr++;
	free(text);
	return nr;
}

/* --- the option --- */

static const struct {
	const char *option, *name;
	unsigned int flags;
} meanings[] = {
	{ "FZPU", "any", F | Z | P | U },
	{ "fzput", "any", F | Z | P | U | T },
	{ "", "any", F | Z | P | U },
	{ "-", "any", 0 },
	{ "Z", "any", Z },
	{ "P,this", "this", P },
	{ "P,this", "thistle", 0 },
	{ "P,this", "thi", 0 },
	{ "P,this*", "thistle", P },
	{ "P,this*", "that", 0 },
	{ "P,*", "any", P },
	{ ",this", "this", F | Z | P | U },
	{ "P,a,b,c", "b", P },
	{ "P,a;Z,b", "b", Z },
	{ "P,a;Z,a", "a", P },
	{ "P;Z", "any", Z },
	{ "P,a;Z", "any", Z },
	{ "Z;P,a", "a", P },
	{ "Z;-,a", "a", 0 },
	{ "Z;-,a", "b", Z },
	{ "FZPUT,a*;-", "b", 0 },
	{ "ZA", "any", Z | RN_FAILSLAB },
	{ "a,this", "this", RN_FAILSLAB },
};

START_TEST(option)
{
	set_option(meanings[_i].option);
	ck_assert_uint_eq(slab_debug_flags(meanings[_i].name, 0),
			  meanings[_i].flags);
	/* What a cache asks for itself it has in any case. */
	ck_assert_uint_eq(slab_debug_flags(meanings[_i].name, T | RN_NOMERGE),
			  meanings[_i].flags | T);
}
END_TEST

static const struct {
	const char *option, *said;
} nonsense[] = {
	{ "ZX", "X is none of F, Z, P, U, T, A, O and -; ignored" },
	{ "Z,", "an empty name; ignored" },
	{ "Z,a,,b", "an empty name; ignored" },
};

START_TEST(nonsense_is_said)
{
	stderr_catch();
	set_option(nonsense[_i].option);
	ck_assert_int_eq(said(nonsense[_i].said), 1);
}
END_TEST

START_TEST(too_long)
{
	char text[1100];

	memset(text, 'F', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	stderr_catch();
	set_option(text);
	ck_assert_int_eq(said("more than 1023 characters; ignored"), 1);
	ck_assert_uint_eq(slab_debug_flags("any", 0), 0);
}
END_TEST

/* With O, none that would need a larger slab for one object. */
START_TEST(avoids_order)
{
	set_option("FZPUO");
	ck_assert_uint_ne(cache("small", 100, 0, 0)->debug, 0);
	stderr_catch();
	ck_assert_uint_eq(cache("page", 4096, 0, 0)->debug, 0);
	ck_assert_int_eq(said("page is not debugged"), 1);
}
END_TEST

/* --- layout --- */

static const struct {
	size_t size, align;
} shapes[] = {
	{ 1, 0 }, { 8, 0 }, { 13, 0 }, { 60, 64 }, { 64, 0 }, { 100, 4096 },
	{ 4096, 4096 }, { 5000, 0 }, { 65536, 0 },
};

static bool all_are(const void *from, const void *to, unsigned char value)
{
	for (const unsigned char *p = from; p < (const unsigned char *)to; p++)
		if (*p != value)
			return false;
	return true;
}

START_TEST(layout)
{
	size_t size = shapes[_i].size, align = shapes[_i].align;
	struct rn_cache *c;
	char *p, *q;

	set_option("-");
	c = cache("shape", size, align, F | Z | P | U);
	p = rn_cache_alloc(c, 0);
	q = rn_cache_alloc(c, 0);
	ck_assert_uint_eq((uintptr_t)p % (align ? align : 8), 0);
	ck_assert_uint_eq((uintptr_t)q % (align ? align : 8), 0);
	ck_assert_uint_eq(rn_size(p), size);
	ck_assert_uint_eq(rn_cache_size(c), size);
	ck_assert_uint_ge(c->free_offset, size + 8);
	ck_assert(all_are(p, p + size, POISON_INUSE));
	ck_assert(all_are(p - c->red_left, p, RED_ACTIVE));
	ck_assert(all_are(p + size, p + c->free_offset, RED_ACTIVE));
	ck_assert(all_are(p + slab_debug_end(c), p - c->red_left + c->size,
			  POISON_INUSE));
	rn_cache_free(c, p);
	ck_assert(all_are(p, p + size - 1, POISON_FREE));
	ck_assert_uint_eq((unsigned char)p[size - 1], POISON_END);
	ck_assert(all_are(p - c->red_left, p, RED_INACTIVE));
	ck_assert(all_are(p + size, p + c->free_offset, RED_INACTIVE));
	ck_assert_int_eq(rn_check_object(q, size), 0);
	ck_assert_int_eq(rn_check_object(q - 1, 1), -EFAULT);
	ck_assert_int_eq(rn_check_object(q, size + 1), -EFAULT);
	rn_cache_free(c, q);
	ck_assert_int_eq(rn_validate(c), 0);
	ck_assert_int_eq(rn_cache_destroy(c), 0);
}
END_TEST

/* Each letter costs what it needs, and none of it nothing. */
START_TEST(each_letter)
{
	struct rn_cache *c;

	set_option("-");
	c = cache("plain", 64, 0, RN_NOMERGE);
	ck_assert_uint_eq(c->size, 64);
	ck_assert_uint_eq(c->debug | c->red_left, 0);
	ck_assert_uint_eq(cache("f", 64, 0, F)->size, 64 + 16);
	ck_assert_uint_eq(cache("z", 64, 0, Z)->size, 64 + 16 + 16);
	ck_assert_uint_eq(cache("p", 64, 0, P)->size, 64 + 16);
	ck_assert_uint_eq(cache("u", 64, 0, U)->size,
			  64 + 16 + 2 * sizeof(struct track));
}
END_TEST

/* --- sizes --- */

START_TEST(requested_sizes)
{
	char *p;

	set_option("FZPU");
	for (size_t size = 1; size <= 65536; size += 1 + size / 8) {
		p = rn_zalloc(opaque(size), 0);
		ck_assert_uint_eq(rn_size(p), size);
		ck_assert(all_zero(p, size));
		ck_assert_uint_eq((unsigned char)p[size], RED_ACTIVE);
		p = rn_realloc(p, size - size / 4, 0);
		ck_assert_uint_eq(rn_size(p), size - size / 4);
		rn_free_sized(p, size - size / 4);
	}
	ck_assert_int_eq(rn_validate(NULL), 0);
}
END_TEST

/* --- who goes on --- */

START_TEST(quarantine)
{
	char *p, *q;

	set_option("FZPU");
	p = rn_alloc(opaque(64), 0);
	spoil(p, 64);
	stderr_catch();
	rn_free(p);
	ck_assert_int_eq(said("FIX kmalloc-64: Restoring Right Redzone"), 1);
	ck_assert_uint_eq((unsigned char)p[64], RED_ACTIVE);
	for (int i = 0; i < 1000; i++) {
		q = rn_alloc(64, 0);
		ck_assert_ptr_ne(q, p);
	}
	stderr_catch();
	rn_free(p);
	ck_assert_int_eq(said("(Tainted): Object already free"), 1);
	ck_assert_int_eq(rn_validate(NULL), 0);
}
END_TEST

START_TEST(written_after_free)
{
	char *p;

	set_option("FZPU");
	p = rn_alloc(opaque(200), 0);
	rn_free(p);
	spoil(p, 100);
	stderr_catch();
	ck_assert_ptr_ne(rn_alloc(200, 0), p);
	ck_assert_int_eq(said("BUG kmalloc-208 (Not tainted): Poison "
			      "overwritten"), 1);
}
END_TEST

/* The link alone: what was on the list is lost, and no more. */
START_TEST(freelist_cleared)
{
	struct rn_cache *c;
	void *p[3];

	set_option("F");
	c = cache("list", 64, 0, 0);
	for (int i = 0; i < 3; i++)
		p[i] = rn_cache_alloc(c, 0);
	for (int i = 0; i < 3; i++)
		rn_cache_free(c, p[i]);
	*(u64 *)((char *)p[1] + c->free_offset) ^= 1;
	stderr_catch();
	for (int i = 0; i < 100; i++)
		ck_assert_ptr_nonnull(rn_cache_alloc(c, 0));
	ck_assert_int_eq(said("FIX list: Freelist cleared"), 1);
}
END_TEST

START_TEST(validate)
{
	struct rn_cache *c, *other;
	char *p, *q;

	set_option("-");
	c = cache("checked", 64, 0, Z | P);
	other = cache("other", 64, 0, Z | P);
	p = rn_cache_alloc(c, 0);
	q = rn_cache_alloc(c, 0);
	rn_cache_free(c, q);
	ck_assert_int_eq(rn_validate(NULL), 0);
	spoil(p, -1);
	spoil(q, 3);
	ck_assert_int_eq(rn_validate(other), 0);
	stderr_catch();
	ck_assert_int_eq(rn_validate(c), 2);
	ck_assert_int_eq(said("FIX checked: Restoring "), 2);
	/* Both are known now. */
	ck_assert_int_eq(rn_validate(NULL), 0);
	ck_assert_ptr_ne(rn_cache_alloc(c, 0), q);
}
END_TEST

START_TEST(dump)
{
	struct rn_cache *c;
	char *p;

	set_option("-");
	c = cache("dumped", 64, 0, U);
	p = rn_cache_alloc(c, 0);
	stderr_catch();
	ck_assert_int_eq(rn_dump_obj(p + 5), 0);
	ck_assert_int_eq(said("pointer offset 5 size 64, in use"), 1);
	rn_cache_free(c, p);
	stderr_catch();
	ck_assert_int_eq(rn_dump_obj(p), 0);
	ck_assert_int_eq(said("\nFreed in "), 1);
	stderr_catch();
	ck_assert_int_eq(rn_dump_obj(&c), -ENOENT);
	ck_assert_int_eq(said("not memory of this library"), 1);
}
END_TEST

START_TEST(objects_left)
{
	struct rn_cache *c;
	void *p, *q;

	set_option("-");
	c = cache("left", 64, 0, U | Z);
	p = rn_cache_alloc(c, 0);
	q = rn_cache_alloc(c, 0);
	stderr_catch();
	ck_assert_int_eq(rn_cache_destroy(c), -EBUSY);
	ck_assert_int_eq(said("Allocated in "), 2);
	/* One in quarantine does not keep it. */
	spoil(q, 64);
	stderr_catch();
	rn_cache_free(c, p);
	rn_cache_free(c, q);
	ck_assert_int_eq(rn_cache_destroy(c), 0);
	ck_assert_int_eq(said("BUG left"), 1);
}
END_TEST

START_TEST(traced)
{
	void *p;

	set_option("T,kmalloc-48");
	stderr_catch();
	p = rn_alloc(44, 0);
	rn_free(p);
	rn_free(rn_alloc(64, 0));
	ck_assert_int_eq(said("TRACE kmalloc-48 "), 2);
}
END_TEST

static int constructed;

static void construct(void *object)
{
	*(int *)object = 42;
	constructed++;
}

/* Once for each object, which keeps what it has. */
START_TEST(constructor)
{
	struct rn_cache_args args = {
		.sz = sizeof(args), .size = 64, .ctor = construct,
		.flags = F | Z | P | U,
	};
	struct rn_cache *c;
	int *p;

	set_option("-");
	c = rn_cache_create("made", &args);
	p = rn_cache_alloc(c, 0);
	ck_assert_int_eq(*p, 42);
	*p = 43;
	rn_cache_free(c, p);
	ck_assert_ptr_eq(rn_cache_alloc(c, 0), p);
	ck_assert_int_eq(*p, 43);
	ck_assert_int_eq(constructed, 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("slab_debug");
	TCase *tc = tcase_create("option");

	tcase_add_loop_test(tc, option, 0, ARRAY_LEN(meanings));
	tcase_add_loop_test(tc, nonsense_is_said, 0, ARRAY_LEN(nonsense));
	tcase_add_test(tc, too_long);
	tcase_add_test(tc, avoids_order);
	suite_add_tcase(s, tc);
	tc = tcase_create("objects");
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, layout, 0, ARRAY_LEN(shapes));
	tcase_add_test(tc, each_letter);
	tcase_add_test(tc, requested_sizes);
	tcase_add_test(tc, quarantine);
	tcase_add_test(tc, written_after_free);
	tcase_add_test(tc, freelist_cleared);
	tcase_add_test(tc, validate);
	tcase_add_test(tc, dump);
	tcase_add_test(tc, objects_left);
	tcase_add_test(tc, traced);
	tcase_add_test(tc, constructor);
	suite_add_tcase(s, tc);
	return suite_main(s);
}

// SPDX-License-Identifier: MIT
/*
 * Debugged caches: how RN_SLAB_DEBUG is understood, what lies around objects,
 * and that these can be had. unit_slab_faults.c has what is found.
 */
#include "unit_slab_debug.h"

/* --- the option --- */

static const struct {
	const char *option, *name;
	unsigned int flags;
} meanings[] = {
	{ "FZPU", "any", F | Z | P | U },
	{ "fzput", "any", F | Z | P | U | T },
	{ "", "any", F | Z | P | U },
	{ "-", "any", 0 },
	{ "FZ-", "any", 0 },
	{ "FZ-PU", "any", P | U },
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
	/* As slabinfo has it. */
	{ "P,node;-", "struct node", P },
	{ "P,a_b;-", "a b", P },
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

/*
 * While much is free no empty slab is kept: a new one has an object out before
 * anybody looks.
 */
START_TEST(new_slab_while_much_is_free)
{
	enum { MANY = 5000 };
	static void *p[MANY];
	struct rn_cache *c, *other;

	set_option("-");
	c = cache("sparse", 4000, 0, P);
	other = cache("other", 64, 0, P);
	for (int i = 0; i < MANY; i++)
		p[i] = rn_cache_alloc(c, 0);
	/* Two in three objects of a slab, whose pages nobody else can use. */
	for (int i = 0; i < MANY; i++)
		if (i % 3)
			rn_cache_free(c, p[i]);
	ck_assert(slabs_are_wasteful());
	ck_assert_ptr_nonnull(rn_cache_alloc(other, 0));
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
	tcase_add_test(tc, traced);
	tcase_add_test(tc, new_slab_while_much_is_free);
	tcase_add_test(tc, constructor);
	suite_add_tcase(s, tc);
	return suite_main(s);
}

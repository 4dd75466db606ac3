// SPDX-License-Identifier: MIT
/*
 * libslabmalloc's functions by their contracts, in a program that is linked
 * with the .so, with the .a, and with the .a and all else statically.
 */
#include "helpers.h"

#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MiB	((size_t)1 << 20)

/* Of C23 and of the past: no header has them. */
void free_sized(void *p, size_t size);
void free_aligned_sized(void *p, size_t align, size_t size);
void cfree(void *p);

/* --- whose functions they are --- */

static const struct {
	const char *name;
	void *function;
} replaced[] = {
	{ "aligned_alloc", (void *)aligned_alloc },
	{ "calloc", (void *)calloc },
	{ "free", (void *)free },
	{ "mallinfo", (void *)mallinfo },
	{ "mallinfo2", (void *)mallinfo2 },
	{ "malloc", (void *)malloc },
	{ "malloc_info", (void *)malloc_info },
	{ "malloc_stats", (void *)malloc_stats },
	{ "malloc_trim", (void *)malloc_trim },
	{ "malloc_usable_size", (void *)malloc_usable_size },
	{ "mallopt", (void *)mallopt },
	{ "memalign", (void *)memalign },
	{ "posix_memalign", (void *)posix_memalign },
	{ "pvalloc", (void *)pvalloc },
	{ "realloc", (void *)realloc },
	{ "reallocarray", (void *)reallocarray },
	{ "valloc", (void *)valloc },
};

static const void *object_with(void *function)
{
	Dl_info info;

	return dladdr(function, &info) ? info.dli_fbase : NULL;
}

/* What the C library calls is what this program calls. */
START_TEST(all_are_replaced)
{
	const void *libc = object_with((void *)getpid);
	const void *ours = object_with((void *)malloc);

	if (!libc || libc == ours) {
		skip_part("all_are_replaced", "one object holds everything");
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(replaced); i++) {
		const char *name = replaced[i].name;

		ck_assert_msg(object_with(replaced[i].function) == ours, "%s",
			      name);
		ck_assert_msg(dlsym(RTLD_DEFAULT, name) ==
			      replaced[i].function, "%s", name);
	}
}
END_TEST

static char *info_text(void)
{
	size_t len;
	char *text;
	FILE *f = open_memstream(&text, &len);

	ck_assert_int_eq(malloc_info(0, f), 0);
	ck_assert_int_eq(fclose(f), 0);
	return text;
}

START_TEST(info_names_the_library)
{
	static const char end[] = "</malloc>\n";
	void *p = malloc(100);
	char *text = info_text();

	ck_assert_ptr_nonnull(p);
	ck_assert_ptr_eq(strstr(text, "<malloc version=\"libslab-"), text);
	ck_assert_ptr_nonnull(strstr(text, "bytes=\"112\""));
	ck_assert_str_eq(text + strlen(text) - strlen(end), end);
	free(text);
	free(p);
}
END_TEST

START_TEST(info_refuses)
{
	FILE *full = fopen("/dev/full", "w");

	errno = 0;
	ck_assert_int_eq(malloc_info(1, stdout), -1);
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_ptr_nonnull(full);
	setvbuf(full, NULL, _IONBF, 0);
	ck_assert_int_eq(malloc_info(0, full), -1);
	fclose(full);
}
END_TEST

/* The least object of ours is smaller than any of the C library's. */
START_TEST(library_functions_allocate_here)
{
	size_t least = malloc_usable_size(malloc(1));
	char *printed = NULL;

	ck_assert_uint_eq(least, all_hardened() ? 1 : 8);
	least = malloc_usable_size(malloc(8));
	ck_assert_uint_eq(malloc_usable_size(strdup("1234567")), least);
	ck_assert_uint_eq(malloc_usable_size(strndup("123456789", 7)), least);
	ck_assert_int_eq(asprintf(&printed, "%d", 1234567), 7);
	ck_assert_uint_eq(malloc_usable_size(printed), least);
	free(printed);
}
END_TEST

/* --- one function after the other, by the same questions --- */

static void *by_calloc(size_t size)
{
	return calloc(1, size);
}

static void *by_calloc_other(size_t size)
{
	return calloc(size, 1);
}

static void *by_realloc(size_t size)
{
	return realloc(NULL, size);
}

static void *by_reallocarray(size_t size)
{
	return reallocarray(NULL, size, 1);
}

static void *by_aligned_alloc(size_t size)
{
	return aligned_alloc(64, size);
}

static void *by_memalign(size_t size)
{
	return memalign(32, size);
}

/* Its errors are what it returns; errno is not touched. */
static void *by_posix_memalign(size_t size)
{
	void *untouched = (void *)&errno, *p = untouched;
	int saved = errno, ret = posix_memalign(&p, 16, size);

	ck_assert_int_eq(errno, saved);
	if (!ret)
		return p;
	ck_assert_ptr_eq(p, untouched);
	errno = ret;
	return NULL;
}

static void *(*const ways[])(size_t size) = {
	malloc, by_calloc, by_calloc_other, by_realloc, by_reallocarray,
	by_aligned_alloc, by_memalign, by_posix_memalign, valloc, pvalloc,
};

static int by_address(const void *a, const void *b)
{
	uintptr_t x = *(const uintptr_t *)a, y = *(const uintptr_t *)b;

	return x < y ? -1 : x > y;
}

START_TEST(size_0_gives_objects)
{
	enum { EACH = 50, N = EACH * ARRAY_LEN(ways) };
	void *p[N];

	for (size_t i = 0; i < N; i++) {
		p[i] = ways[i / EACH](opaque(0));
		ck_assert_ptr_nonnull(p[i]);
	}
	qsort(p, N, sizeof(*p), by_address);
	for (size_t i = 1; i < N; i++)
		ck_assert_ptr_ne(p[i - 1], p[i]);
	for (size_t i = 0; i < N; i++)
		free(p[i]);
}
END_TEST

START_TEST(impossible_sizes)
{
	static const size_t bad[] = {
		SIZE_MAX, SIZE_MAX - 4095, (size_t)PTRDIFF_MAX + 1,
		PTRDIFF_MAX, PTRDIFF_MAX - 4096, (size_t)1 << 62,
		(size_t)1 << 47,
	};
	char *p = malloc(100);

	pattern_set(p, 100, 1);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		for (size_t w = 0; w < ARRAY_LEN(ways); w++) {
			errno = 0;
			ck_assert_ptr_null(ways[w](opaque(bad[i])));
			ck_assert_int_eq(errno, ENOMEM);
		}
		errno = 0;
		ck_assert_ptr_null(realloc(p, opaque(bad[i])));
		ck_assert_int_eq(errno, ENOMEM);
	}
	ck_assert(pattern_ok(p, 100, 1));
	free(p);
}
END_TEST

START_TEST(products_that_overflow)
{
	size_t half = opaque(SIZE_MAX / 2 + 1), root = opaque(0x100000001);
	char *p = malloc(100);

	pattern_set(p, 100, 2);
	for (int i = 0; i < 2; i++) {
		size_t a = i ? half : root, b = i ? 2 : root;

		errno = 0;
		ck_assert_ptr_null(calloc(a, b));
		ck_assert_int_eq(errno, ENOMEM);
		errno = 0;
		ck_assert_ptr_null(reallocarray(p, a, b));
		ck_assert_int_eq(errno, ENOMEM);
	}
	ck_assert(pattern_ok(p, 100, 2));
	p = reallocarray(p, 3, 1000);
	ck_assert_uint_ge(malloc_usable_size(p), 3000);
	free(p);
}
END_TEST

/* Each is written to its end while 63 others are there. */
START_TEST(every_size)
{
	enum { WINDOW = 64 };
	char *p[WINDOW] = { NULL };
	size_t usable[WINDOW] = { 0 };

	for (size_t size = 0; size <= 70000; size++) {
		size_t k = size % WINDOW;

		if (p[k])
			ck_assert(pattern_ok(p[k], usable[k], k));
		free(p[k]);
		p[k] = ways[size % 5](size);
		ck_assert_ptr_nonnull(p[k]);
		ck_assert_uint_eq((uintptr_t)p[k] % (size < 16 ? 8 : 16), 0);
		usable[k] = malloc_usable_size(p[k]);
		ck_assert_uint_ge(usable[k], size);
		if (size % 5 == 1 || size % 5 == 2)
			ck_assert(all_zero(p[k], size));
		/* To the end always; all of the large ones now and then. */
		if (usable[k] > 4096 && size % 7)
			usable[k] = size;
		if (usable[k] > 4096 && size % 31)
			usable[k] = 64;
		p[k][malloc_usable_size(p[k]) - 1] = 1;
		pattern_set(p[k], usable[k], k);
	}
	for (size_t k = 0; k < WINDOW; k++)
		free(p[k]);
}
END_TEST

START_TEST(large_sizes)
{
	static const size_t some[] = {
		100000, 131072, 131073, MiB, 2 * MiB - 1, 2 * MiB, 2 * MiB + 1,
		5 * MiB, 33 * MiB, 64 * MiB, 100 * MiB + 5, 256 * MiB,
	};
	char *p[ARRAY_LEN(some)];

	for (size_t i = 0; i < ARRAY_LEN(some); i++) {
		size_t usable;

		p[i] = malloc(some[i]);
		ck_assert_ptr_nonnull(p[i]);
		usable = malloc_usable_size(p[i]);
		ck_assert_uint_ge(usable, some[i]);
		pattern_set(p[i], 5000, i);
		pattern_set(p[i] + usable - 5000, 5000, i);
	}
	for (size_t i = 0; i < ARRAY_LEN(some); i++) {
		size_t usable = malloc_usable_size(p[i]);

		ck_assert(pattern_ok(p[i], 5000, i));
		ck_assert(pattern_ok(p[i] + usable - 5000, 5000, i));
		free(p[i]);
	}
}
END_TEST

/* --- alignment --- */

static void *on_boundary(int way, size_t align, size_t size)
{
	void *p = NULL;

	switch (way) {
	case 0:
		return aligned_alloc(align, size);
	case 1:
		return memalign(align, size);
	default:
		if (align < sizeof(void *))
			align = sizeof(void *);
		ck_assert_int_eq(posix_memalign(&p, align, size), 0);
		return p;
	}
}

START_TEST(alignments)
{
	static const size_t some[] = {
		0, 1, 8, 24, 40, 100, 1000, 4096, 4097, 30000, 70000, MiB,
		2 * MiB + 1,
	};
	enum { N = 3 * ARRAY_LEN(some) };

	for (size_t align = 1; align <= 16 * MiB; align *= 2) {
		char *p[N];

		for (size_t i = 0; i < N; i++) {
			size_t usable;

			p[i] = on_boundary(i % 3, align, some[i / 3]);
			ck_assert_ptr_nonnull(p[i]);
			ck_assert_uint_eq((uintptr_t)p[i] % align, 0);
			usable = malloc_usable_size(p[i]);
			ck_assert_uint_ge(usable, some[i / 3]);
			pattern_set(p[i], some[i / 3], i);
			p[i][usable - 1] = p[i][usable - 1];
		}
		for (size_t i = 0; i < N; i++) {
			size_t size = some[i / 3];

			ck_assert(pattern_ok(p[i], size, i));
			if (i % 2)
				free_aligned_sized(p[i], align, size);
			else
				free(p[i]);
		}
	}
}
END_TEST

START_TEST(bad_alignments)
{
	static const size_t bad[] = { 0, 3, 12, 24, 4097, SIZE_MAX };
	void *untouched = (void *)bad, *p = untouched;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		size_t align = opaque(bad[i]);

		errno = 0;
		ck_assert_ptr_null(aligned_alloc(align, 64));
		ck_assert_int_eq(errno, EINVAL);
		errno = 0;
		ck_assert_int_eq(posix_memalign(&p, align, 64), EINVAL);
		ck_assert_int_eq(errno, 0);
	}
	/* Powers of two, but no multiples of a pointer's size. */
	for (size_t align = 1; align < sizeof(void *); align *= 2)
		ck_assert_int_eq(posix_memalign(&p, align, 64), EINVAL);
	ck_assert_ptr_eq(p, untouched);
	/* memalign() rounds up. */
	p = memalign(opaque(4097), 64);
	ck_assert_uint_eq((uintptr_t)p % 8192, 0);
	free(p);
	p = memalign(opaque(0), 64);
	ck_assert_ptr_nonnull(p);
	free(p);
	errno = 0;
	ck_assert_ptr_null(memalign(opaque(SIZE_MAX), 64));
	ck_assert_int_eq(errno, EINVAL);
	/* A boundary that the address space has, but no memory. */
	errno = 0;
	ck_assert_ptr_null(aligned_alloc(opaque((size_t)1 << 47), 64));
	ck_assert_int_eq(errno, ENOMEM);
}
END_TEST

START_TEST(pages)
{
	size_t page = sysconf(_SC_PAGESIZE);

	for (size_t size = 1; size < 5 * page; size += 777) {
		char *v = valloc(size), *w = pvalloc(size);
		size_t whole = (size + page - 1) / page * page;

		ck_assert_uint_eq((uintptr_t)v % page, 0);
		ck_assert_uint_eq((uintptr_t)w % page, 0);
		ck_assert_uint_ge(malloc_usable_size(w), whole);
		memset(v, 1, size);
		memset(w, 2, whole);
		ck_assert_int_eq(v[size - 1], 1);
		free(v);
		free(w);
	}
}
END_TEST

/* --- freeing --- */

static void (*const frees[])(void *p) = { free, cfree };

START_TEST(errno_survives_free)
{
	static const size_t some[] = {
		0, 8, 100, 1000, 10000, 70000, MiB, 3 * MiB, 100 * MiB,
	};

	for (size_t i = 0; i < ARRAY_LEN(some); i++) {
		size_t n = some[i] > 10000 ? 8 : 3000;
		void *p[3000];

		for (size_t k = 0; k < n; k++) {
			p[k] = malloc(some[i]);
			ck_assert_ptr_nonnull(p[k]);
		}
		errno = 4711;
		for (size_t k = 0; k < n; k++) {
			if (k % 3 == 2)
				free_sized(p[k], some[i]);
			else
				frees[k % 3](p[k]);
			ck_assert_int_eq(errno, 4711);
		}
	}
}
END_TEST

START_TEST(null_is_nothing)
{
	errno = 4711;
	free(NULL);
	cfree(NULL);
	free_sized(NULL, 100);
	free_aligned_sized(NULL, 64, 100);
	ck_assert_uint_eq(malloc_usable_size(NULL), 0);
	ck_assert_int_eq(errno, 4711);
	/* As the GNU C library: it frees, and there is no object. */
	ck_assert_ptr_null(realloc(malloc(100), opaque(0)));
}
END_TEST

static TCase *add_case(Suite *s, const char *name)
{
	TCase *c = tcase_create(name);

	tcase_set_timeout(c, 60);
	suite_add_tcase(s, c);
	return c;
}

static Suite *malloc_suite(void)
{
	Suite *s = suite_create("malloc");
	TCase *whose = add_case(s, "whose"), *sizes = add_case(s, "sizes");
	TCase *freeing = add_case(s, "freeing");

	tcase_add_test(whose, all_are_replaced);
	tcase_add_test(whose, info_names_the_library);
	tcase_add_test(whose, info_refuses);
	tcase_add_test(whose, library_functions_allocate_here);
	tcase_add_test(sizes, size_0_gives_objects);
	tcase_add_test(sizes, impossible_sizes);
	tcase_add_test(sizes, products_that_overflow);
	tcase_add_test(sizes, every_size);
	tcase_add_test(sizes, large_sizes);
	tcase_add_test(sizes, alignments);
	tcase_add_test(sizes, bad_alignments);
	tcase_add_test(sizes, pages);
	tcase_add_test(freeing, errno_survives_free);
	tcase_add_test(freeing, null_is_nothing);
	return s;
}

int main(void)
{
	if (emulator()) {
		puts("an emulator is slow, and has mappings of its own");
		return 77;
	}
	return suite_main(malloc_suite());
}

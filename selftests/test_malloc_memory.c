// SPDX-License-Identifier: MIT
/*
 * The memory behind libslabmalloc's functions: what it holds, and what the
 * library says of it. Linked three ways, as test_malloc.c.
 */
#include "helpers.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MiB	((size_t)1 << 20)

/* --- contents --- */

/* One byte below, at and above the end of each class, and some beyond. */
static size_t borders(size_t *sizes, size_t most)
{
	size_t n = 0;

	for (size_t size = 1; size < 5 * MiB && n + 3 <= most; ) {
		void *p = malloc(size);
		size_t usable = malloc_usable_size(p);

		free(p);
		/* Which is what was asked for: near the end of its class. */
		if (all_hardened())
			usable = (size + size / 16) | 7;
		sizes[n++] = usable - 1;
		sizes[n++] = usable;
		sizes[n++] = usable + 1;
		size = usable < 64 * 1024 ? usable + 1 : usable * 3;
	}
	return n;
}

START_TEST(realloc_over_all_borders)
{
	size_t sizes[512], n = borders(sizes, ARRAY_LEN(sizes));
	uint64_t random = 88172645463325252;

	ck_assert_uint_gt(n, 60);
	for (size_t i = 0; i < n; i++) {
		for (int k = 0; k < 8; k++) {
			size_t from = sizes[i];
			size_t to = k ? sizes[xorshift(&random) % n]
				      : sizes[i + 1 < n ? i + 1 : 0];
			size_t kept = from < to ? from : to;
			char *p = malloc(from);

			mark_bytes(p, 0, from);
			p = realloc(p, to);
			ck_assert_ptr_nonnull(p);
			ck_assert(bytes_marked(p, kept));
			mark_bytes(p, kept, to);
			p = realloc(p, from);
			ck_assert(bytes_marked(p, kept));
			free(p);
		}
	}
}
END_TEST

START_TEST(realloc_grows_and_shrinks)
{
	size_t have = 1;
	char *p = malloc(have);

	mark_bytes(p, 0, have);
	for (size_t size = 1; size < 20 * MiB; size += size / 3 + 1) {
		p = realloc(p, size);
		ck_assert_ptr_nonnull(p);
		ck_assert(bytes_marked(p, have));
		mark_bytes(p, have, size);
		have = size;
	}
	for (size_t size = have; size; size -= size / 3 + 1) {
		p = realloc(p, size);
		ck_assert(bytes_marked(p, size));
	}
	free(p);
}
END_TEST

START_TEST(calloc_after_dirty_memory)
{
	for (size_t size = 1; size < 70 * MiB; size = size * 5 / 4 + 1) {
		size_t n = size > MiB ? 1 : 40;
		char *p[40];

		for (size_t i = 0; i < n; i++) {
			p[i] = malloc(size);
			memset(p[i], 0xa5, malloc_usable_size(p[i]));
		}
		for (size_t i = 0; i < n; i++)
			free(p[i]);
		for (size_t i = 0; i < n; i++) {
			p[i] = i % 2 ? calloc(size, 1) : calloc(1, size);
			ck_assert_ptr_nonnull(p[i]);
			ck_assert(all_zero(p[i], size));
		}
		for (size_t i = 0; i < n; i++)
			free(p[i]);
	}
}
END_TEST

static size_t resident(void *p, size_t size)
{
	size_t page = sysconf(_SC_PAGESIZE), n = 0;
	uintptr_t start = (uintptr_t)p & -page;
	static unsigned char in[64 * MiB / 4096 + 1];
	size_t pages = ((uintptr_t)p + size - start + page - 1) / page;

	ck_assert_uint_le(pages, sizeof(in));
	ck_assert_int_eq(mincore((void *)start, pages * page, in), 0);
	for (size_t i = 0; i < pages; i++)
		n += in[i] & 1;
	return n * page;
}

START_TEST(calloc_touches_no_fresh_pages)
{
	size_t size = 64 * MiB;
	long before, after;
	char *p;

	free(malloc(1));
	before = status_value("VmRSS");
	p = calloc(1, size);
	after = status_value("VmRSS");
	ck_assert_ptr_nonnull(p);
	ck_assert_int_gt(before, 0);
	ck_assert_int_lt(after - before, 4096);
	ck_assert_uint_le(resident(p, size), 4 * MiB);
	for (size_t i = 0; i < size; i += 12345)
		ck_assert_int_eq(p[i], 0);
	free(p);
}
END_TEST

/* --- figures --- */

static void sums_agree(struct mallinfo2 info)
{
	ck_assert_uint_eq(info.arena + info.hblkhd,
			  info.uordblks + info.fordblks);
	ck_assert_uint_le(info.keepcost, info.fordblks);
}

START_TEST(mallinfo_small)
{
	/* It fills its class. */
	const size_t SIZE = all_hardened() ? 104 : 112;
	enum { N = 100000 };
	void **p = calloc(N, sizeof(*p));
	struct mallinfo2 before = mallinfo2(), with, after;
	size_t live = (size_t)N * SIZE, more;

	for (int i = 0; i < N; i++)
		p[i] = malloc(SIZE);
	with = mallinfo2();
	for (int i = 0; i < N; i++)
		free(p[i]);
	after = mallinfo2();
	sums_agree(before);
	sums_agree(with);
	sums_agree(after);
	more = with.uordblks - before.uordblks;
	/* Objects on hand for this CPU may count as in use, or not. */
	ck_assert_uint_ge(more, live - live / 20);
	ck_assert_uint_le(more, live + live / 10);
	ck_assert_uint_ge(with.arena - before.arena, live - MiB);
	ck_assert_uint_lt(after.uordblks, before.uordblks + live / 10);
	free(p);
}
END_TEST

/* Of slabs that are shorter than their alignment, the rest is not theirs. */
START_TEST(mallinfo_beside_slabs)
{
	enum { N = 300, SIZE = 57000, BLOCKS = 8 };
	void *small[N], *large[BLOCKS];
	struct mallinfo2 with;
	size_t before;

	for (int i = 0; i < N; i++)
		small[i] = malloc(SIZE);
	before = mallinfo2().hblkhd;
	for (int i = 0; i < BLOCKS; i++)
		large[i] = malloc(MiB);
	with = mallinfo2();
	sums_agree(with);
	ck_assert_uint_eq(with.hblkhd - before, BLOCKS * MiB);
	ck_assert_uint_ge(with.arena, (size_t)N * SIZE);
	for (int i = 0; i < BLOCKS; i++)
		free(large[i]);
	for (int i = 0; i < N; i++)
		free(small[i]);
}
END_TEST

START_TEST(mallinfo_large)
{
	struct mallinfo2 before, with, after;
	size_t live = 40 * MiB;
	struct mallinfo narrow;
	void *p;

	free(malloc(1));
	before = mallinfo2();
	p = malloc(live);
	ck_assert_ptr_nonnull(p);
	with = mallinfo2();
	narrow = mallinfo();
	free(p);
	after = mallinfo2();
	sums_agree(with);
	ck_assert_uint_ge(with.hblkhd - before.hblkhd, live);
	ck_assert_uint_le(with.hblkhd - before.hblkhd, live + 4 * MiB);
	ck_assert_uint_ge(with.uordblks - before.uordblks, live);
	ck_assert_uint_le(after.hblkhd, before.hblkhd + 4 * MiB);
	ck_assert_int_eq(narrow.hblkhd, (int)with.hblkhd);
	ck_assert_int_eq(narrow.arena, (int)with.arena);
	ck_assert_int_eq(narrow.uordblks, (int)with.uordblks);
}
END_TEST

/* What went back already cannot go again. */
START_TEST(nothing_is_left_to_trim)
{
	enum { N = 64, SIZE = 512 * 1024 };
	char *p[N];

	for (int i = 0; i < N; i++)
		p[i] = memset(malloc(SIZE), 1, SIZE);
	/* One in each pageblock stays. */
	for (int i = 0; i < N; i++)
		if (i % 4)
			free(p[i]);
	ck_assert_uint_gt(mallinfo2().keepcost, MiB);
	malloc_trim(0);
	sums_agree(mallinfo2());
	if (sysconf(_SC_PAGESIZE) == 4096)
		ck_assert_uint_lt(mallinfo2().keepcost, MiB);
	for (int i = 0; i < N; i += 4)
		free(p[i]);
}
END_TEST

START_TEST(trim_gives_back)
{
	enum { N = 64 * 1024 };
	void **p = malloc(N * sizeof(*p));
	long with, after;

	for (int i = 0; i < N; i++) {
		p[i] = malloc(1024);
		memset(p[i], 1, 1024);
	}
	with = status_value("VmRSS");
	for (int i = 0; i < N; i++)
		free(p[i]);
	ck_assert_int_eq(malloc_trim(0), 1);
	after = status_value("VmRSS");
	ck_assert_int_lt(after, with - 48 * 1024);
	free(p);
	/* There is an end to it. */
	while (malloc_trim(0))
		;
}
END_TEST

START_TEST(stats_are_written)
{
	void *p = malloc(100);
	char *text;

	stderr_catch();
	malloc_stats();
	text = stderr_caught();
	ck_assert_ptr_nonnull(strstr(text, "slabinfo - version: 2.1\n"));
	ck_assert_int_gt(number_after(text, "meta_bytes"), 0);
	free(text);
	free(p);
}
END_TEST

START_TEST(nothing_to_tune)
{
	ck_assert_int_eq(mallopt(M_MMAP_THRESHOLD, 1 << 20), 0);
	ck_assert_int_eq(mallopt(M_ARENA_MAX, 1), 0);
}
END_TEST

int main(void)
{
	TCase *contents, *figures;
	Suite *s;

	if (emulator()) {
		puts("an emulator is slow, and has mappings of its own");
		return 77;
	}
	s = suite_create("malloc memory");
	contents = tcase_create("contents");
	figures = tcase_create("figures");
	tcase_add_test(contents, realloc_over_all_borders);
	tcase_add_test(contents, realloc_grows_and_shrinks);
	tcase_add_test(contents, calloc_after_dirty_memory);
	tcase_add_test(contents, calloc_touches_no_fresh_pages);
	tcase_add_test(figures, mallinfo_small);
	tcase_add_test(figures, mallinfo_large);
	tcase_add_test(figures, mallinfo_beside_slabs);
	tcase_add_test(figures, nothing_is_left_to_trim);
	tcase_add_test(figures, trim_gives_back);
	tcase_add_test(figures, stats_are_written);
	tcase_add_test(figures, nothing_to_tune);
	tcase_set_timeout(contents, 60);
	tcase_set_timeout(figures, 60);
	suite_add_tcase(s, contents);
	suite_add_tcase(s, figures);
	return suite_main(s);
}

// SPDX-License-Identifier: MIT
/*
 * What core files are to lack ("dd" in smaps): what is only reserved, all of
 * that, and nothing that can be written to. gdb goes by it, see test_gdb.sh.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "helpers.h"
#include "zone_census.h"

#include "slab.h"

#include <rn/reclaim.h>

/* A mapping of smaps. */
struct mapping {
	uintptr_t start, end;
	bool writable, lacking;
};

/* What has been seen of the range [@start, @end). */
struct range {
	uintptr_t start, end;
	size_t dumped, lacking;
};

static void look(struct range *r, const struct mapping *m)
{
	uintptr_t start = max(m->start, r->start), end = min(m->end, r->end);

	if (start >= end)
		return;
	ck_assert_msg(m->writable != m->lacking, "%lx-%lx: %s", m->start,
		      m->end, m->lacking ? "is not in core files" : "is");
	*(m->lacking ? &r->lacking : &r->dumped) += end - start;
}

static void look_at(struct range *r)
{
	FILE *f = fopen("/proc/self/smaps", "r");
	struct mapping m = { 0 };
	unsigned long start, end;
	char line[4096], mode[5];

	ck_assert_ptr_nonnull(f);
	r->dumped = r->lacking = 0;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx %4s", &start, &end, mode) == 3) {
			m.start = start;
			m.end = end;
			m.writable = mode[1] == 'w';
		} else if (!strncmp(line, "VmFlags:", 8)) {
			m.lacking = strstr(line, " dd ");
			look(r, &m);
		}
	}
	fclose(f);
	ck_assert_uint_eq(r->dumped + r->lacking, r->end - r->start);
}

/* Pages in core files, of the reservation. */
static size_t dumped_pages(void)
{
	struct range r = { .start = mem.base, .end = mem.base + mem.bytes };

	look_at(&r);
	return r.dumped >> PAGE_SHIFT;
}

/* Bytes in core files, of all tables. */
static size_t dumped_tables(void)
{
	size_t blocks = mem.bytes >> PAGEBLOCK_SHIFT;
	size_t sheaves = min(max(mem.bytes >> 4, 1UL << 20), 1UL << 38);
	struct range tables[] = {
		{ .start = (uintptr_t)mem.vmemmap,
		  .end = (uintptr_t)(mem.blocks + blocks) },
		{ .start = (uintptr_t)sheaf_base,
		  .end = (uintptr_t)sheaf_base + sheaves },
		{ .start = (uintptr_t)slot_of(0, 0),
		  .end = (uintptr_t)slot_of(0, percpu_indices()) },
	};
	size_t bytes = 0;

	for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
		look_at(&tables[i]);
		bytes += tables[i].dumped;
	}
	return bytes;
}

static void *touched(size_t bytes)
{
	void *p = rn_alloc(bytes, 0);

	ck_assert_ptr_nonnull(p);
	memset(p, 1, bytes);
	return p;
}

static const char *const ladders[] = { "small", "thp,small", "hugetlb,small" };

/* With the heap, of small objects and long runs, and down again with it. */
START_TEST(with_the_heap)
{
	enum { MANY = 100000, RUNS = 20 };
	static void *p[MANY], *runs[RUNS];
	size_t peak;

	start(ladders[_i]);
	for (int i = 0; i < MANY; i++)
		p[i] = touched(500);
	for (int i = 0; i < RUNS; i++)
		runs[i] = touched((5UL << 20) + i * 100000);
	peak = dumped_pages();
	ck_assert_uint_ge(peak, (MANY * 500UL + RUNS * (5UL << 20)) >>
			  PAGE_SHIFT);
	ck_assert_uint_le(dumped_tables(), 16 * MIB);
	for (int i = 0; i < RUNS; i++)
		rn_free(runs[i]);
	dumped_pages();
	rn_shrink_all();
	ck_assert_uint_lt(dumped_pages(), peak / 2);
	runs[0] = touched(64UL << 20);
	ck_assert_ptr_nonnull(runs[0] = rn_realloc(runs[0], 200UL << 20, 0));
	ck_assert_uint_ge(dumped_pages(), 200 * MIB >> PAGE_SHIFT);
	for (int i = 0; i < MANY; i++)
		rn_free(p[i]);
	rn_free(runs[0]);
	rn_shrink_all();
	ck_assert_uint_lt(dumped_pages(), peak / 4);
	dumped_tables();
}
END_TEST

/* Blocks that are opened in their place. */
START_TEST(small_heap)
{
	void *p;

	options.small_first = 8 * MIB;
	start("small");
	p = touched(500);
	ck_assert_uint_eq(dumped_pages(), PAGEBLOCK_PAGES);
	dumped_tables();
	rn_free(p);
}
END_TEST

START_TEST(reserve)
{
	start("small");
	ck_assert_int_eq(rn_reserve(100 * MIB, RN_NO_NODE, 0), 0);
	rn_free(touched(500));
	ck_assert_uint_ge(dumped_pages(), 100 * MIB >> PAGE_SHIFT);
	dumped_tables();
}
END_TEST

START_TEST(child)
{
	void *p;
	int status;
	pid_t pid;

	start("small");
	p = touched(500);
	pid = fork();
	if (!pid) {
		rn_free(p);
		touched(10 * MIB);
		_exit(dumped_pages() < 10 * MIB >> PAGE_SHIFT);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("coredump");
	TCase *t = tcase_create("coredump");

	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, with_the_heap, 0, ARRAY_LEN(ladders));
	tcase_add_test(t, small_heap);
	tcase_add_test(t, reserve);
	tcase_add_test(t, child);
	suite_add_tcase(s, t);
	return suite_main(s);
}

// SPDX-License-Identifier: MIT
/*
 * As many mappings as the kernel allows: memory cannot be moved into the
 * reservation, but no address of it is lost for that.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "helpers.h"
#include "syscalls.h"
#include "zone_census.h"

/* From none left up to more than a move may need. */
#define SPARE	16

static char *pages;
static long nr_split;

static long max_map_count(void)
{
	char buf[32];

	ck_assert(read_small_file("/proc/sys/vm/max_map_count", buf,
				  sizeof(buf)));
	return atol(buf);
}

/* Every other page is one mapping more, and so is what follows it. */
static void use_up_mappings(void)
{
	long most = max_map_count();

	pages = mmap(NULL, (size_t)most << PAGE_SHIFT, PROT_NONE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ck_assert_ptr_ne(pages, MAP_FAILED);
	while (nr_split < most / 2 &&
	       !mprotect(pages + (nr_split << (PAGE_SHIFT + 1)), PAGE_BYTES,
			 PROT_READ))
		nr_split++;
	ck_assert_int_lt(nr_split, most / 2);
}

static void spare_two(void)
{
	nr_split--;
	ck_assert_int_eq(mprotect(pages + (nr_split << (PAGE_SHIFT + 1)),
				  PAGE_BYTES, PROT_NONE), 0);
}

START_TEST(no_address_is_lost)
{
	struct zone *z;
	u32 pfn = NO_PFN;

	if (SANITIZED) {
		skip_part("no_address_is_lost", "a sanitizer maps memory, too");
		return;
	}
	if (max_map_count() > 1 << 20) {
		skip_part("no_address_is_lost", "vm.max_map_count is too high");
		return;
	}
	start("thp,small");
	z = my_zone();
	/* What comes first would be made accessible in place. */
	options.small_first = 0;
	use_up_mappings();
	for (int i = 0; i < SPARE && pfn == NO_PFN; i++) {
		pfn = pages_alloc(PAGEBLOCK_PAGES, 0, RN_NORETRY, NULL);
		spare_two();
	}
	ck_assert_uint_ne(pfn, NO_PFN);
	ck_assert_uint_gt(z->steps[BACKING_SMALL][STEP_NO_MEMORY], 1);
	ck_assert_uint_eq(z->steps[BACKING_THP][STEP_LOST], 0);
	ck_assert_uint_eq(z->steps[BACKING_SMALL][STEP_LOST], 0);
	memset(pfn_to_ptr(pfn), 1, PAGEBLOCK_BYTES);
	check_zone(z);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("map_count");
	TCase *tc = tcase_create("map_count");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, no_address_is_lost);
	suite_add_tcase(s, tc);
	return suite_main(s);
}

// SPDX-License-Identifier: MIT
/*
 * What lies round the objects and round the library's own tables: pages that
 * nobody may touch.
 */
#define _GNU_SOURCE
#include "helpers.h"

#include "slab.h"
#include "zone.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* Can nobody write to it, nor read? The kernel is asked, which says it. */
static bool is_guard(const void *p)
{
	int fds[2];
	char byte = 0;
	bool read_fails, write_fails;

	ck_assert_int_eq(pipe(fds), 0);
	read_fails = write(fds[1], p, 1) == -1 && errno == EFAULT;
	ck_assert_int_eq(write(fds[1], &byte, 1), 1);
	write_fails = read(fds[0], (void *)p, 1) == -1 && errno == EFAULT;
	close(fds[0]);
	close(fds[1]);
	return read_fails && write_fails;
}

static void check_guards(const char *what, const void *start, size_t bytes)
{
	const char *end = (const char *)start + ALIGN(bytes, META_UNIT);

	ck_assert_msg(is_guard((const char *)start - 1), "before %s", what);
	ck_assert_msg(is_guard(end), "behind %s", what);
}

START_TEST(tables_have_guards)
{
	size_t pages, blocks, bytes = 3 * META_UNIT + 1;
	char *p;

	/* The sheaves' range is there with the first object. */
	rn_free(rn_alloc(64, 0));
	ck_assert_ptr_nonnull(sheaf_base);
	pages = mem.bytes >> PAGE_SHIFT;
	blocks = mem.bytes >> PAGEBLOCK_SHIFT;
	check_guards("objects", (void *)mem.base, mem.bytes);
	check_guards("page descriptors", mem.vmemmap,
		     pages * sizeof(struct page));
	check_guards("row map", mem.row_map,
		     (pages >> SLAB_MIN_ORDER) * sizeof(u16));
	check_guards("pageblocks", mem.blocks,
		     blocks * sizeof(struct pageblock));
	check_guards("slots", hot.pc.slots,
		     (size_t)percpu_indices() << SLOTS_SHIFT);
	ck_assert(is_guard(sheaf_base - 1));
	p = meta_reserve(bytes, PROT_READ | PROT_WRITE);
	memset(p, 1, ALIGN(bytes, META_UNIT));
	check_guards("any table", p, bytes);
	p = meta_alloc(1 << 20);
	memset(p, 1, 1 << 20);
	check_guards("what is large", p, 1 << 20);
}
END_TEST

/* The end of the mapping that @p lies in. */
static uintptr_t mapping_end(const void *p)
{
	FILE *f = fopen("/proc/self/maps", "r");
	unsigned long start, end, found = 0;
	char line[4096];

	ck_assert_ptr_nonnull(f);
	while (!found && fgets(line, sizeof(line), f))
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2 &&
		    (uintptr_t)p - start < end - start)
			found = end;
	fclose(f);
	ck_assert_uint_ne(found, 0);
	return found;
}

static uintptr_t expected;

static void faulted(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	_exit((uintptr_t)info->si_addr == expected ? 0 : 2);
}

/* In a child: writes on and on. */
static noinline void overflow(const void *from, uintptr_t end)
{
	struct sigaction action = {
		.sa_sigaction = faulted, .sa_flags = SA_SIGINFO,
	};

	expected = end;
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	/* What it overwrites the library would need, but is not called. */
	for (volatile char *p = (char *)from;
	     (uintptr_t)p <= end + PAGE_BYTES; p++)
		*p = 1;
	_exit(1);
}

static void check_overflow(const char *what, const void *from)
{
	uintptr_t end = mapping_end(from);
	int status;
	pid_t pid = fork();

	if (!pid)
		overflow(from, end);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0,
		      "%s: %#x", what, status);
}

/* What runs over the end of the last that is in use comes to nobody's. */
START_TEST(overflows_fault)
{
	struct rn_cache *c;
	struct page *slab;
	void *p = rn_alloc(64, 0);

	c = row_to_cache(ptr_to_row(p));
	slab = ptr_to_slab(c, p);
	check_overflow("objects", p);
	check_overflow("page descriptors", slab);
	check_overflow("row map", &mem.row_map[page_to_pfn(slab) >>
					       SLAB_MIN_ORDER]);
	check_overflow("pageblocks", &mem.blocks[page_to_pfn(slab) >>
						 PAGEBLOCK_ORDER]);
	check_overflow("caches", c);
	rn_free(p);
	for (u32 i = 0; i < percpu_indices(); i++)
		if (slot_is_open(c->row, i))
			check_overflow("slots", slot_of(c->row, i));
	check_overflow("sheaves", sheaf_by_number(1));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("guard");
	TCase *tc = tcase_create("guard");

	tcase_add_test(tc, tables_have_guards);
	tcase_add_test(tc, overflows_fault);
	suite_add_tcase(s, tc);
	return suite_main(s);
}

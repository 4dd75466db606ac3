// SPDX-License-Identifier: MIT
/*
 * What is held back, and the page behind a run, are of a run in the map.
 *
 * memcheck: clean
 * slab: clean
 * asan: clean
 */
#define _GNU_SOURCE
#include "fault.h"

#include <rn/vmstat.h>
#include <stdio.h>
#include <sys/mman.h>

int main(void)
{
	char *used, *held, line[200];
	unsigned long pages, all = 0;
	FILE *f;
	int fd;

	setenv("RN_SANITIZER", "slab", 1);
	used = must_alloc(100000);
	held = must_alloc(200000);
	rn_free(held);
	fd = memfd_create("memmap", 0);
	f = fd < 0 || rn_memmap(fd) ? NULL : fdopen(fd, "r");
	if (!f)
		abort();
	rewind(f);
	while (fgets(line, sizeof(line), f)) {
		if (!strncmp(line, "pages ", 6))
			abort();
		if (sscanf(line, "large %*u %lu", &pages) == 1)
			all += pages;
	}
	/* 25 pages and 49, and one behind each. */
	if (all != 25 + 1 + 49 + 1)
		abort();
	fclose(f);
	rn_free(used);
	return 0;
}
